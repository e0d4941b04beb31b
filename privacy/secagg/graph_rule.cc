#include "privacy/secagg/graph_rule.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"

namespace dure::secagg {
namespace {

using Real = long double;

constexpr uint64_t kMostComplete = 255;
constexpr int kMostBits = 1000;
// A logarithm that comes closer to its limit is taken as above.
constexpr Real kMargin = 1e-13L;

// ln C(total, j) for j = 0..kMaxNeighbours; minus infinity for j > total.
class LogBinomials {
 public:
  explicit LogBinomials(uint64_t total) {
    Real log = 0;
    logs_.push_back(log);
    for (uint64_t j = 1; j <= kMaxNeighbours; ++j) {
      log += j <= total ? std::log(static_cast<Real>(total - j + 1) / static_cast<Real>(j))
                        : -std::numeric_limits<Real>::infinity();
      logs_.push_back(log);
    }
  }
  Real operator()(int j) const { return logs_[j]; }

 private:
  std::vector<Real> logs_;
};

// Hyp(population, marked, ·).
class Hypergeometric {
 public:
  Hypergeometric(uint64_t population, uint64_t marked)
      : marked_(marked), others_(population - marked), all_(population) {}

  // ln P[Hyp(population, marked, draws) >= least], for least = 0..draws + 1. Sums from the small
  // end, so that nothing is lost.
  std::vector<Real> LogTails(int draws) const {
    std::vector<Real> tails(draws + 2, -std::numeric_limits<Real>::infinity());
    for (int j = draws; j >= 0; --j) {
      const Real one = marked_(j) + others_(draws - j) - all_(draws);
      const Real most = std::max(one, tails[j + 1]);
      tails[j] = std::isinf(most)
                     ? most
                     : most + std::log(std::exp(one - most) + std::exp(tails[j + 1] - most));
    }
    return tails;
  }

 private:
  LogBinomials marked_;
  LogBinomials others_;
  LogBinomials all_;
};

bool IsWithin(Real log_probability, int bits) {
  return log_probability <= -bits * std::numbers::ln2_v<Real> - kMargin;
}

absl::Status Validate(const GraphRuleParams& params) {
  auto outside = [](const char* name, auto value, uint64_t least, uint64_t most) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, " = ", value, " is outside ", least, " to ", most));
  };
  const uint64_t n = params.members;
  if (n < 3 || n > kMaxGraphMembers) return outside("members", n, 3, kMaxGraphMembers);
  if (params.max_corrupt >= n) return outside("max_corrupt", params.max_corrupt, 0, n - 1);
  if (params.dropouts >= n) return outside("dropouts", params.dropouts, 0, n - 1);
  if (params.minimum_sum > n) return outside("minimum", params.minimum_sum, 0, n);
  if (params.security_bits < 1 || params.security_bits > kMostBits) {
    return outside("security_bits", params.security_bits, 1, kMostBits);
  }
  if (params.correctness_bits < 1 || params.correctness_bits > kMostBits) {
    return outside("correctness_bits", params.correctness_bits, 1, kMostBits);
  }
  return absl::OkStatus();
}

class Solver {
 public:
  explicit Solver(const GraphRuleParams& params)
      : params_(params),
        log_n_(std::log(static_cast<Real>(params.members))),
        corrupt_(params.members - 1, params.max_corrupt),
        dropped_(params.members - 1, params.dropouts),
        bad_(std::min(params.max_corrupt + params.dropouts, params.members)),
        all_(params.members) {}

  // The least threshold at degree k.
  std::optional<int> Threshold(int k) const {
    const std::vector<Real> dropped = dropped_.LogTails(k);
    if (params_.mode == GraphMode::kAdaptive) {
      const std::vector<Real> corrupt = corrupt_.LogTails(k / 2);
      for (int t = k / 2 + 1; t <= k; ++t) {
        if (!IsWithin(log_n_ + dropped[k - t + 1], params_.correctness_bits)) return std::nullopt;
        if (IsWithin(std::numbers::ln2_v<Real> + log_n_ + corrupt[t - k / 2],
                     params_.security_bits)) {
          return t;
        }
      }
      return std::nullopt;
    }
    const auto n = static_cast<Real>(params_.members);
    const Real isolated = std::log(n * (n - k - 1) / 2) + bad_(k) - all_(k);
    if (!IsWithin(isolated, params_.security_bits + 1)) return std::nullopt;
    const std::vector<Real> corrupt = corrupt_.LogTails(k);
    for (int t = 2; t <= k; ++t) {
      if (!IsWithin(log_n_ + dropped[k - t + 1], params_.correctness_bits)) return std::nullopt;
      if (IsWithin(log_n_ + corrupt[t], params_.security_bits + 1)) return t;
    }
    return std::nullopt;
  }

 private:
  const GraphRuleParams& params_;
  Real log_n_;
  Hypergeometric corrupt_;
  Hypergeometric dropped_;
  LogBinomials bad_;
  LogBinomials all_;
};

}  // namespace

absl::StatusOr<GraphRule> SolveGraphRule(const GraphRuleParams& params) {
  DURE_RETURN_IF_ERROR(Validate(params));
  const uint64_t n = params.members;
  const uint64_t corrupt = params.max_corrupt;
  GraphRule rule = {.quorum = (n + corrupt) / 2 + 1};
  auto minimum_for = [&](uint64_t threshold) {
    if (params.mode == GraphMode::kSemiHonest) return std::max(params.minimum_sum, rule.quorum);
    return std::max({params.minimum_sum, rule.quorum, threshold + 1, corrupt + 2});
  };
  const Solver solver(params);
  for (int k = 2; k <= kMaxNeighbours && static_cast<uint64_t>(k) < n - 1; k += 2) {
    const std::optional<int> threshold = solver.Threshold(k);
    if (!threshold.has_value()) continue;
    rule.neighbours = k;
    rule.threshold = *threshold;
    rule.sum_minimum = minimum_for(*threshold);
    return rule;
  }
  uint64_t threshold = std::max<uint64_t>(corrupt + 1, 2);
  if (params.mode == GraphMode::kAdaptive) threshold = std::max(threshold, rule.quorum - 1);
  const uint64_t minimum = minimum_for(threshold);
  if (n <= kMostComplete && threshold < n && n - params.dropouts >= minimum) {
    rule.complete = true;
    rule.neighbours = static_cast<uint32_t>(n - 1);
    rule.threshold = static_cast<uint32_t>(threshold);
    rule.sum_minimum = minimum;
    return rule;
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "no graph of up to ", kMaxNeighbours, " neighbours for ", n, " members, ", corrupt,
      " corrupt, ", params.dropouts, " dropping out, keeps 2^-", params.security_bits, " and 2^-",
      params.correctness_bits,
      n <= kMostComplete
          ? absl::StrCat(", and on the complete graph a sum takes ", minimum, " of the ",
                         n - params.dropouts, " who stay; assume fewer corrupt or dropping out")
          : absl::StrCat("; use several groups of ", kMostComplete,
                         " or fewer, or assume fewer corrupt or dropping out")));
}

uint32_t MostCorruptInGroup(const GroupParams& params) {
  const auto draws = static_cast<int>(params.group_size);
  DURE_CHECK(params.max_corrupt <= params.members && params.group_size <= params.members &&
             draws <= kMaxNeighbours);
  const std::vector<Real> tails =
      Hypergeometric(params.members, params.max_corrupt).LogTails(draws);
  const Real log_groups = std::log(static_cast<Real>(params.groups));
  const auto most =
      static_cast<uint32_t>(std::min<uint64_t>(params.max_corrupt, params.group_size));
  for (uint32_t c = 0; c < most; ++c) {
    if (IsWithin(log_groups + tails[c + 1], params.security_bits)) return c;
  }
  return most;
}

}  // namespace dure::secagg
