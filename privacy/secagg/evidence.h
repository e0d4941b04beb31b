// Two signed statements of one signer that an honest signer never makes together. Anyone who knows
// the key can check them with VerifySignature; nothing else is needed.
#ifndef DURE_PRIVACY_SECAGG_EVIDENCE_H_
#define DURE_PRIVACY_SECAGG_EVIDENCE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "crypto/ed25519.h"

namespace dure::secagg {

struct SignedStatement {
  std::vector<uint8_t> statement;  // M(label, ...), what the signature is over
  Signature signature = {};
};

struct Evidence {
  PublicKey signer = {};
  std::string what;  // for people: "two rosters for one Advertise"
  SignedStatement first;
  SignedStatement second;
};

}  // namespace dure::secagg

#endif  // DURE_PRIVACY_SECAGG_EVIDENCE_H_
