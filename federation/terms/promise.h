// What a federation protects and what not, in plain words, for every unit of
// privacy and every way to compute (docs/secure-aggregation.md sections 2.3
// and 2.4, docs/THREAT_MODEL.md). Thread-safe: pure functions.
#ifndef DURE_FEDERATION_TERMS_PROMISE_H_
#define DURE_FEDERATION_TERMS_PROMISE_H_

#include <string>

#include "federation/terms/terms.h"

namespace dure {

// Whether nothing but trust keeps the coordinator from learning what single
// members hold: secure aggregation is off, and the noise is not the members'
// own.
bool CoordinatorIsTrusted(const RoundTerms& terms);

// What is protected, from whom, and what is not: a few sentences.
std::string PromiseInWords(const RoundTerms& terms);

}  // namespace dure

#endif  // DURE_FEDERATION_TERMS_PROMISE_H_
