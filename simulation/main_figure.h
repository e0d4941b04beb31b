// Which of the figures of a model people look at first: the one that a run's table and curves show
// beside the loss. Thread-safe: pure functions.
#ifndef DURE_SIMULATION_MAIN_FIGURE_H_
#define DURE_SIMULATION_MAIN_FIGURE_H_

#include <string>

#include "proto/metrics.pb.h"

namespace dure::simulation {

// accuracy where there is one; else mae, else perplexity, else a figure of a trainer program of
// one's own; else loss. As in FiguresOf().
std::string MainFigureOf(const ModelMetrics& metrics);

// The figure of that name; NaN if there is none.
double FigureOf(const ModelMetrics& metrics, const std::string& name);

// Whether more of it is better: not of a loss, an error or a perplexity. Of a figure of one's own
// nobody knows, and more is taken for better.
bool MoreIsBetter(const std::string& name);

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_MAIN_FIGURE_H_
