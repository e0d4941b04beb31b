#include "client/data_ledger.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "federation/spec_fields.h"

namespace dure {
namespace {

constexpr size_t kCheckDigits = 64;
constexpr size_t kMaxRealChars = 32;
constexpr size_t kMaxNameBytes = 64;

Digest CheckOf(const Digest& previous, std::string_view text) {
  return Sha256(AsBytes(ToString(previous) + std::string(text)));
}

// Exact, so that the sum comes out the same everywhere.
std::string RealText(double value) { return absl::StrFormat("%a", value); }

// Each reads only what EncodeDataLine writes.
template <typename Int>
bool ReadNumber(absl::string_view text, Int* value) {
  return absl::SimpleAtoi(text, value) && absl::StrCat(*value) == text;
}
bool ReadReal(absl::string_view text, double* value) {
  if (text.empty() || text.size() > kMaxRealChars) return false;
  const std::string terminated(text);
  char* end = nullptr;
  *value = std::strtod(terminated.c_str(), &end);
  return std::isfinite(*value) && *end == '\0' && RealText(*value) == text;
}
bool ReadUnit(absl::string_view text, PrivacySection::Unit* unit) {
  PrivacySection section;
  const Field& key = *PrivacySection::descriptor()->FindFieldByName("unit");
  if (!SetChoice(std::string_view(text.data(), text.size()), &section, key)) return false;
  *unit = section.unit();
  return true;
}

bool IsName(absl::string_view text) {
  return !text.empty() && text.size() <= kMaxNameBytes &&
         std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return c > ' ' && c != 0x7f; });
}

std::string Body(uint64_t counter, const DataEntry& entry) {
  if (const auto* former = std::get_if<FormerData>(&entry)) {
    return absl::StrCat(counter, " former ", ToHex(former->identity), " ");
  }
  const auto& charge = std::get<DataCharge>(entry);
  DURE_CHECK(IsName(charge.name));
  const dp::AttemptCost& cost = charge.cost.cost;
  return absl::StrCat(
      counter, " charge ", ToHex(charge.federation), " ", charge.name, " ", ToHex(charge.member),
      " ", charge.attempt.round.value(), " ", charge.attempt.attempt.value(), " ",
      ToHex(charge.attempt.session_id), " ", ToHex(charge.attempt.t1), " ",
      ChoiceName(*PrivacySection::Unit_descriptor(), charge.cost.unit), " ", cost.dim, " ",
      cost.parties, " ", cost.sigma2, " ", cost.norm_bound_sq, " ", RealText(cost.sampling_rate),
      " ", cost.uses, " ", RealText(charge.cost.delta), " ");
}

bool ReadCost(const std::vector<absl::string_view>& fields, size_t at, ChargedCost* charged) {
  dp::AttemptCost& cost = charged->cost;
  if (!ReadUnit(fields[at], &charged->unit) || !ReadNumber(fields[at + 1], &cost.dim) ||
      !ReadNumber(fields[at + 2], &cost.parties) || !ReadNumber(fields[at + 3], &cost.sigma2) ||
      !ReadNumber(fields[at + 4], &cost.norm_bound_sq) ||
      !ReadReal(fields[at + 5], &cost.sampling_rate) || !ReadNumber(fields[at + 6], &cost.uses) ||
      !ReadReal(fields[at + 7], &charged->delta)) {
    return false;
  }
  return charged->delta >= 0 && charged->delta < 1 &&
         (charged->unit == PrivacySection::NONE || dp::ValidateAttemptCost(cost).ok());
}

std::optional<DataEntry> ReadEntry(const std::vector<absl::string_view>& fields) {
  if (fields.size() == 4 && fields[1] == "former" && fields[3].empty()) {
    FormerData former;
    if (!ReadLedgerDigest(fields[2], &former.identity)) return std::nullopt;
    return former;
  }
  constexpr size_t kCost = 9;  // the first field of the cost
  if (fields.size() != kCost + 9 || fields[1] != "charge" || !fields.back().empty()) {
    return std::nullopt;
  }
  DataCharge charge;
  uint32_t round = 0, attempt = 0;
  if (!ReadLedgerDigest(fields[2], &charge.federation) || !IsName(fields[3]) ||
      !ReadLedgerDigest(fields[4], &charge.member) || !ReadNumber(fields[5], &round) ||
      !ReadNumber(fields[6], &attempt) ||
      !ReadLedgerDigest(fields[7], &charge.attempt.session_id) ||
      !ReadLedgerDigest(fields[8], &charge.attempt.t1) || !ReadCost(fields, kCost, &charge.cost)) {
    return std::nullopt;
  }
  charge.name = std::string(fields[3]);
  charge.attempt.round = RoundNumber(round);
  charge.attempt.attempt = AttemptNumber(attempt);
  return charge;
}

}  // namespace

ChargedCost ChargedCostOf(const RoundTerms& terms) {
  ChargedCost charged{.unit = terms.unit, .delta = terms.delta_per_attempt};
  if (terms.unit != PrivacySection::NONE) charged.cost = CostOf(terms);
  return charged;
}

std::string EncodeDataLine(uint64_t counter, const Digest& previous, const DataEntry& entry) {
  const std::string body = Body(counter, entry);
  return absl::StrCat(body, ToHex(CheckOf(previous, body)), "\n");
}

absl::StatusOr<DataLine> DecodeDataLine(std::string_view line, const Digest& previous) {
  const absl::Status damaged = absl::DataLossError(
      "a line of the ledger is damaged, or one before it is missing (its check does not fit)");
  if (line.size() > kMaxDataLineBytes || line.size() < kCheckDigits) return damaged;
  const std::string_view body = line.substr(0, line.size() - kCheckDigits);
  DataLine read{.check = CheckOf(previous, body)};
  if (ToHex(read.check) != line.substr(body.size())) return damaged;
  const std::vector<absl::string_view> fields =
      absl::StrSplit(absl::string_view(body.data(), body.size()), ' ');
  if (fields.size() < 2 || !ReadNumber(fields[0], &read.counter)) return damaged;
  std::optional<DataEntry> entry = ReadEntry(fields);
  if (!entry) return damaged;
  read.entry = *std::move(entry);
  return read;
}

Tally::Key Tally::KeyOf(const ChargedCost& charged) {
  if (charged.unit == PrivacySection::NONE) return {charged.unit, 0, 0, 0, 0, 0, 0, 0};
  const dp::AttemptCost& cost = charged.cost;
  return {charged.unit,       cost.dim,           cost.parties, cost.sigma2,
          cost.norm_bound_sq, cost.sampling_rate, cost.uses,    charged.delta};
}

void Tally::Add(const ChargedCost& cost, uint64_t count) {
  auto [group, added] = groups_.try_emplace(KeyOf(cost));
  if (added) {
    group->second.cost = cost;
    if (cost.unit != PrivacySection::NONE) {
      group->second.curve = dp::CurveOf(cost.cost, dp::SubsampledOrders());
    }
  }
  group->second.count += count;
}

double Tally::Epsilon(PrivacySection::Unit unit, double delta) const {
  std::optional<dp::RdpCurve> sum;
  double left = delta;
  for (const auto& [key, group] : groups_) {
    if (group.cost.unit != unit || !group.curve) continue;
    if (!sum) {
      sum.emplace(dp::SubsampledOrders(), std::vector<double>(dp::SubsampledOrders().size(), 0.0));
    }
    sum->Compose(*group.curve, group.count);
    left -= static_cast<double>(group.count) * group.cost.delta;
  }
  if (!sum) return 0;
  if (!(left > 0 && left < 1)) return HUGE_VAL;
  return sum->Epsilon(1, left).epsilon;
}

double Tally::EpsilonWith(const ChargedCost& next, double delta) const {
  Tally with = *this;
  with.Add(next);
  return with.Epsilon(next.unit, delta);
}

uint64_t Tally::charges(PrivacySection::Unit unit) const {
  uint64_t count = 0;
  for (const auto& [key, group] : groups_) {
    if (group.cost.unit == unit) count += group.count;
  }
  return count;
}

bool Tally::IsAll(const ChargedCost& cost) const {
  return std::all_of(groups_.begin(), groups_.end(), [&](const auto& entry) {
    return entry.second.cost.unit != cost.unit || entry.first == KeyOf(cost);
  });
}

}  // namespace dure
