// The web page of a coordinator that there is not, for tests of the page: a run that goes on by a
// round each time that it is looked at, with members of whom some mean ill.
//
//   web_fixture [--no-charts] [--at-start]
//
// prints the page's address, and serves it until standard input ends.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "coordinator/service/web_server.h"

namespace dure {
namespace {

constexpr uint32_t kRounds = 60;

RunStatus StatusOf(uint32_t newest, uint32_t after) {
  RunStatus status;
  status.set_federation("Chest X-rays of six clinics");
  status.set_state(newest == 0 ? "waiting" : "running");
  status.set_phase(newest == 0 ? "4 of 6 members are here, and 5 are needed" : "masked inputs");
  if (newest > 0) {
    status.add_awaited("clinic-2");
    status.add_awaited("clinic-5");
  }
  status.set_round(newest);
  status.set_rounds(kRounds);
  status.set_attempt(newest + newest / 9 + 1);
  status.set_failed_attempts(newest / 9);
  status.set_max_attempts(90);
  status.set_connected(5);
  status.set_cohort(6);
  status.set_minimum(5);
  status.set_evaluators(1);
  status.set_unit("record");
  status.set_secure_aggregation(true);
  status.set_epsilon(0.09 * newest);
  status.set_max_epsilon(8);
  status.set_delta(1e-6);
  status.set_dim(421'642);
  status.set_model_hash("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08");
  status.set_bytes_received(uint64_t{9'300'000} * newest);
  status.set_bytes_sent(uint64_t{17'100'000} * newest);
  status.set_seconds(41.5 * newest);
  status.set_eta_seconds(newest == 0 ? -1 : 41.5 * (kRounds - newest));
  status.set_phase_seconds(12);
  for (uint32_t round = after + 1; round <= newest; ++round) {
    RoundReport* report = status.add_history();
    report->set_round(round);
    report->set_attempt(round + round / 9);
    report->set_survivors(round % 7 == 0 ? 5 : 6);
    report->set_cohort(6);
    report->set_epsilon(0.09 * round);
    report->set_seconds(41.5 * round + 6 * std::sin(round));
    if (round % 2 != 0) continue;
    Evaluation* evaluation = status.add_evaluations();
    evaluation->set_round(round);
    evaluation->set_evaluator("university");
    ModelMetrics* metrics = evaluation->mutable_metrics();
    metrics->set_records(4000);
    metrics->set_loss(0.35 + 0.9 * std::exp(-0.09 * round) + 0.02 * std::sin(2.0 * round));
    metrics->set_accuracy(0.91 - 0.5 * std::exp(-0.08 * round) + 0.01 * std::sin(3.0 * round));
    metrics->set_auc(0.95 - 0.4 * std::exp(-0.09 * round));
  }
  if (newest > 1) {
    status.mutable_best()->set_round(newest - newest % 2);
    status.mutable_best()->set_loss(0.41);
  }
  return status;
}

MembersReply Members() {
  MembersReply reply;
  const auto add = [&](const char* name, const char* organisation, Role role, const char* doing) {
    MembersReply::Member* member = reply.add_members();
    member->set_name(name);
    member->set_organisation(organisation);
    member->set_role(role);
    member->set_doing(doing);
    member->set_connected(*doing != '\0');
    member->set_enrolled_unix(1'790'000'000);
    member->set_last_seen_unix(1'790'500'000);
  };
  add("clinic-1", "City Hospital", MEMBER, "takes part");
  add("clinic-2", "Krankenhaus Nord gGmbH", MEMBER, "is awaited");
  add("clinic-3", "<img src=x onerror=alert(1)>", MEMBER, "takes part");
  add("clinic-4", "</script><script>document.title='broken'</script>", MEMBER, "takes part");
  add("clinic-5", "Centre hospitalier de la Vallée-de-l’Arve et des communes voisines", MEMBER,
      "is awaited");
  add("clinic-6", "", MEMBER, "");
  add("clinic-7", "Left us", MEMBER, "");
  reply.mutable_members(6)->set_revoked(true);
  add("university", "University Clinic", EVALUATOR, "measures the model of round 40");
  return reply;
}

int Main(int argc, char** argv) {
  const auto has = [&](std::string_view flag) {
    return std::any_of(argv + 1, argv + argc, [&](const char* word) { return word == flag; });
  };
  EvenClock clock;
  const bool at_start = has("--at-start");
  uint32_t newest = at_start ? 0 : 40;
  WebServer::Options options{
      .address = *ParseWebAddress("0"),
      .views = {.federation = {.purpose = "Tell pneumonia from healthy lungs in chest X-rays",
                               .license = "CC-BY-4.0"},
                .status =
                    [&](RoundNumber after) {
                      if (!at_start) newest = std::min(newest + 1, kRounds - 1);
                      return StatusOf(newest, std::min(newest, after.value()));
                    },
                .members = [&] { return at_start ? MembersReply() : Members(); },
                .clock = &clock}};
  if (has("--no-charts")) options.chart_script = "/nowhere/chart.min.js";
  auto web = WebServer::Start(std::move(options));
  if (!web.ok()) {
    std::fprintf(stderr, "web_fixture: %s\n", std::string(web.status().message()).c_str());
    return 1;
  }
  std::printf("%s\n", (*web)->url().c_str());
  std::fflush(stdout);
  char ignored;
  while (read(STDIN_FILENO, &ignored, 1) > 0) {
  }
  return 0;
}

}  // namespace
}  // namespace dure

int main(int argc, char** argv) { return dure::Main(argc, argv); }
