#include "coordinator/service/web_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <sstream>
#include <vector>

#include "base/version.h"
#include "coordinator/service/web_json.h"
#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "prometheus/text_serializer.h"

namespace dure {
namespace {

using prometheus::Registry;

void Gauge(Registry& registry, const char* name, const char* help, double value,
           const prometheus::Labels& labels = {}) {
  prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add(labels).Set(value);
}

// Registered anew for each scrape, so that one step is the whole count.
void Counter(Registry& registry, const char* name, const char* help, double value) {
  prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({}).Increment(value);
}

void AddProgress(Registry& registry, const RunStatus& status) {
  Gauge(registry, "dure_round", "Number of the newest released round.", status.round());
  Counter(registry, "dure_rounds_total", "Rounds released.", status.round());
  Gauge(registry, "dure_rounds_planned", "Rounds that the terms allow.", status.rounds());
  Counter(registry, "dure_attempts_total", "Attempts begun.", status.attempt());
  Counter(registry, "dure_attempts_failed_total", "Attempts that ended without a result.",
          status.failed_attempts());
  Gauge(registry, "dure_attempts_max", "Attempts that the terms allow.", status.max_attempts());
  auto& state = prometheus::BuildGauge()
                    .Name("dure_run_state")
                    .Help("1 for the state that the run is in.")
                    .Register(registry);
  for (const char* name : {"waiting", "running", "paused", "evaluating", "finished", "failed"}) {
    state.Add({{"state", name}}).Set(status.state() == name ? 1 : 0);
  }
  Gauge(registry, "dure_phase_duration_seconds", "How long the phase under way has lasted.",
        status.phase_seconds());
  if (status.eta_seconds() >= 0) {
    Gauge(registry, "dure_eta_seconds", "Forecast of the time that the remaining rounds take.",
          status.eta_seconds());
  }
  Counter(registry, "dure_received_bytes_total", "Bytes of messages received from members.",
          static_cast<double>(status.bytes_received()));
  Counter(registry, "dure_sent_bytes_total", "Bytes of messages sent to members.",
          static_cast<double>(status.bytes_sent()));
  auto& duration =
      prometheus::BuildHistogram()
          .Name("dure_round_duration_seconds")
          .Help("Time that released rounds took, failed attempts included.")
          .Register(registry)
          .Add({}, prometheus::Histogram::BucketBoundaries{0.1, 0.5, 1, 5, 10, 30, 60, 120, 300,
                                                           600, 1800, 3600, 14400, 86400});
  double before = 0;
  for (const RoundReport& round : status.history()) {
    duration.Observe(round.seconds() - before);
    before = round.seconds();
  }
}

void AddMembers(Registry& registry, const WebView& view) {
  struct {
    const char* role;
    Role is;
    int enrolled = 0, connected = 0, revoked = 0;
  } counts[] = {{"member", MEMBER}, {"evaluator", EVALUATOR}};
  for (const MembersReply::Member& member : view.members.members()) {
    for (auto& count : counts) {
      if ((count.is == EVALUATOR) != (member.role() == EVALUATOR)) continue;
      count.revoked += member.revoked() ? 1 : 0;
      count.enrolled += member.revoked() ? 0 : 1;
      count.connected += member.connected() ? 1 : 0;
    }
  }
  auto& enrolled = prometheus::BuildGauge()
                       .Name("dure_members_enrolled")
                       .Help("Members and evaluators who have joined and were not revoked.")
                       .Register(registry);
  auto& connected = prometheus::BuildGauge()
                        .Name("dure_members_connected")
                        .Help("Members and evaluators who are connected.")
                        .Register(registry);
  auto& revoked = prometheus::BuildGauge()
                      .Name("dure_members_revoked")
                      .Help("Members and evaluators whose membership was ended.")
                      .Register(registry);
  for (const auto& count : counts) {
    enrolled.Add({{"role", count.role}}).Set(count.enrolled);
    connected.Add({{"role", count.role}}).Set(count.connected);
    revoked.Add({{"role", count.role}}).Set(count.revoked);
  }
  Gauge(registry, "dure_members_awaited", "Members that the phase under way waits for.",
        view.status.awaited_size());
  Gauge(registry, "dure_cohort_members", "Members that an attempt asks.", view.status.cohort());
  Gauge(registry, "dure_cohort_minimum_members", "Members without whom no attempt begins.",
        view.status.minimum());
}

void AddPrivacy(Registry& registry, const RunStatus& status) {
  if (status.unit() == "none") return;
  const prometheus::Labels unit = {{"unit", status.unit()}};
  Gauge(registry, "dure_epsilon", "Privacy charged so far for one unit.", status.epsilon(), unit);
  Gauge(registry, "dure_epsilon_max", "Privacy that the terms allow.", status.max_epsilon(), unit);
  Gauge(registry, "dure_delta", "Delta of the privacy that is charged.", status.delta(), unit);
}

// A trainer of one's own may name a figure as it likes.
std::string MetricName(const std::string& figure) {
  std::string name = "dure_evaluation_";
  for (const char c : figure) {
    name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  }
  return name;
}

void AddQuality(Registry& registry, const RunStatus& status) {
  uint32_t newest = 0;
  for (const auto& [figure, curve] : CurvesOf(status)) {
    static constexpr const char* kKnown[] = {"loss", "accuracy", "f1", "auc", "mae", "perplexity"};
    const bool known = std::any_of(std::begin(kKnown), std::end(kKnown),
                                   [&](const char* name) { return figure == name; });
    newest = std::max(newest, curve.back().first);
    if (known) {
      Gauge(registry, MetricName(figure).c_str(),
            "Of the newest measured model; a mean weighted by records.", curve.back().second);
    } else {
      Gauge(registry, "dure_evaluation_own", "A figure of a trainer of one's own.",
            curve.back().second, {{"figure", figure}});
    }
  }
  if (newest > 0) {
    Gauge(registry, "dure_evaluation_round", "Round of the newest measured model.", newest);
  }
  if (status.has_best()) {
    Gauge(registry, "dure_best_round", "Round of the model with the lowest loss.",
          status.best().round());
    Gauge(registry, "dure_best_loss", "The lowest loss.", status.best().loss());
  }
}

// From /proc/self: what every client library of Prometheus says.
void AddProcess(Registry& registry) {
  long pages = 0, ignored = 0;
  if (std::ifstream("/proc/self/statm") >> ignored >> pages) {
    Gauge(registry, "process_resident_memory_bytes", "Resident memory size in bytes.",
          static_cast<double>(pages) * static_cast<double>(sysconf(_SC_PAGESIZE)));
  }
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0) {
    const auto seconds = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
    };
    Counter(registry, "process_cpu_seconds_total", "Total user and system CPU time in seconds.",
            seconds(usage.ru_utime) + seconds(usage.ru_stime));
  }
}

}  // namespace

std::string WebViewToMetrics(const WebView& view) {
  Registry registry;
  Gauge(registry, "dure_build_info", "1, with the version of dure.", 1, {{"version", kVersion}});
  AddProgress(registry, view.status);
  AddMembers(registry, view);
  AddPrivacy(registry, view.status);
  AddQuality(registry, view.status);
  AddProcess(registry);
  std::ostringstream text;
  prometheus::TextSerializer().Serialize(text, registry.Collect());
  return text.str();
}

}  // namespace dure
