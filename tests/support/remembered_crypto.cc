// Ed25519 and X25519 that remember: the same key and the same bytes give the same answer without
// being computed again. Tests that run one session thousands of times, with the same seeds and one
// thing changed, spend nearly all of their time there otherwise. The linker puts these functions in
// the place of the real ones (--wrap, see dure_remember_crypto in cmake/DureTargets.cmake), which
// answer everything that was not asked before. Not thread-safe; for tests and fuzzers only.
#include <optional>
#include <string>
#include <unordered_map>

#include "crypto/ed25519.h"
#include "crypto/x25519.h"

namespace dure {
namespace {

// Most answers that are remembered of one kind; then it begins anew.
constexpr size_t kMaxRemembered = 1 << 17;

template <typename Answer>
class Remembered {
 public:
  template <typename Compute>
  const Answer& Get(std::string question, const Compute& compute) {
    if (answers_.size() >= kMaxRemembered) answers_.clear();
    auto [found, added] = answers_.try_emplace(std::move(question));
    if (added) found->second = compute();
    return found->second;
  }

 private:
  std::unordered_map<std::string, Answer> answers_;
};

std::string Question(ByteView first, ByteView second, ByteView third = {}) {
  std::string question;
  for (ByteView part : {first, second, third}) {
    question += std::to_string(part.size()) + ":";
    question.append(reinterpret_cast<const char*>(part.data()), part.size());
  }
  return question;
}

}  // namespace
}  // namespace dure

// The names that the compiler gives to the functions which are replaced.
#define DURE_WRAP(name) __wrap_##name
#define DURE_REAL(name) __real_##name
#define DURE_VERIFY \
  _ZN4dure15VerifySignatureERKSt5arrayIhLm32EESt4spanIKhLm18446744073709551615EES6_
#define DURE_SIGN _ZNK4dure10SigningKey4SignESt4spanIKhLm18446744073709551615EE
#define DURE_AGREE _ZNK4dure16X25519PrivateKey5AgreeERKSt5arrayIhLm32EE
#define DURE_USABLE _ZN4dure17IsUsableX25519KeyERKSt5arrayIhLm32EE
#define DURE_EXPAND_WRAP(name) DURE_WRAP(name)
#define DURE_EXPAND_REAL(name) DURE_REAL(name)
#define DURE_WRAPPED(name) DURE_EXPAND_WRAP(name)
#define DURE_ORIGINAL(name) DURE_EXPAND_REAL(name)

using Agreed = absl::StatusOr<dure::SecretBytes>;

extern "C" {
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wreturn-type-c-linkage"
#endif

bool DURE_ORIGINAL(DURE_VERIFY)(const dure::PublicKey&, dure::ByteView, dure::ByteView);
bool DURE_WRAPPED(DURE_VERIFY)(const dure::PublicKey& key, dure::ByteView message,
                               dure::ByteView signature) {
  static auto* const remembered = new dure::Remembered<bool>;
  return remembered->Get(dure::Question(key, message, signature),
                         [&] { return DURE_ORIGINAL(DURE_VERIFY)(key, message, signature); });
}

dure::Signature DURE_ORIGINAL(DURE_SIGN)(const dure::SigningKey*, dure::ByteView);
dure::Signature DURE_WRAPPED(DURE_SIGN)(const dure::SigningKey* key, dure::ByteView message) {
  static auto* const remembered = new dure::Remembered<dure::Signature>;
  return remembered->Get(dure::Question(key->public_key(), message),
                         [&] { return DURE_ORIGINAL(DURE_SIGN)(key, message); });
}

Agreed DURE_ORIGINAL(DURE_AGREE)(const dure::X25519PrivateKey*, const dure::X25519PublicKey&);
Agreed DURE_WRAPPED(DURE_AGREE)(const dure::X25519PrivateKey* key,
                                const dure::X25519PublicKey& peer) {
  static auto* const remembered = new dure::Remembered<std::optional<Agreed>>;
  const Agreed& agreed = *remembered->Get(dure::Question(key->public_key(), peer), [&] {
    return std::optional<Agreed>(DURE_ORIGINAL(DURE_AGREE)(key, peer));
  });
  if (!agreed.ok()) return agreed.status();
  return agreed->Clone();
}

bool DURE_ORIGINAL(DURE_USABLE)(const dure::X25519PublicKey&);
bool DURE_WRAPPED(DURE_USABLE)(const dure::X25519PublicKey& key) {
  static auto* const remembered = new dure::Remembered<bool>;
  return remembered->Get(dure::Question(key, {}), [&] { return DURE_ORIGINAL(DURE_USABLE)(key); });
}

#if defined(__clang__)
#pragma clang diagnostic pop
#endif
}
