// SPDX-License-Identifier: Apache-2.0
// Tables against their definition in float64, and instruction sets against each other, bit for bit.
#include "check.h"
#include "lut_tables.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

using namespace edgeq;
using namespace edgeq::tests;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Case {
  std::size_t k, group_size, table_bits;

  kernels::Grouping inputs() const { return kernels::make_grouping(k, group_size); }
  std::string text() const {
    return "k=" + std::to_string(k) + " group=" + std::to_string(group_size) + " bits=" + std::to_string(table_bits);
  }
};

double signed_sum(const float* x, std::size_t left, std::size_t index) {
  double sum = 0;
  for (std::size_t j = 0; j < 4 && j < left; ++j)
    sum += (index >> j & 1) != 0 ? x[j] : -static_cast<double>(x[j]);
  return sum;
}

/// Every entry is within half a step of its value, the largest is at the limit, and sums are exact up to rounding.
void check_block(const Case& c, const LutTables& tables, const float* x, std::size_t start, std::size_t end) {
  const kernels::LutBlock block = tables.blocks()[c.inputs().block_index(start)];
  const int limit = (1 << (c.table_bits - 1)) - 1;
  double sum = 0, magnitude = 0;
  int largest = 0;
  for (std::size_t k = start; k < end; k += 4) {
    const std::size_t left = k < c.k ? c.k - k : 0;
    for (std::size_t index = 0; index < 16; ++index) {
      const int entry = tables.entry(0, k, index);
      largest = std::max(largest, std::abs(entry));
      CHECK(std::fabs(entry * static_cast<double>(block.scale) - signed_sum(x + k, left, index)) <=
                0.51 * block.scale + 1e-30,
            c.text());
    }
    for (std::size_t j = 0; j < 4 && j < left; ++j) {
      sum += x[k + j];
      magnitude += std::fabs(x[k + j]);
    }
  }
  CHECK(largest == (block.scale == 0 ? 0 : limit), c.text());
  CHECK(std::fabs(block.sum - sum) <= 1e-6 * magnitude, c.text());
}

void check_finite(const Case& c, const GuardedBuffer<float>& x) {
  const kernels::Grouping inputs = c.inputs();
  const LutTables generic(kernels::lut_gemm_kernels(kernels::Isa::generic), x.data(), 1, inputs, c.table_bits);
  for (std::size_t start = 0; start < inputs.padded_k; start = inputs.block_end(start))
    check_block(c, generic, x.data(), start, inputs.block_end(start));
}

/// All instruction sets build the bytes that the generic kernel builds; NaN counts as equal to NaN.
void check_isas(const Case& c, const GuardedBuffer<float>& x, std::size_t tokens) {
  const LutTables generic(kernels::lut_gemm_kernels(kernels::Isa::generic), x.data(), tokens, c.inputs(), c.table_bits);
  for (const kernels::Isa isa : kernels::available_isas()) {
    const LutTables tables(kernels::lut_gemm_kernels(isa), x.data(), tokens, c.inputs(), c.table_bits);
    const std::string text = c.text() + " " + kernels::isa_name(isa);
    CHECK(std::memcmp(tables.entries().data(), generic.entries().data(), generic.entries().size()) == 0, text);
    for (std::size_t i = 0; i < generic.blocks().size(); ++i) {
      const kernels::LutBlock a = tables.blocks()[i], b = generic.blocks()[i];
      CHECK(a.scale == b.scale || (std::isnan(a.scale) && std::isnan(b.scale)), text);
      CHECK(a.sum == b.sum || (std::isnan(a.sum) && std::isnan(b.sum)), text);
    }
  }
}

template <class Fill> GuardedBuffer<float>& fill(GuardedBuffer<float>& x, const Fill& value) {
  for (float& element : x)
    element = value();
  return x;
}

void test_values(const Case& c, std::mt19937& random) {
  std::normal_distribution<float> normal;
  GuardedBuffer<float> x(c.k);
  check_finite(c, fill(x, [&] { return normal(random); }));
  check_isas(c, x, 1);
  check_finite(c, fill(x, [&] { return static_cast<float>(static_cast<int>(random() % 3) - 1); })); // ties, zeros
  check_isas(c, x, 1);
  for (const float scale : {0.0F, 1e-44F, 1e-36F, 1e-30F, 1e30F}) {
    check_finite(c, fill(x, [&] { return scale * normal(random); }));
    check_isas(c, x, 1);
  }
}

/// A value that is not finite, or a sum that is not, makes its block's scale and sum NaN, and no other's.
void test_not_finite(const Case& c, std::mt19937& random) {
  std::normal_distribution<float> normal;
  GuardedBuffer<float> x(c.k);
  for (const float bad : {std::nanf(""), kInfinity, -kInfinity, std::numeric_limits<float>::max()}) {
    fill(x, [&] { return normal(random); });
    const std::size_t place = random() % c.k / 2 * 2;
    x[place] = bad;
    if (place + 1 < c.k)
      x[place + 1] = bad; // the largest float twice: their sum overflows
    else if (bad == std::numeric_limits<float>::max())
      continue;
    check_isas(c, x, 1);
    const LutTables tables(kernels::lut_gemm_kernels(kernels::Isa::generic), x.data(), 1, c.inputs(), c.table_bits);
    std::size_t block = 0;
    for (std::size_t start = 0; start < c.k; start = c.inputs().block_end(start), ++block) {
      const bool hit = start <= place && place < c.inputs().block_end(start);
      CHECK(std::isnan(tables.blocks()[block].scale) == hit, c.text());
      CHECK(std::isnan(tables.blocks()[block].sum) == hit, c.text());
    }
  }
}

} // namespace

int main() {
  std::mt19937 random(7);
  for (const std::size_t k : {1, 30, 32, 100, 128, 260, 515})
    for (const std::size_t group_size : {0, 32, 96, 128, 160})
      for (const std::size_t table_bits : {8, 16}) {
        test_values({k, group_size, table_bits}, random);
        test_not_finite({k, group_size, table_bits}, random);
      }
  return report();
}
