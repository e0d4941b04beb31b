#include "audit/evidence_folder.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "crypto/digest.h"

namespace dure::audit {
namespace {

constexpr char kSuffix[] = ".evidence";

const char* KindName(Contradiction::KindCase kind) {
  switch (kind) {
    case Contradiction::kRosters:
      return "rosters";
    case Contradiction::kDealers:
      return "dealers";
    case Contradiction::kSurvivors:
      return "survivors";
    case Contradiction::kAdvertises:
      return "keys";
    case Contradiction::kShares:
      return "shares";
    default:
      return "inputs";
  }
}

size_t CountEvidence(const std::string& folder) {
  size_t count = 0;
  std::error_code unreadable;  // writing says why
  for (std::filesystem::directory_iterator file(folder, unreadable), end;
       !unreadable && file != end; file.increment(unreadable)) {
    count += file->path().extension() == kSuffix ? 1 : 0;
  }
  return count;
}

}  // namespace

absl::StatusOr<std::string> KeepEvidence(const std::string& folder,
                                         const Contradiction& contradiction,
                                         const EvidenceSigner& signer) {
  const std::string bytes = EncodeEvidence(contradiction, signer);
  const std::string path = absl::StrCat(folder, "/", KindName(contradiction.kind_case()), "-",
                                        contradiction.config().attempt(), "-",
                                        ToHex(Sha256(AsBytes(bytes))).substr(0, 8), kSuffix);
  if (FileExists(path)) return path;
  DURE_RETURN_IF_ERROR(MakeFolder(folder, 0700));
  if (CountEvidence(folder) >= kMaxEvidenceFiles) {
    return absl::ResourceExhaustedError(
        absl::StrCat(folder, " has ", kMaxEvidenceFiles,
                     " files already, and no more are written: move those that are read"));
  }
  DURE_RETURN_IF_ERROR(WriteFileAtomic(path, bytes, 0600));
  return path;
}

}  // namespace dure::audit
