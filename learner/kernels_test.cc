#include "learner/kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace dure::kernels {
namespace {

std::vector<float> Noise(size_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> values(n);
  for (float& value : values) value = static_cast<float>(random() % 2001) / 1000.0f - 1.0f;
  return values;
}

TEST(KernelsTest, ProductIsThatOfTheDefinition) {
  for (size_t m : {1, 2, 3, 8, 17, 29}) {
    for (size_t n : {1, 15, 16, 17, 32, 50, 64, 100}) {
      for (size_t k : {1, 2, 25}) {
        const auto a = Noise(m * k, 1), b = Noise(k * (n + 3), 2), start = Noise(n, 3);
        for (bool transposed : {false, true}) {
          for (const float* from : {static_cast<const float*>(nullptr), start.data()}) {
            std::vector<float> c(m * (n + 5), 7.0f);
            Multiply({.m = m,
                      .n = n,
                      .k = k,
                      .a = a.data(),
                      .a_row = transposed ? 1 : k,
                      .a_col = transposed ? m : 1,
                      .b = b.data(),
                      .ldb = n + 3,
                      .c = c.data(),
                      .ldc = n + 5,
                      .start = from});
            for (size_t row = 0; row < m; ++row) {
              for (size_t col = 0; col < n + 5; ++col) {
                double want = col < n && from ? from[col] : 0;
                for (size_t i = 0; i < k && col < n; ++i) {
                  want += double{a[transposed ? i * m + row : row * k + i]} * b[i * (n + 3) + col];
                }
                // What lies between the rows is left alone.
                ASSERT_NEAR(c[row * (n + 5) + col], col < n ? want : 7.0, 1e-5)
                    << m << " x " << n << " x " << k << " at " << row << ", " << col;
              }
            }
          }
        }
      }
    }
  }
}

TEST(KernelsTest, TanhIsAccurateEverywhere) {
  std::vector<float> in;
  for (int exponent = -30; exponent <= 5; ++exponent) {
    for (float mantissa : {1.0f, 1.1f, 1.37f, 1.618f, 1.99f}) {
      in.push_back(std::ldexp(mantissa, exponent));
      in.push_back(-in.back());
    }
  }
  for (int i = 0; i <= 2000; ++i) in.push_back(static_cast<float>(i) * 0.005f);
  std::vector<float> out(in.size());
  Tanh(in.data(), out.data(), in.size());
  for (size_t i = 0; i < in.size(); ++i) {
    const double want = std::tanh(double{in[i]});
    EXPECT_NEAR(out[i], want, std::abs(want) * 4e-7) << in[i];
    EXPECT_LE(std::abs(out[i]), 1.0f) << in[i];
  }
}

TEST(KernelsTest, TanhOfWhatIsNotFinite) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float in[] = {0.0f, -0.0f, kInfinity, -kInfinity, std::nanf("")};
  float out[5];
  Tanh(in, out, 5);
  EXPECT_EQ(out[0], 0);
  EXPECT_TRUE(std::signbit(out[1]));
  EXPECT_EQ(out[2], 1);
  EXPECT_EQ(out[3], -1);
  EXPECT_TRUE(std::isnan(out[4]));
}

TEST(KernelsTest, TanhBackwardMultipliesByTheSlope) {
  const auto value = Noise(37, 1);
  auto gradient = Noise(37, 2);
  const auto before = gradient;
  TanhBackward(value.data(), gradient.data(), gradient.size());
  for (size_t i = 0; i < value.size(); ++i) {
    EXPECT_NEAR(gradient[i], before[i] * (1 - value[i] * value[i]), 1e-6);
  }
}

TEST(KernelsTest, PoolingTakesTheFirstMaximumAndSendsTheGradientThere) {
  for (size_t channels : {1, 16, 19, 32}) {
    const Pool pool{.channels = channels,
                    .in_width = 4,
                    .out_height = 2,
                    .out_width = 3,
                    .kernel = 2,
                    .stride = 1};
    std::vector<float> in(3 * 4 * channels);
    std::mt19937 random(5);
    for (float& value : in) value = static_cast<float>(random() % 3);  // many equal values
    std::vector<float> out(2 * 3 * channels), in_gradient(in.size());
    std::vector<int32_t> chosen(out.size());
    MaxPool(pool, in.data(), out.data(), chosen.data());
    const auto out_gradient = Noise(out.size(), 6);
    MaxPoolBackward(pool, out_gradient.data(), chosen.data(), in_gradient.data());

    std::vector<float> want_gradient(in.size());
    for (size_t y = 0; y < 2; ++y) {
      for (size_t x = 0; x < 3; ++x) {
        for (size_t c = 0; c < channels; ++c) {
          size_t best = (y * 4 + x) * channels + c;
          for (size_t place : {1, 4, 5}) {
            const size_t at = (y * 4 + x + place) * channels + c;
            if (in[at] > in[best]) best = at;
          }
          EXPECT_EQ(out[(y * 3 + x) * channels + c], in[best]);
          want_gradient[best] += out_gradient[(y * 3 + x) * channels + c];
        }
      }
    }
    for (size_t i = 0; i < in.size(); ++i) EXPECT_NEAR(in_gradient[i], want_gradient[i], 1e-6);
  }
}

}  // namespace
}  // namespace dure::kernels
