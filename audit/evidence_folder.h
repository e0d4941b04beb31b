// A folder of evidence files. Functions write it; not thread-safe for one folder.
#ifndef DURE_AUDIT_EVIDENCE_FOLDER_H_
#define DURE_AUDIT_EVIDENCE_FOLDER_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "audit/evidence.h"
#include "proto/audit.pb.h"

namespace dure::audit {

// Most files that a folder is given: whoever contradicts itself more often proves nothing more, and
// cannot fill the disk.
inline constexpr size_t kMaxEvidenceFiles = 64;

// Writes the evidence into `folder`, which is made if it is missing, and syncs it: readable by its
// owner only, named by kind, attempt and hash. Its path; the same for evidence that is there
// already. ResourceExhausted if the folder has kMaxEvidenceFiles, or the disk is full; otherwise
// errors as WriteFileAtomic.
absl::StatusOr<std::string> KeepEvidence(const std::string& folder,
                                         const Contradiction& contradiction,
                                         const EvidenceSigner& signer);

}  // namespace dure::audit

#endif  // DURE_AUDIT_EVIDENCE_FOLDER_H_
