// Any bytes as an evidence file: refused, or exactly what would be written again. Nothing that a
// fuzzer can make is signed, so what verifies must be in the corpus; verification may only say so.
#include "audit/evidence.h"
#include "base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  absl::StatusOr<dure::audit::EvidenceFile> file = dure::audit::DecodeEvidence(bytes);
  if (!file.ok()) return 0;
  const dure::audit::Verdict verdict = dure::audit::VerifyEvidence(*file);
  DURE_CHECK(!verdict.claim.empty());
  DURE_CHECK(dure::audit::EncodeEvidence(file->contradiction(),
                                         {file->ca_certificate(), file->signer_certificate()}) ==
             bytes);
  return 0;
}
