#include "tests/world/people.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "tests/world/dice.h"

namespace dure::world {
namespace {

SigningKey KeyOf(std::string_view who, uint32_t number = 0) {
  AesCtrRandom random(StreamOf(0, who, number));
  return SigningKey::Generate(random);
}

constexpr absl::Duration kBefore = absl::Hours(1);
constexpr absl::Duration kAfter = absl::Hours(10'000);

}  // namespace

People& People::Get() {
  static People& people = *new People();
  return people;
}

People::People()
    : clock_(absl::FromUnixSeconds(kFirstSecond)),
      ca_key_(KeyOf("ca")),
      coordinator_(KeyOf("coordinator")) {
  AesCtrRandom random(StreamOf(0, "certificate of the ca"));
  auto ca =
      MakeEnrolmentCa(ca_key_, "world", {clock_.Now() - kBefore, clock_.Now() + kAfter}, random);
  DURE_CHECK(ca.ok());
  ca_ = *std::move(ca);
  auto issuer = CertificateIssuer::Create(ca_, &ca_key_);
  DURE_CHECK(issuer.ok());
  issuer_ = std::make_unique<CertificateIssuer>(*std::move(issuer));
  verifier_ = std::make_unique<secagg::CertificateCache>(ca_, &clock_);
}

Person People::Make(const std::string& name, Role role, uint32_t number) const {
  Person person{.name = name, .role = role, .key = KeyOf(name, number)};
  AesCtrRandom random(StreamOf(0, absl::StrCat("certificate of ", name), number));
  auto certificate = issuer_->IssueMember(
      {.role = role == EVALUATOR ? CertificateRole::kEvaluator : CertificateRole::kMember,
       .name = name},
      person.key.public_key(),
      {absl::FromUnixSeconds(kFirstSecond) - kBefore, absl::FromUnixSeconds(kFirstSecond) + kAfter},
      random);
  DURE_CHECK(certificate.ok());
  person.certificate = *std::move(certificate);
  person.id = secagg::MemberIdOf(person.key.public_key());
  return person;
}

const Person& People::Member(uint32_t index) {
  while (members_.size() <= index) {
    const auto number = static_cast<uint32_t>(members_.size());
    members_.push_back(Make(absl::StrCat("m", number), MEMBER, number));
  }
  return members_[index];
}

const Person& People::Evaluator() {
  if (evaluators_.empty()) evaluators_.push_back(Make("evaluator", EVALUATOR, 0));
  return evaluators_.front();
}

}  // namespace dure::world
