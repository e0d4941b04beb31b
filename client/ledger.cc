#include "client/ledger.h"

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"

namespace dure {
namespace {

constexpr size_t kCheckDigits = 16;
constexpr char kCharge[] = "charge";

std::string CheckOf(std::string_view text) {
  return ToHex(Sha256(AsBytes(text))).substr(0, kCheckDigits);
}

bool ReadNumber(absl::string_view text, uint32_t* value) {
  // Only what EncodeLedgerEntry writes: no sign, no space, no leading zero.
  return absl::SimpleAtoi(text, value) && absl::StrCat(*value) == text;
}

std::optional<SumsKind> ReadCharge(absl::string_view word) {
  if (word == kCharge) return SumsKind::kTraining;
  for (const SumsKind kind : {SumsKind::kStatistics, SumsKind::kEvaluation}) {
    if (word == absl::StrCat(kCharge, "-", std::string(SumsName(kind)))) return kind;
  }
  return std::nullopt;
}

}  // namespace

bool ReadLedgerDigest(absl::string_view text, Digest* digest) {
  if (text.size() != 2 * digest->size()) return false;
  for (size_t i = 0; i < digest->size(); ++i) {
    uint32_t byte = 0;
    if (!absl::SimpleHexAtoi(text.substr(2 * i, 2), &byte)) return false;
    (*digest)[i] = static_cast<uint8_t>(byte);
  }
  return ToHex(*digest) == text;
}

std::string EncodeLedgerEntry(const LedgerEntry& entry) {
  std::string line;
  if (const auto* charge = std::get_if<ChargeEntry>(&entry)) {
    const std::string kind(SumsName(charge->kind));
    line = absl::StrCat(kCharge, kind.empty() ? "" : "-", kind, " ", charge->round.value(), " ",
                        charge->attempt.value(), " ", ToHex(charge->session_id), " ",
                        ToHex(charge->t1), " ");
  } else if (const auto* consent = std::get_if<ConsentEntry>(&entry)) {
    line = absl::StrCat("consent ", ToHex(consent->session_id), " ", ToHex(consent->t1), " ",
                        ToHex(consent->t3), " ");
  } else {
    line = absl::StrCat("data ", ToHex(std::get<UsedDataEntry>(entry).identity), " ");
  }
  return absl::StrCat(line, CheckOf(line), "\n");
}

absl::StatusOr<LedgerEntry> DecodeLedgerEntry(std::string_view line) {
  const absl::Status damaged =
      absl::DataLossError("a line of the ledger is damaged (its check does not fit)");
  if (line.size() > kMaxLedgerLineBytes || line.size() < kCheckDigits) return damaged;
  std::string_view body = line.substr(0, line.size() - kCheckDigits);
  if (CheckOf(body) != line.substr(body.size())) return damaged;
  std::vector<absl::string_view> fields =
      absl::StrSplit(absl::string_view(body.data(), body.size()), ' ');
  if (std::optional<SumsKind> kind = ReadCharge(fields[0]); kind && fields.size() == 6) {
    ChargeEntry charge{.kind = *kind};
    uint32_t round = 0, attempt = 0;
    if (!ReadNumber(fields[1], &round) || !ReadNumber(fields[2], &attempt) ||
        !ReadLedgerDigest(fields[3], &charge.session_id) ||
        !ReadLedgerDigest(fields[4], &charge.t1) || !fields[5].empty()) {
      return damaged;
    }
    charge.round = RoundNumber(round);
    charge.attempt = AttemptNumber(attempt);
    return charge;
  }
  if (fields[0] == "consent" && fields.size() == 5) {
    ConsentEntry consent;
    if (!ReadLedgerDigest(fields[1], &consent.session_id) ||
        !ReadLedgerDigest(fields[2], &consent.t1) || !ReadLedgerDigest(fields[3], &consent.t3) ||
        !fields[4].empty()) {
      return damaged;
    }
    return consent;
  }
  if (fields[0] == "data" && fields.size() == 3) {
    UsedDataEntry used;
    if (!ReadLedgerDigest(fields[1], &used.identity) || !fields[2].empty()) return damaged;
    return used;
  }
  return damaged;
}

absl::Status Ledger::Add(const LedgerEntry& entry) {
  if (const auto* charge = std::get_if<ChargeEntry>(&entry)) {
    if (charge->attempt <= last_attempt_) {
      return absl::FailedPreconditionError(absl::StrCat("attempt ", charge->attempt.value(),
                                                        " is not above the last one charged, ",
                                                        last_attempt_.value()));
    }
    ++counts_.of(charge->kind);
    last_attempt_ = charge->attempt;
    last_session_ = charge->session_id;
    last_t1_ = charge->t1;
    consented_ = false;
    charges_on_[data_.value_or(Digest{})].push_back(*charge);
    return absl::OkStatus();
  }
  if (const auto* used = std::get_if<UsedDataEntry>(&entry)) {
    if (!data_) {
      // Charges of an older dure.
      auto earlier = charges_on_.extract(Digest{});
      if (!earlier.empty()) charges_on_[used->identity] = std::move(earlier.mapped());
    }
    data_ = used->identity;
    return absl::OkStatus();
  }
  const auto& consent = std::get<ConsentEntry>(entry);
  if (counts_.all() == 0 || consent.session_id != last_session_ || consent.t1 != last_t1_) {
    return absl::FailedPreconditionError("a consent for a session that was not charged");
  }
  if (consented_) {
    return absl::FailedPreconditionError("a second consent in one session");
  }
  consented_ = true;
  return absl::OkStatus();
}

const std::vector<ChargeEntry>& Ledger::ChargesOn(const Digest& data) const {
  static const std::vector<ChargeEntry>& none = *new std::vector<ChargeEntry>();
  auto found = charges_on_.find(data);
  return found == charges_on_.end() ? none : found->second;
}

}  // namespace dure
