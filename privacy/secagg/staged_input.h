// An input that came ahead of its message, in pieces, and was put aside whole: what a session has
// to know of it, and where its bytes are. The message that refers to it has an empty `packed`.
#ifndef DURE_PRIVACY_SECAGG_STAGED_INPUT_H_
#define DURE_PRIVACY_SECAGG_STAGED_INPUT_H_

#include <cstdint>
#include <memory>

#include "base/byte_source.h"
#include "crypto/digest.h"

namespace dure::secagg {

struct StagedInput {
  Digest sha256 = {};  // of all its bytes, as they came
  uint8_t last_byte = 0;
  std::shared_ptr<const ByteSource> bytes;
};

}  // namespace dure::secagg

#endif  // DURE_PRIVACY_SECAGG_STAGED_INPUT_H_
