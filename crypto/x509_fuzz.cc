// Every reader of certificates and requests, over any bytes. The CA is that of the corpus: a seed
// of 32 bytes 1, so that mutations get past the signature where they can.
#include <array>
#include <string>
#include <string_view>

#include "base/check.h"
#include "crypto/x509.h"

namespace {

const std::string& CaDer() {
  static const std::string* const der = [] {
    std::array<uint8_t, 32> seed;
    seed.fill(1);
    dure::AesCtrRandom random(seed);
    auto made = dure::MakeEnrolmentCa(
        dure::SigningKey::FromSeed(seed), "fuzz",
        {absl::FromUnixSeconds(1700000000), absl::FromUnixSeconds(2000000000)}, random);
    DURE_CHECK(made.ok());
    return new std::string(*std::move(made));
  }();
  return *der;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  absl::Time now = absl::FromUnixSeconds(1800000000);
  auto member = dure::VerifyMemberCertificate(input, CaDer(), now);
  auto coordinator = dure::VerifyCoordinatorCertificate(input, CaDer(), now);
  DURE_CHECK(!(member.ok() && coordinator.ok()));
  if (member.ok()) DURE_CHECK(dure::CheckMemberName(member->name).ok());
  dure::ParseCaCertificate(input).IgnoreError();
  dure::ParseCertificateRequest(input).IgnoreError();
  if (auto der = dure::CertificateFromPem(input); der.ok()) {
    auto again = dure::CertificateFromPem(dure::CertificateToPem(*der));
    DURE_CHECK(again.ok() && *again == *der);
  }
  return 0;
}
