// dure-world: runs of whole federations with faults, each a function of its seed
// (tests/world/seeded_world.h). For those who work on dure.
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/world/seeded_world.h"

namespace dure::world {
namespace {

constexpr char kUsage[] =
    R"(Usage: dure-world [--seeds N | --seeds A..B] [--trace]

Runs whole federations in one thread and in time that is made up: the real engines of a coordinator
and its members, with delays, lost connections, partitions, crashes next to every write, messages
that are forged, and members that lie. Each is a function of its seed. After every step invariants
are checked; then the faults heal, and the run must come to its end.

  --seeds N     seeds 1 to N (default: 200)
  --seeds A..B  seeds A to B, both included
  --trace       prints what happens, line by line, with the time in seconds

The last line has the hash of all traces: it is the same wherever the same seeds are run.
Exit codes: 0 all is well; 1 an invariant was broken, and the seed is printed; 2 wrong usage.
)";

struct Arguments {
  uint64_t first = 1;
  uint64_t last = 200;
  bool trace = false;
};

bool ReadNumber(std::string_view text, uint64_t* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size();
}

bool ReadSeeds(std::string_view text, Arguments* arguments) {
  const size_t dots = text.find("..");
  if (dots == std::string_view::npos) {
    return ReadNumber(text, &arguments->last) && arguments->last >= 1;
  }
  return ReadNumber(text.substr(0, dots), &arguments->first) &&
         ReadNumber(text.substr(dots + 2), &arguments->last) && arguments->first <= arguments->last;
}

std::optional<Arguments> Read(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--trace") {
      arguments.trace = true;
    } else if (argument == "--seeds") {
      if (i + 1 == argc || !ReadSeeds(argv[++i], &arguments)) {
        std::cerr << "dure-world: --seeds takes a number from 1 on, or two as in 1..200\n";
        return std::nullopt;
      }
    } else {
      std::cerr << "dure-world: unknown argument " << argument << ": see dure-world --help\n";
      return std::nullopt;
    }
  }
  return arguments;
}

// A DURE_CHECK or a signal ends the process: say in which world.
char last_words[64] = "";
void SayTheSeed(int signal) {
  if (write(STDERR_FILENO, last_words, std::strlen(last_words)) < 0) _exit(1);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

// So many worlds have seen a process die before and after every kind of write, or they are too
// kind.
constexpr uint64_t kManySeeds = 200;

bool EveryCrashHappened(const Counts& counts) {
  bool all = true;
  for (const std::string_view write : kWrites) {
    for (const char* when : {"before", "after"}) {
      const std::string what = absl::StrCat("crashes ", when, " ", std::string(write));
      if (counts.contains(what)) continue;
      std::cout << "none of these worlds has " << what << ": they are too kind\n";
      all = false;
    }
  }
  return all;
}

int RunAll(const Arguments& arguments) {
  Counts counts;
  uint64_t steps = 0;
  Digest traces{};
  for (uint64_t seed = arguments.first;; ++seed) {
    absl::SNPrintF(last_words, sizeof(last_words), "dure-world: died in seed %d\n", seed);
    Scenario scenario = DrawScenario(seed);
    const std::string text = scenario.text;
    SeededWorld::Tell tell;
    if (arguments.trace) tell = [](std::string_view line) { std::cout << line << '\n'; };
    const Outcome outcome = SeededWorld(std::move(scenario), tell).Run();
    steps += outcome.steps;
    traces = Transcript("traces").Add(traces).Add(outcome.trace).Hash();
    for (const auto& [what, count] : outcome.counts) counts[what] += count;
    if (outcome.broken) {
      std::cout << absl::StrFormat(
          "seed %d, step %d: %s\n  (%s)\n  again: dure-world --seeds %d..%d --trace\n", seed,
          outcome.steps, *outcome.broken, text, seed, seed);
      return 1;
    }
    if (seed == arguments.last) break;
  }
  for (const auto& [what, count] : counts) {
    std::cout << absl::StrFormat("%9d  %s\n", count, what);
  }
  std::cout << absl::StrFormat("seeds %d..%d: every invariant held over %d steps; traces %s\n",
                               arguments.first, arguments.last, steps, ToHex(traces).substr(0, 16));
  const bool many = arguments.last - arguments.first + 1 >= kManySeeds;
  return many && !EveryCrashHappened(counts) ? 1 : 0;
}

}  // namespace
}  // namespace dure::world

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--help") {
      std::cout << dure::world::kUsage;
      return 0;
    }
  }
  const auto arguments = dure::world::Read(argc, argv);
  if (!arguments) return 2;
  for (int signal : {SIGABRT, SIGSEGV}) std::signal(signal, dure::world::SayTheSeed);
  return dure::world::RunAll(*arguments);
}
