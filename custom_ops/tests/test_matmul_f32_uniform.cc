// SPDX-License-Identifier: Apache-2.0
// Products with float activations, and decoded rows, against float64.
#include "check.h"
#include "f32_products.h"
#include "uniform_weight.h"

#include "kernels/decode_row.h"
#include "kernels/dint_gemm.h"

using namespace edgeq;
using namespace edgeq::tests;

namespace {

// Float32 rounding of a sum of up to 1100 terms, relative to the sum of magnitudes.
constexpr double kTolerance = 2e-6;

void check_products(const UniformCase& c, const UniformWeight& weight, std::size_t tokens, Random& random) {
  std::normal_distribution<float> normal;
  GuardedBuffer<float> x(tokens * c.k), bias(c.n), y(tokens * c.n);
  for (float& value : x)
    value = normal(random);
  for (float& value : bias)
    value = normal(random);
  for (const kernels::Isa isa : kernels::available_isas()) {
    const kernels::MatmulF32 product{c.layout(), weight.packed(), x.data(), tokens, bias.data(), y.data()};
    for_each_f32_kernel(kernels::dint_gemm_kernels(isa), product, [&](const char* kernel) {
      for (std::size_t i = 0; i < y.size(); ++i) {
        const std::size_t token = i / c.n, row = i % c.n;
        double sum = bias[row], magnitude = std::fabs(sum);
        for (std::size_t k = 0; k < c.k; ++k) {
          const double term = weight.value(row, k) * x[token * c.k + k];
          sum += term;
          magnitude += std::fabs(term);
        }
        CHECK(std::fabs(y[i] - sum) <= kTolerance * magnitude,
              c.text() + " tokens=" + std::to_string(tokens) + " " + kernels::isa_name(isa) + " " + kernel);
      }
    });
  }
}

void check_rows(const UniformCase& c, const UniformWeight& weight) {
  GuardedBuffer<float> row_values(c.k);
  for (std::size_t row = 0; row < c.n; ++row) {
    kernels::decode_row_f32_uniform_generic(c.layout(), weight.packed(), row, row_values.data());
    for (std::size_t k = 0; k < c.k; ++k)
      CHECK(row_values[k] == static_cast<float>(weight.value(row, k)), c.text() + " row=" + std::to_string(row));
  }
}

} // namespace

int main() {
  Random random(5);
  std::size_t count = 0;
  for_each_uniform_case([&](const UniformCase& c) {
    const std::size_t tokens[] = {1, 2, 3, 4, 5, 7, 8, 11, 12, 13};
    const UniformWeight weight(c, random, false);
    check_products(c, weight, tokens[count++ % 10], random);
    check_rows(c, weight);
  });
  const UniformCase long_prompt{33, 96, 3, 32, true}; // more than one pass over the tokens
  check_products(long_prompt, UniformWeight(long_prompt, random, false), 400, random);
  return report();
}
