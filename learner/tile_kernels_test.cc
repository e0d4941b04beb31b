#include "learner/tile_kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "learner/data/dataset.h"

namespace dure::kernels {
namespace {

std::vector<float> Noise(size_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> values(n);
  for (float& value : values) value = static_cast<float>(random() % 2001) / 1000.0f - 1.0f;
  return values;
}

class TileKernelsTest : public ::testing::TestWithParam<const TileKernels*> {
 protected:
  const TileKernels& kernels_ = *GetParam();
};

struct Shape {
  size_t rows, panels, inner, outer;
};

// What c has at (row, column), by the definition.
double Wanted(const TileProduct& p, size_t row, size_t column, float old) {
  const size_t panel = column / kLanes, lane = column % kLanes;
  double sum = p.start != nullptr ? p.start[column] : 0;
  for (size_t o = 0; o < p.outer; ++o) {
    for (size_t i = 0; i < p.inner; ++i) {
      sum += double{p.a[row * p.a_row + o * p.a_outer + i * p.a_step]} *
             p.b[panel * p.b_panel + o * p.b_outer + i * p.b_step + lane];
    }
  }
  if (p.relu) sum = std::max(sum, 0.0);
  switch (p.then) {
    case Then::kAdd:
      return old + sum;
    case Then::kStep:
      return old + double{p.factor} * sum;
    default:
      return sum;
  }
}

TEST_P(TileKernelsTest, ProductIsThatOfTheDefinition) {
  for (const Shape& shape : {Shape{1, 1, 1, 1},
                             {2, 3, 5, 1},
                             {3, 2, 7, 3},
                             {5, 1, 4, 2},
                             {6, 2, 9, 1},
                             {7, 5, 3, 2},
                             {8, 1, 1, 1},
                             {10, 2, 6, 1},
                             {13, 3, 2, 4},
                             {14, 4, 11, 1},
                             {15, 1, 3, 1},
                             {29, 2, 5, 2},
                             {33, 3, 2, 1}}) {
    const size_t a_row = shape.inner + 3, b_step = kLanes + 4;
    const size_t a_outer = shape.rows * a_row, b_outer = shape.inner * b_step;
    const size_t c_row = shape.panels * kLanes + 5;
    const auto a = Noise(shape.outer * a_outer, 1),
               b = Noise(shape.outer * b_outer * shape.panels, 2);
    const auto start = Noise(shape.panels * kLanes, 3), before = Noise(shape.rows * c_row, 4);
    for (const Then then : {Then::kStore, Then::kAdd, Then::kStep}) {
      for (const bool relu : {false, true}) {
        std::vector<float> c = before;
        const TileProduct p = {.rows = shape.rows,
                               .panels = shape.panels,
                               .inner = shape.inner,
                               .outer = shape.outer,
                               .a = a.data(),
                               .a_row = a_row,
                               .a_step = 1,
                               .a_outer = a_outer,
                               .b = b.data(),
                               .b_panel = shape.outer * b_outer,
                               .b_step = b_step,
                               .b_outer = b_outer,
                               .c = c.data(),
                               .c_row = c_row,
                               .c_panel = kLanes,
                               .start = relu ? start.data() : nullptr,
                               .relu = relu,
                               .then = then,
                               .factor = -0.75f};
        kernels_.multiply(p);
        for (size_t row = 0; row < shape.rows; ++row) {
          for (size_t column = 0; column < c_row; ++column) {
            const float old = before[row * c_row + column];
            const bool inside = column < shape.panels * kLanes;
            // What lies between the rows is left alone.
            ASSERT_NEAR(c[row * c_row + column], inside ? Wanted(p, row, column, old) : old, 1e-5)
                << shape.rows << " x " << shape.panels << " at " << row << ", " << column;
          }
        }
      }
    }
  }
}

// A number's sum runs in one order, whatever stands beside it.
TEST_P(TileKernelsTest, ARowIsTheSameAloneAndAmongOthers) {
  constexpr size_t kRows = 31, kInner = 50;
  const auto a = Noise(kRows * kInner, 1), b = Noise(kInner * 2 * kLanes, 2);
  std::vector<float> all(kRows * 2 * kLanes), alone(2 * kLanes);
  TileProduct p = {.rows = kRows,
                   .panels = 2,
                   .inner = kInner,
                   .a = a.data(),
                   .a_row = kInner,
                   .a_step = 1,
                   .b = b.data(),
                   .b_panel = kInner * kLanes,
                   .b_step = kLanes,
                   .c = all.data(),
                   .c_row = 2 * kLanes,
                   .c_panel = kLanes};
  kernels_.multiply(p);
  p.rows = 1;
  p.c = alone.data();
  for (size_t row = 0; row < kRows; ++row) {
    p.a = a.data() + row * kInner;
    kernels_.multiply(p);
    EXPECT_EQ(alone, std::vector<float>(all.begin() + row * 2 * kLanes,
                                        all.begin() + (row + 1) * 2 * kLanes));
  }
}

TEST_P(TileKernelsTest, WhatIsNotANumberStaysSo) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> a = {nan}, b(kLanes, 1);
  std::vector<float> c(kLanes);
  kernels_.multiply({.rows = 1,
                     .panels = 1,
                     .inner = 1,
                     .a = a.data(),
                     .b = b.data(),
                     .c = c.data(),
                     .relu = true});
  for (const float value : c) EXPECT_TRUE(std::isnan(value));
  const std::vector<float> many(19, nan);
  std::vector<float> out(19);
  kernels_.relu(many.data(), out.data(), 19);
  for (const float value : out) EXPECT_TRUE(std::isnan(value));
}

TEST_P(TileKernelsTest, RowsOfNumbers) {
  for (const size_t n : {1, 7, 16, 35, 64}) {
    const auto x = Noise(n, 1), y = Noise(n, 2);
    std::vector<float> relu(n), gradient = y;
    kernels_.relu(x.data(), relu.data(), n);
    kernels_.relu_backward(x.data(), gradient.data(), n);
    for (size_t i = 0; i < n; ++i) {
      EXPECT_EQ(relu[i], std::max(x[i], 0.0f));
      EXPECT_EQ(gradient[i], x[i] > 0 ? y[i] : 0.0f);
    }
    for (const Then then : {Then::kStore, Then::kAdd, Then::kStep}) {
      std::vector<float> to = y;
      kernels_.apply(then, 0.5f, x.data(), to.data(), n);
      for (size_t i = 0; i < n; ++i) {
        const float old = then == Then::kStore ? 0 : y[i];
        EXPECT_NEAR(to[i], old + (then == Then::kStep ? 0.5f : 1.0f) * x[i], 1e-6);
      }
    }
    std::vector<uint8_t> bytes(n);
    for (size_t i = 0; i < n; ++i) bytes[i] = static_cast<uint8_t>(255 - 3 * i);
    std::vector<float> floats(n);
    kernels_.bytes_to_floats(bytes.data(), floats.data(), n);
    for (size_t i = 0; i < n; ++i) EXPECT_EQ(floats[i], ByteToFloat(bytes[i]));
  }
}

TEST_P(TileKernelsTest, SgdStepTakesOffCorrectionAndDrawsBack) {
  constexpr size_t kCount = 37;
  const auto w = Noise(kCount, 1), g = Noise(kCount, 2), correction = Noise(kCount, 3),
             began = Noise(kCount, 4);
  for (const bool corrected : {false, true}) {
    for (const bool drawn : {false, true}) {
      std::vector<float> moved = w;
      kernels_.sgd_step({.n = kCount,
                         .w = moved.data(),
                         .g = g.data(),
                         .factor = 0.25f,
                         .correction = corrected ? correction.data() : nullptr,
                         .rate = 0.5f,
                         .began = drawn ? began.data() : nullptr,
                         .back = 0.125f});
      for (size_t i = 0; i < kCount; ++i) {
        const double want = w[i] + 0.25 * g[i] - (corrected ? 0.5 * correction[i] : 0) -
                            (drawn ? 0.125 * (w[i] - began[i]) : 0);
        EXPECT_NEAR(moved[i], want, 1e-6);
      }
    }
  }
}

TEST_P(TileKernelsTest, DifferencesAndWhetherTheyAreWithinBounds) {
  for (const size_t n : {1, 16, 37}) {
    const auto x = Noise(n, 1), y = Noise(n, 2);
    std::vector<float> difference = x;
    EXPECT_TRUE(kernels_.subtract(y.data(), 2.0f, difference.data(), n));
    for (size_t i = 0; i < n; ++i) EXPECT_EQ(difference[i], x[i] - y[i]);
    for (const float bad : {3.5f, -3.5f, std::numeric_limits<float>::quiet_NaN(),
                            std::numeric_limits<float>::infinity()}) {
      for (size_t i = 0; i < n; ++i) {
        difference = x;
        difference[i] = bad;
        EXPECT_FALSE(kernels_.subtract(y.data(), 2.0f, difference.data(), n)) << bad << " at " << i;
      }
    }
  }
}

TEST_P(TileKernelsTest, TransposeAndSumOfRows) {
  for (const size_t rows : {1, 5, 16, 33}) {
    for (const size_t columns : {1, 16, 21, 48}) {
      const size_t apart = columns + 3, to_row = rows + 2;
      const auto from = Noise(rows * apart, 1);
      std::vector<float> to(columns * to_row, 9.0f), sum(columns);
      kernels_.transpose(from.data(), rows, columns, apart, to.data(), to_row);
      kernels_.sum_rows(from.data(), rows, columns, apart, sum.data());
      for (size_t j = 0; j < columns; ++j) {
        double want = 0;
        for (size_t i = 0; i < rows; ++i) {
          EXPECT_EQ(to[j * to_row + i], from[i * apart + j]);
          want += from[i * apart + j];
        }
        EXPECT_EQ(to[j * to_row + rows], 9.0f);
        EXPECT_NEAR(sum[j], want, 1e-5);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(InstructionSets, TileKernelsTest, ::testing::ValuesIn(TileKernelsHere()),
                         [](const auto& info) { return std::string(info.param->name); });

TEST(BestTileKernelsTest, AreThoseOfTheOtherKernels) {
  EXPECT_STREQ(BestTileKernels().name, InstructionSet());
  EXPECT_STREQ(TileKernelsHere().back()->name, "baseline");
}

}  // namespace
}  // namespace dure::kernels
