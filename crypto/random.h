// Where random bytes come from. Thread-safety: see each class.
#ifndef DURE_CRYPTO_RANDOM_H_
#define DURE_CRYPTO_RANDOM_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace dure {

class Random {
 public:
  virtual ~Random() = default;
  // Fills `out` with random bytes. There is no error: without randomness the process ends.
  virtual void Fill(std::span<uint8_t> out) = 0;
};

// RAND_priv_bytes of OpenSSL: for keys, self-mask seeds and share coefficients. Thread-safe.
class SystemRandom final : public Random {
 public:
  void Fill(std::span<uint8_t> out) override;
};

// The AES-256-CTR keystream of a seed (key = seed, counter block starting at 0): for bulk noise,
// Poisson coins and rounding. The seed must be fresh (SystemRandom) in shipped programs; a fixed
// seed is for tests and the simulator. Buffered, so that small requests are cheap. Not
// thread-safe. The seed and what was not used are wiped at the end.
class AesCtrRandom final : public Random {
 public:
  using Seed = std::array<uint8_t, 32>;
  explicit AesCtrRandom(const Seed& seed);
  // Seeded with 32 bytes of `source`.
  explicit AesCtrRandom(Random& source);
  ~AesCtrRandom() override;
  AesCtrRandom(AesCtrRandom&&) noexcept;
  AesCtrRandom& operator=(AesCtrRandom&&) noexcept;

  void Fill(std::span<uint8_t> out) override;
  // The next 8 bytes of the stream, little-endian.
  uint64_t NextU64();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dure

#endif  // DURE_CRYPTO_RANDOM_H_
