// Floats that begin where a cache line does, all zeros at first: a vector of registers' width that
// crosses lines costs two reads. Not thread-safe.
#ifndef DURE_LEARNER_ALIGNED_FLOATS_H_
#define DURE_LEARNER_ALIGNED_FLOATS_H_

#include <cstddef>
#include <memory>
#include <new>

namespace dure {

class AlignedFloats {
 public:
  AlignedFloats() = default;
  explicit AlignedFloats(size_t size)
      : floats_(static_cast<float*>(::operator new[](size * sizeof(float), kAlignment))),
        size_(size) {
    std::uninitialized_fill_n(floats_.get(), size, 0.0f);
  }

  float* data() { return floats_.get(); }
  const float* data() const { return floats_.get(); }
  size_t size() const { return size_; }
  // At least `size` floats; what was in them is lost if it grows.
  void Reserve(size_t size) {
    if (size > size_) *this = AlignedFloats(size);
  }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Free {
    void operator()(float* floats) const { ::operator delete[](floats, kAlignment); }
  };
  std::unique_ptr<float[], Free> floats_;
  size_t size_ = 0;
};

}  // namespace dure

#endif  // DURE_LEARNER_ALIGNED_FLOATS_H_
