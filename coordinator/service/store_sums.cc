// The store of sums: of the statistics, and of members' measurements (docs/statistics.md).
#include <bit>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "coordinator/service/sql.h"
#include "coordinator/service/store.h"

namespace dure {
namespace {

// Binary64, little-endian.
std::string BytesOf(const std::vector<double>& numbers) {
  std::string bytes;
  bytes.reserve(numbers.size() * sizeof(double));
  for (const double number : numbers) {
    const auto bits = std::bit_cast<uint64_t>(number);
    for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(bits >> (8 * i)));
  }
  return bytes;
}

std::vector<double> NumbersOf(const std::string& bytes) {
  std::vector<double> numbers;
  for (size_t at = 0; at + sizeof(double) <= bytes.size(); at += sizeof(double)) {
    uint64_t bits = 0;
    for (size_t i = 0; i < 8; ++i) bits |= uint64_t{static_cast<uint8_t>(bytes[at + i])} << (8 * i);
    numbers.push_back(std::bit_cast<double>(bits));
  }
  return numbers;
}

}  // namespace

absl::Status Store::RecordSums(const SumsReleased& sums) {
  DURE_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  DURE_RETURN_IF_ERROR(Statement(database_, "UPDATE attempts SET ended = ? WHERE attempt = ?")
                           .Bind(sums.at)
                           .Bind(int64_t{sums.attempt.value()})
                           .Run());
  DURE_RETURN_IF_ERROR(Statement(database_, "INSERT INTO sums VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
                           .Bind(int64_t{sums.attempt.value()})
                           .Bind(static_cast<int64_t>(sums.kind))
                           .Bind(int64_t{sums.round.value()})
                           .Bind(int64_t{sums.cohort})
                           .Bind(int64_t{sums.survivors})
                           .Bind(sums.epsilon)
                           .Bind(sums.noise)
                           .BindBlob(AsBytes(BytesOf(sums.sums)))
                           .Bind(sums.at)
                           .Run());
  DURE_RETURN_IF_ERROR(RecordDealers(sums.dealers, sums.attempt));
  return transaction.Commit();
}

absl::Status Store::LoadSums(RunState* run) {
  Statement attempts(database_, "SELECT kind, round FROM attempts");
  for (;;) {
    DURE_ASSIGN_OR_RETURN(const bool found, attempts.Step());
    if (!found) break;
    const auto kind = static_cast<SumsKind>(attempts.Int(0));
    ++run->counts.of(kind);
    const bool newest = attempts.Int(1) == int64_t{run->round.value()};
    if (kind == SumsKind::kEvaluation && newest) ++run->evaluation_attempts;
  }
  Statement sums(database_,
                 "SELECT attempt, kind, round, cohort, survivors, epsilon, noise, sums, released "
                 "FROM sums ORDER BY attempt");
  for (;;) {
    DURE_ASSIGN_OR_RETURN(const bool found, sums.Step());
    if (!found) return absl::OkStatus();
    SumsReleased released{.kind = static_cast<SumsKind>(sums.Int(1)),
                          .attempt = AttemptNumber(static_cast<uint32_t>(sums.Int(0))),
                          .round = RoundNumber(static_cast<uint32_t>(sums.Int(2))),
                          .cohort = static_cast<uint32_t>(sums.Int(3)),
                          .survivors = static_cast<uint32_t>(sums.Int(4)),
                          .epsilon = sums.Real(5),
                          .noise = sums.Real(6),
                          .sums = NumbersOf(sums.Blob(7)),
                          .at = sums.Time(8)};
    if (released.kind == SumsKind::kStatistics) {
      run->statistics = std::move(released);
    } else {
      run->member_evaluations.push_back(std::move(released));
    }
  }
}

}  // namespace dure
