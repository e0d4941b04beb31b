// Those who take part in worlds: keys and certificates, the same in every world and every process,
// made once. Not thread-safe.
#ifndef DURE_TESTS_WORLD_PEOPLE_H_
#define DURE_TESTS_WORLD_PEOPLE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "base/clock.h"
#include "crypto/ed25519.h"
#include "crypto/x509.h"
#include "privacy/secagg/certificate_cache.h"
#include "privacy/secagg/identity.h"
#include "proto/wire.pb.h"

namespace dure::world {

// When every world begins.
inline constexpr int64_t kFirstSecond = 1'800'000'000;

struct Person {
  std::string name;
  Role role = MEMBER;
  SigningKey key;
  std::string certificate;  // DER
  secagg::MemberId id{};
};

class People {
 public:
  static People& Get();

  // Number `index` of the members; made at the first call.
  const Person& Member(uint32_t index);
  const Person& Evaluator();
  const SigningKey& coordinator() const { return coordinator_; }
  secagg::CertificateVerifier* verifier() { return verifier_.get(); }

 private:
  People();
  Person Make(const std::string& name, Role role, uint32_t number) const;

  ManualClock clock_;
  SigningKey ca_key_;
  SigningKey coordinator_;
  std::string ca_;
  std::unique_ptr<CertificateIssuer> issuer_;
  std::unique_ptr<secagg::CertificateCache> verifier_;
  std::deque<Person> members_;
  std::deque<Person> evaluators_;  // one at most
};

}  // namespace dure::world

#endif  // DURE_TESTS_WORLD_PEOPLE_H_
