// Line charts as SVG within a page (simulation/report.h): curves with bands, axes with ticks.
// Thread-safe: pure functions.
#ifndef DURE_SIMULATION_CHART_H_
#define DURE_SIMULATION_CHART_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dure::simulation {

// `text` with control characters replaced (base/printable.h), cut to `max_bytes`, and made fit for
// HTML: as text and within quotes.
std::string HtmlText(std::string_view text, size_t max_bytes = 500);

// Round values from `least` to `most`, about `wanted` of them, ascending: multiples of 1, 2, 2.5
// or 5 times a power of ten; of whole numbers if `whole`.
std::vector<double> NiceTicks(double least, double most, int wanted, bool whole);

struct ChartPoint {
  double x = 0;
  double y = 0;      // the mean
  double least = 0;  // the band: the smallest and the largest
  double most = 0;
  size_t runs = 0;
};

struct ChartLine {
  size_t series = 0;               // which colour it has
  bool quiet = false;              // thin and grey: one of too many to tell apart
  std::vector<ChartPoint> points;  // by x; no two have the same; all finite
};

struct Chart {
  std::string title;
  std::string x_label;  // with its unit
  std::string y_label;
  bool whole_x = false;        // rounds
  bool share_y = false;        // from 0 to 1 at most
  std::optional<double> mark;  // a horizontal line: the target
  std::vector<ChartLine> lines;
};

// Series 0 to 20 look different: so many colours (classes c0 to c6 of the page), and then dashes
// (d0 to d2).
inline constexpr size_t kChartColours = 7;
inline constexpr size_t kChartDashes = 3;

// Points are drawn at most this often along a line.
inline constexpr size_t kMaxChartPoints = 240;

// A <figure> with the SVG and, for the page's script, the numbers of the lines that are not quiet.
// "" if no line has a point. The vertical axis is logarithmic if all values are above 0 and the
// largest is over 1000 times the smallest.
std::string ChartHtml(const Chart& chart);

// The same as an SVG file that stands alone, with the names of the lines, by ChartLine::series,
// below it; quiet lines have none. It has a background, and is in light colours everywhere. "" if
// no line has a point.
std::string ChartSvg(const Chart& chart, const std::vector<std::string>& names);

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_CHART_H_
