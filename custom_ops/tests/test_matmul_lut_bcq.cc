// SPDX-License-Identifier: Apache-2.0
// Products by lookup against float64, and instruction sets against each other, bit for bit.
#include "bcq_weight.h"
#include "check.h"
#include "lut_tables.h"

#include <cstring>

using namespace edgeq;
using namespace edgeq::tests;

namespace {

/// Weight, activations and bias of one case.
struct Problem {
  Problem(const BcqCase& problem_case, std::size_t token_count, std::size_t bits, Random& random)
      : c(problem_case), tokens(token_count), table_bits(bits), weight(c, random), exact(c, weight), x(tokens * c.k),
        bias(c.n) {
    std::normal_distribution<float> normal;
    for (float& value : x)
      value = normal(random);
    for (float& value : bias)
      value = normal(random);
  }

  std::string text() const {
    return c.text() + " tokens=" + std::to_string(tokens) + " table_bits=" + std::to_string(table_bits);
  }

  /// Multiplies in two calls, split at tile `split`.
  void multiply(kernels::Isa isa, const float* y_bias, GuardedBuffer<float>& y, std::size_t split = 0) const {
    const kernels::BcqLayout layout = c.layout();
    const LutTables tables(kernels::lut_gemm_kernels(isa), x.data(), tokens, layout.inputs, table_bits);
    std::fill(y.begin(), y.end(), -77.0F);
    const kernels::MatmulLut product{
        layout, weight.packed(), table_bits, tables.entries().data(), tables.blocks().data(), tokens,
        y_bias, y.data(),        split != 0};
    kernels::lut_gemm_kernels(isa).matmul_lut(product, 0, split);
    kernels::lut_gemm_kernels(isa).matmul_lut(product, split, layout.tiles());
  }

  BcqCase c;
  std::size_t tokens, table_bits;
  BcqWeight weight;
  BcqValues exact;
  GuardedBuffer<float> x, bias;
};

struct Reference {
  double value;
  double bound; // of the error: half a step per looked-up entry, and float32 rounding
};

Reference reference(const Problem& p, std::size_t token, std::size_t row) {
  const kernels::Grouping inputs = p.c.layout().inputs;
  const float* x = p.x.data() + token * p.c.k;
  Reference r{p.bias[row], std::fabs(p.bias[row]) * 1e-6};
  for (std::size_t start = 0; start < p.c.k; start = inputs.block_end(start)) {
    double largest = 0, coefficients = 0;
    for (std::size_t k = start; k < std::min(inputs.block_end(start), p.c.k); ++k) {
      const double term = p.exact.values[row * p.c.k + k] * x[k];
      r.value += term;
      r.bound += p.exact.parts[row * p.c.k + k] * std::fabs(x[k]) * 2e-6;
    }
    for (std::size_t k = start; k < std::min(inputs.block_end(start), p.c.k); k += 4) {
      double sum = 0;
      for (std::size_t j = k; j < std::min(k + 4, p.c.k); ++j)
        sum += std::fabs(x[j]);
      largest = std::max(largest, sum);
    }
    for (std::size_t plane = 0; plane < p.c.planes; ++plane)
      coefficients += std::fabs(p.weight.coefficient(row, start / inputs.group_size, plane));
    const double step = largest / ((1 << (p.table_bits - 1)) - 1);
    const double runs = static_cast<double>(inputs.block_end(start) - start) / 4;
    r.bound += coefficients * 0.5001 * step * runs;
  }
  return r;
}

void check_products(const Problem& p) {
  GuardedBuffer<float> first(p.tokens * p.c.n), y(p.tokens * p.c.n);
  p.multiply(kernels::Isa::generic, p.bias.data(), first);
  for (std::size_t i = 0; i < first.size(); ++i) {
    const Reference r = reference(p, i / p.c.n, i % p.c.n);
    CHECK(std::fabs(first[i] - r.value) <= r.bound, p.text());
  }
  for (const kernels::Isa isa : kernels::available_isas()) {
    p.multiply(isa, p.bias.data(), y, p.c.layout().tiles() / 2);
    CHECK(std::memcmp(y.data(), first.data(), y.size() * sizeof(float)) == 0, p.text() + " " + kernels::isa_name(isa));
  }
}

/// Normalised mean squared error against float64 on Gaussian activations, which docs/operators.md states.
void check_error(std::size_t table_bits, double limit, Random& random) {
  const Problem p({128, 2048, 3, 128}, 4, table_bits, random);
  GuardedBuffer<float> y(p.tokens * p.c.n);
  for (const kernels::Isa isa : kernels::available_isas()) {
    p.multiply(isa, p.bias.data(), y);
    double error = 0, power = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
      const double value = reference(p, i / p.c.n, i % p.c.n).value;
      error += (y[i] - value) * (y[i] - value);
      power += value * value;
    }
    CHECK(error < limit * power, p.text() + " error " + std::to_string(error / power * 1e9) + "e-9");
  }
}

/// NaN and infinity reach all outputs of their token and none of another; without bias, too.
void check_not_finite(float bad, std::size_t tokens, std::size_t table_bits, Random& random) {
  Problem p({70, 300, 2, 96}, tokens, table_bits, random);
  const std::size_t token = random() % tokens;
  p.x[token * p.c.k + random() % p.c.k] = bad;
  GuardedBuffer<float> y(tokens * p.c.n);
  for (const kernels::Isa isa : kernels::available_isas()) {
    p.multiply(isa, nullptr, y);
    for (std::size_t i = 0; i < y.size(); ++i)
      CHECK(std::isnan(y[i]) == (i / p.c.n == token), p.text() + " " + kernels::isa_name(isa));
  }
}

} // namespace

int main() {
  Random random(11);
  std::size_t count = 0;
  for_each_bcq_case([&](const BcqCase& c) {
    for (const std::size_t table_bits : {8, 16})
      check_products(Problem(c, 1 + count++ % 11, table_bits, random));
  });
  check_error(8, 1e-4, random);
  check_error(16, 1e-9, random);
  for (std::size_t tokens = 1; tokens < 10; ++tokens)
    for (const std::size_t table_bits : {8, 16}) {
      check_not_finite(std::nanf(""), tokens, table_bits, random);
      check_not_finite(-std::numeric_limits<float>::infinity(), tokens, table_bits, random);
    }
  return report();
}
