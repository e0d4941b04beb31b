#include "cli/simulated_here.h"

#include <algorithm>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/paragraph.h"
#include "nlohmann/json.hpp"
#include "simulation/estimate.h"

namespace dure::cli {
namespace {

constexpr uint32_t kClients = 1000;
constexpr size_t kIndent = 11;  // of CheckToText

// A thousand clients, or as many as the file says that there are.
simulation::RunSize SizeOf(const FederationSpec& spec, const RoundTerms& terms) {
  return {.clients = std::max({kClients, terms.invited, spec.local().population()}),
          .threads = static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1u, 64u)),
          .records = spec.privacy().total_records(),
          .program_too = true};
}

}  // namespace

std::string SimulatedHere(const FederationSpec& spec, const RoundTerms& terms) {
  const absl::StatusOr<std::string> text =
      simulation::SimulatedInWords(spec, terms, SizeOf(spec, terms), simulation::ReadFreeMemory());
  if (!text.ok()) return "";
  std::string out = "\n";
  AppendParagraph("Simulated", absl::StrCat("here (dure simulate): ", *text), kIndent, &out);
  return out;
}

std::string WithSimulatedHere(const std::string& check, const FederationSpec& spec,
                              const RoundTerms& terms) {
  simulation::RunSize size = SizeOf(spec, terms);
  const auto sums = simulation::EstimateMemory(spec, terms, size);
  size.full = true;
  const auto full = simulation::EstimateMemory(spec, terms, size);
  if (!sums.ok() || !full.ok()) return check;
  auto object = nlohmann::ordered_json::parse(check);
  object["simulation"] = {{"clients", size.clients},
                          {"threads", size.threads},
                          {"memory_bytes", sums->total()},
                          {"memory_bytes_full", full->total()},
                          {"free_bytes", simulation::ReadFreeMemory().bytes}};
  return object.dump();
}

}  // namespace dure::cli
