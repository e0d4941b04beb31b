#include "simulation/chart.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/printable.h"
#include "simulation/report_page.h"

namespace dure::simulation {
namespace {

// In units of the drawing, of which about one is a pixel.
constexpr double kWidth = 420, kHeight = 280;
constexpr double kLeft = 58, kRight = 12, kTop = 10, kBottom = 44;
constexpr int kTicksX = 6, kTicksY = 6;
constexpr double kLogarithmicAbove = 1000;
constexpr double kKeyRow = 18;    // one name below a drawing that stands alone
constexpr size_t kKeyBytes = 50;  // what fits

struct Axis {
  double least = 0, most = 1;
  bool logarithmic = false;
  std::vector<double> ticks;

  double Share(double value) const {
    if (!logarithmic) return (value - least) / (most - least);
    return (std::log10(value) - std::log10(least)) / (std::log10(most) - std::log10(least));
  }
};

struct Plot {
  Axis x, y;
  double X(double value) const { return kLeft + x.Share(value) * (kWidth - kLeft - kRight); }
  double Y(double value) const {
    return kHeight - kBottom - y.Share(value) * (kHeight - kTop - kBottom);
  }
};

std::string Coordinate(double value) { return absl::StrFormat("%.1f", value); }
std::string Short(double value) { return absl::StrFormat("%.6g", value); }

// As many decimals as multiples of `step` have.
std::string TickText(double value, double step) {
  if (value == 0) return "0";
  if (std::abs(value) >= 1e6 || std::abs(value) < 1e-4) return absl::StrFormat("%.3g", value);
  int decimals = 0;
  for (double rest = step; decimals < 6 && std::abs(rest - std::round(rest)) > 1e-6; rest *= 10) {
    ++decimals;
  }
  return absl::StrFormat("%.*f", decimals, value);
}

Axis Linear(double least, double most, int wanted, bool whole) {
  Axis axis;
  if (!(most > least)) {
    if (least == 0) return Linear(0, 1, wanted, whole);
    const double around = whole ? 1 : std::max(std::abs(least) * 0.05, 1e-9);
    least -= around;
    most += around;
  }
  axis.least = least;
  axis.most = most;
  axis.ticks = NiceTicks(least, most, wanted, whole);
  return axis;
}

Axis Logarithmic(double least, double most) {
  Axis axis{.logarithmic = true};
  const int low = static_cast<int>(std::floor(std::log10(least)));
  const int high = static_cast<int>(std::ceil(std::log10(most)));
  axis.least = std::pow(10, low);
  axis.most = std::pow(10, high);
  const int step = (high - low + kTicksY - 1) / kTicksY;
  for (int power = low; power <= high; power += step) axis.ticks.push_back(std::pow(10, power));
  return axis;
}

Plot PlotOf(const Chart& chart) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  double x_least = kInfinity, x_most = -kInfinity, y_least = kInfinity, y_most = -kInfinity;
  for (const ChartLine& line : chart.lines) {
    for (const ChartPoint& point : line.points) {
      x_least = std::min(x_least, point.x);
      x_most = std::max(x_most, point.x);
      y_least = std::min(y_least, point.least);
      y_most = std::max(y_most, point.most);
    }
  }
  Plot plot;
  plot.x = Linear(std::min(x_least, 0.0), x_most, kTicksX, chart.whole_x);
  if (y_least > 0 && y_most / y_least > kLogarithmicAbove) {
    plot.y = Logarithmic(y_least, y_most);
    return plot;
  }
  if (chart.mark) {
    y_least = std::min(y_least, *chart.mark);
    y_most = std::max(y_most, *chart.mark);
  }
  const double air = 0.04 * (y_most - y_least);
  double low = y_least - air, high = y_most + air;
  if (y_least >= 0) low = std::max(low, 0.0);
  if (chart.share_y) high = std::min(high, 1.0);
  plot.y = Linear(low, high, kTicksY, false);
  return plot;
}

void AppendGrid(const Chart& chart, const Plot& plot, std::string& svg) {
  const double right = kWidth - kRight, bottom = kHeight - kBottom;
  const auto step = [](const std::vector<double>& ticks) {
    return ticks.size() > 1 ? ticks[1] - ticks[0] : 1;
  };
  for (const double tick : plot.y.ticks) {
    const std::string y = Coordinate(plot.Y(tick));
    absl::StrAppend(&svg, "<path class=\"grid\" d=\"M", kLeft, " ", y, "H", right, "\"/><text x=\"",
                    kLeft - 6, "\" y=\"", y, "\" class=\"ty\">",
                    plot.y.logarithmic ? Short(tick) : TickText(tick, step(plot.y.ticks)),
                    "</text>");
  }
  for (const double tick : plot.x.ticks) {
    const std::string x = Coordinate(plot.X(tick));
    absl::StrAppend(&svg, "<path class=\"tick\" d=\"M", x, " ", bottom, "v4\"/><text x=\"", x,
                    "\" y=\"", bottom + 17, "\" class=\"tx\">", TickText(tick, step(plot.x.ticks)),
                    "</text>");
  }
  absl::StrAppend(&svg, "<path class=\"axis\" d=\"M", kLeft, " ", kTop, "V", bottom, "H", right,
                  "\"/><text class=\"label tx\" x=\"", (kLeft + right) / 2, "\" y=\"", kHeight - 8,
                  "\">", HtmlText(chart.x_label), "</text>");
  const double middle = (kTop + bottom) / 2;
  absl::StrAppend(&svg, "<text class=\"label tx\" transform=\"rotate(-90)\" x=\"", -middle,
                  "\" y=\"14\">", HtmlText(chart.y_label),
                  plot.y.logarithmic ? " (logarithmic)" : "", "</text>");
  if (chart.mark && plot.y.Share(*chart.mark) >= 0 && plot.y.Share(*chart.mark) <= 1) {
    absl::StrAppend(&svg, "<path class=\"mark\" d=\"M", kLeft, " ", Coordinate(plot.Y(*chart.mark)),
                    "H", right, "\"/>");
  }
}

// Every so manieth point, and the last.
std::vector<ChartPoint> Thinned(const std::vector<ChartPoint>& points) {
  const size_t step = (points.size() + kMaxChartPoints - 1) / kMaxChartPoints;
  if (step <= 1) return points;
  std::vector<ChartPoint> kept;
  for (size_t i = 0; i < points.size(); i += step) kept.push_back(points[i]);
  if ((points.size() - 1) % step != 0) kept.push_back(points.back());
  return kept;
}

std::string LineStyle(const ChartLine& line) {
  return line.quiet ? "line quiet"
                    : absl::StrCat("line c", line.series % kChartColours, " d",
                                   line.series / kChartColours % kChartDashes);
}

void AppendLine(const ChartLine& line, const std::vector<ChartPoint>& points, const Plot& plot,
                std::string& svg) {
  const std::string style = LineStyle(line);
  const bool has_band = !line.quiet && std::any_of(points.begin(), points.end(),
                                                   [](const auto& p) { return p.most > p.least; });
  absl::StrAppend(&svg, "<g data-s=\"", line.quiet ? "quiet" : absl::StrCat(line.series), "\">");
  const auto at = [&](double x, double y) {
    return absl::StrCat(Coordinate(plot.X(x)), " ", Coordinate(plot.Y(y)));
  };
  if (has_band) {
    absl::StrAppend(&svg, "<path class=\"band c", line.series % kChartColours, "\" d=\"M");
    for (const ChartPoint& p : points) absl::StrAppend(&svg, at(p.x, p.most), " ");
    for (auto p = points.rbegin(); p != points.rend(); ++p) {
      absl::StrAppend(&svg, at(p->x, p->least), " ");
    }
    svg.back() = 'Z';
    absl::StrAppend(&svg, "\"/>");
  }
  if (points.size() == 1) {
    absl::StrAppend(&svg, "<circle class=\"", style, "\" cx=\"", Coordinate(plot.X(points[0].x)),
                    "\" cy=\"", Coordinate(plot.Y(points[0].y)), "\" r=\"3\"/>");
  } else {
    absl::StrAppend(&svg, "<path class=\"", style, "\" d=\"M");
    for (const ChartPoint& p : points) absl::StrAppend(&svg, at(p.x, p.y), " ");
    svg.back() = '"';
    absl::StrAppend(&svg, "/>");
  }
  absl::StrAppend(&svg, "</g>");
}

// What the script needs to say values: numbers only.
void AppendNumbers(const ChartLine& line, const std::vector<ChartPoint>& points,
                   std::string& numbers) {
  absl::StrAppend(&numbers, numbers.empty() ? "" : ",", "{\"i\":", line.series, ",\"p\":[");
  for (const ChartPoint& p : points) {
    absl::StrAppend(&numbers, "[", Short(p.x), ",", Short(p.y), ",", Short(p.least), ",",
                    Short(p.most), ",", p.runs, "],");
  }
  numbers.back() = ']';
  absl::StrAppend(&numbers, "}");
}

bool HasPoints(const Chart& chart) {
  return std::any_of(chart.lines.begin(), chart.lines.end(),
                     [](const ChartLine& line) { return !line.points.empty(); });
}

// Axes and lines, quiet ones below the others; into `numbers`, if there is one, what they are.
std::string Drawing(const Chart& chart, const Plot& plot, std::string* numbers) {
  std::string svg;
  AppendGrid(chart, plot, svg);
  for (const bool quiet : {true, false}) {
    for (const ChartLine& line : chart.lines) {
      if (line.quiet != quiet || line.points.empty()) continue;
      const std::vector<ChartPoint> points = Thinned(line.points);
      AppendLine(line, points, plot, svg);
      if (!quiet && numbers != nullptr) AppendNumbers(line, points, *numbers);
    }
  }
  return svg;
}

}  // namespace

std::string HtmlText(std::string_view text, size_t max_bytes) {
  std::string html;
  for (const char c : Printable(text, max_bytes)) {
    switch (c) {
      case '&':
        html += "&amp;";
        break;
      case '<':
        html += "&lt;";
        break;
      case '>':
        html += "&gt;";
        break;
      case '"':
        html += "&quot;";
        break;
      case '\'':
        html += "&#39;";
        break;
      default:
        html += c;
    }
  }
  return html;
}

std::vector<double> NiceTicks(double least, double most, int wanted, bool whole) {
  std::vector<double> ticks;
  const double rough = (most - least) / std::max(wanted, 1);
  if (!(rough > 0) || !std::isfinite(rough)) return {least};
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 2.5, 5.0}) {
    if (factor * power >= rough * (1 - 1e-9)) {
      step = factor * power;
      break;
    }
  }
  if (whole) step = std::ceil(step);
  const double first = std::ceil(least / step - 1e-9);
  for (double i = first; i * step <= most + 1e-9 * step; ++i) {
    ticks.push_back(i * step);
    if (ticks.size() > 100) break;  // a range too small for its place on the number line
  }
  return ticks;
}

std::string ChartHtml(const Chart& chart) {
  if (!HasPoints(chart)) return "";
  const Plot plot = PlotOf(chart);
  std::string numbers;
  const std::string svg = Drawing(chart, plot, &numbers);
  const std::string title = HtmlText(chart.title);
  return absl::StrCat(
      "<figure class=\"chart\" data-x=\"", HtmlText(chart.x_label), "\"><figcaption>", title,
      "</figcaption><div class=\"plot\">", "<svg viewBox=\"0 0 ", kWidth, " ", kHeight,
      "\" role=\"img\" aria-label=\"", title, "\">", svg,
      "<path class=\"cursor\" d=\"\"/></svg><div class=\"tip\" hidden></div></div>",
      "<script type=\"application/json\">{\"x\":[", Short(plot.x.least), ",", Short(plot.x.most),
      "],\"area\":[", kLeft, ",", kTop, ",", kWidth - kRight, ",", kHeight - kBottom, ",", kWidth,
      "],\"whole\":", chart.whole_x ? "true" : "false", ",\"lines\":[", numbers,
      "]}</script></figure>\n");
}

std::string ChartSvg(const Chart& chart, const std::vector<std::string>& names) {
  if (!HasPoints(chart)) return "";
  std::string key;
  double y = kHeight + 10;
  for (const ChartLine& line : chart.lines) {
    if (line.quiet || line.points.empty() || line.series >= names.size()) continue;
    absl::StrAppend(&key, "<path class=\"", LineStyle(line), "\" d=\"M", kLeft, " ", y, "h26\"/>",
                    "<text class=\"label\" x=\"", kLeft + 34, "\" y=\"", y + 4, "\">",
                    HtmlText(names[line.series], kKeyBytes), "</text>");
    y += kKeyRow;
  }
  const std::string title = HtmlText(chart.title);
  return absl::StrCat("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 -24 ", kWidth, " ",
                      y + 24, "\" width=\"", kWidth * 3 / 2, "\" height=\"", (y + 24) * 3 / 2,
                      "\" role=\"img\" class=\"plot\"><title>", title, "</title><style>",
                      kChartStyle, kSvgStyle, "</style><rect class=\"ground\" y=\"-24\" width=\"",
                      kWidth, "\" height=\"", y + 24, "\" rx=\"6\"/><text class=\"title\" x=\"",
                      kLeft, "\" y=\"-6\">", title, "</text>",
                      Drawing(chart, PlotOf(chart), nullptr), key, "</svg>\n");
}

}  // namespace dure::simulation
