// dure coordinator DIR --check: whether everything in a federation's folder is whole and fits
// together. Nothing in it is changed, a coordinator may be running, and it may be a copy that
// cannot be written. Thread-safe.
#ifndef DURE_COORDINATOR_SERVICE_FOLDER_CHECK_H_
#define DURE_COORDINATOR_SERVICE_FOLDER_CHECK_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace dure {

// Certificates that end sooner are warned of.
inline constexpr absl::Duration kCertificateNotice = absl::Hours(24 * 30);

struct FolderFinding {
  enum class Result { kPass, kWarn, kFail };
  Result result = Result::kPass;
  std::string check;   // one word
  std::string detail;  // what was seen, or what is wrong and what to do
};

struct FolderReport {
  std::vector<FolderFinding> findings;
  bool passed() const;
  const FolderFinding* Find(std::string_view check) const;

  void Pass(std::string check, std::string detail);
  void Warn(std::string check, std::string detail);
  // Passes if OK.
  void Add(std::string check, const absl::Status& status, std::string detail);
};

// All checks, in the order in which they can be understood; those that make no sense after an
// earlier failure are left out.
FolderReport CheckFederationFolder(const std::string& folder, absl::Time now);

}  // namespace dure

#endif  // DURE_COORDINATOR_SERVICE_FOLDER_CHECK_H_
