#include "client/service/ledgers.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace dure {
namespace {

// What `all` has and `known` has not, by attempt.
std::vector<ChargeEntry> Lacking(const std::vector<ChargeEntry>& all,
                                 const std::vector<ChargeEntry>& known) {
  std::set<AttemptNumber> attempts;
  for (const ChargeEntry& charge : known) attempts.insert(charge.attempt);
  std::vector<ChargeEntry> lacking;
  for (const ChargeEntry& charge : all) {
    if (attempts.insert(charge.attempt).second) lacking.push_back(charge);
  }
  return lacking;
}

std::string Charges(size_t count) {
  return absl::StrCat(count, count == 1 ? " charge" : " charges");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Ledgers>> Ledgers::Open(Options options,
                                                       std::vector<std::string>* notes) {
  DURE_ASSIGN_OR_RETURN(LedgerFile file, LedgerFile::Open(options.path));
  auto ledgers = std::unique_ptr<Ledgers>(new Ledgers(std::move(options), std::move(file)));
  if (!ledgers->options_.data) return ledgers;
  const Digest& data = *ledgers->options_.data;
  DURE_ASSIGN_OR_RETURN(
      ledgers->data_, DataLedgerFile::Open(ledgers->options_.root, data, ledgers->options_.member));
  if (ledgers->ledger().data() != data) {
    DURE_RETURN_IF_ERROR(ledgers->file_.Append(UsedDataEntry{data}));
  }
  DURE_RETURN_IF_ERROR(ledgers->Compare(notes));
  return ledgers;
}

absl::Status Ledgers::Compare(std::vector<std::string>* notes) {
  const std::vector<ChargeEntry>& here = ledger().ChargesOn(*options_.data);
  const std::vector<ChargeEntry>& there = data_->own_charges();
  const std::vector<ChargeEntry> missing_here = Lacking(there, here);
  const std::vector<ChargeEntry> missing_there = Lacking(here, there);
  if (missing_here.empty() && missing_there.empty()) return absl::OkStatus();
  // Both are written one after the other.
  const bool crashed = missing_there.empty() && missing_here.size() == 1 &&
                       missing_here.front().attempt > ledger().last_attempt();
  if (!crashed && !options_.charge_missing) {
    return absl::DataLossError(absl::StrCat(
        options_.path, " has ", Charges(here.size()), " on this data, and ", data_->path(), " has ",
        there.size(),
        " of this membership: one of the two is an old copy; put the newest back, or charge what "
        "is missing in full with `dure client --charge-missing`"));
  }
  DURE_RETURN_IF_ERROR(AddHere(missing_here, notes));
  return AddThere(missing_there, notes);
}

absl::Status Ledgers::AddHere(const std::vector<ChargeEntry>& missing,
                              std::vector<std::string>* notes) {
  if (missing.empty()) return absl::OkStatus();
  for (const ChargeEntry& charge : missing) {
    if (charge.attempt <= ledger().last_attempt()) {
      return absl::DataLossError(absl::StrCat(
          options_.path, " lacks attempt ", charge.attempt.value(), " between others, which ",
          data_->path(), " has: restore the file from a backup that is not older"));
    }
    DURE_RETURN_IF_ERROR(file_.Append(charge));
  }
  notes->push_back(absl::StrCat(Charges(missing.size()), " of this membership in ", data_->path(),
                                " missing in ", options_.path, ": added"));
  return absl::OkStatus();
}

absl::Status Ledgers::AddThere(const std::vector<ChargeEntry>& missing,
                               std::vector<std::string>* notes) {
  if (missing.empty()) return absl::OkStatus();
  for (const ChargeEntry& charge : missing) {
    DURE_RETURN_IF_ERROR(
        data_->Charge(options_.charge_for(charge), [](const DataSpent&) { return true; }).status());
  }
  notes->push_back(absl::StrCat(Charges(missing.size()), " in ", options_.path, " missing in ",
                                data_->path(), ": added, at the cost of the approved terms"));
  return absl::OkStatus();
}

absl::Status Ledgers::Refresh() { return data_ ? data_->Refresh() : absl::OkStatus(); }

absl::StatusOr<bool> Ledgers::Write(const member::WriteLedger& write, double total_epsilon,
                                    double total_delta) {
  if (data_ && write.charge) {
    const DataCharge& charge = *write.charge;
    const bool afterwards = charge.attempt.round == RoundNumber(0);
    auto fits = [&](const DataSpent& spent) {
      return afterwards || charge.cost.unit == PrivacySection::NONE ||
             spent.all.EpsilonWith(charge.cost, total_delta) <= total_epsilon;
    };
    DURE_ASSIGN_OR_RETURN(const bool written, data_->Charge(charge, fits));
    if (!written) return false;
  }
  DURE_RETURN_IF_ERROR(file_.Append(write.entry));
  return true;
}

}  // namespace dure
