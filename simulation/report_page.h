// How the page of a report looks and what moves on it: a style sheet and a script, both within the
// page. Thread-safe: constants.
#ifndef DURE_SIMULATION_REPORT_PAGE_H_
#define DURE_SIMULATION_REPORT_PAGE_H_

namespace dure::simulation {

// What charts look like. Colours of curves are those of Okabe and Ito (2008), told apart with any
// kind of colour vision.
extern const char kChartStyle[];

// What a chart in a file of its own needs besides.
extern const char kSvgStyle[];

// What the page needs besides: lighter colours on a dark ground too.
extern const char kReportStyle[];

// Shows values under the pointer, hides and shows series, sorts tables. The page is complete
// without it.
extern const char kReportScript[];

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_REPORT_PAGE_H_
