// SPDX-License-Identifier: Apache-2.0
// Products with int8 activations, every instruction set: against float64, and bit for bit against each other.
#include "a8_activations.h"
#include "check.h"
#include "uniform_weight.h"

#include <cstring>

using namespace edgeq;
using namespace edgeq::tests;

namespace {

// Float32 rounding of the sum over blocks, relative to the sum of magnitudes.
constexpr double kTolerance = 1e-6;

struct Problem {
  UniformCase shape;
  UniformWeight weight;
  std::size_t tokens;
  GuardedBuffer<float> x, bias;

  Problem(const UniformCase& c, std::size_t m, Random& random, bool extreme)
      : shape(c), weight(c, random, extreme), tokens(m), x(m * c.k), bias(c.n) {
    std::normal_distribution<float> normal;
    for (float& value : x)
      value = extreme ? 1.0F : normal(random);
    for (float& value : bias)
      value = normal(random);
  }
};

/// Tiles [0, split) first, then the others: results must not depend on it.
void run(kernels::Isa isa, const Problem& p, std::size_t split, const float* bias, GuardedBuffer<float>& y) {
  const kernels::DintGemmKernels& kernels = kernels::dint_gemm_kernels(isa);
  const kernels::UniformLayout layout = p.shape.layout();
  const A8Activations x(kernels, p.x.data(), p.tokens, layout);
  const kernels::MatmulA8 product{layout, p.weight.packed(), x.panels(), bias, y.data()};
  kernels.matmul_a8_for(p.tokens)(product, 0, split);
  kernels.matmul_a8_for(p.tokens)(product, split, layout.tiles());
}

void check_values(const Problem& p, const GuardedBuffer<float>& y) {
  const kernels::Grouping inputs = p.shape.layout().inputs;
  const A8Activations x(kernels::dint_gemm_kernels(kernels::Isa::generic), p.x.data(), p.tokens, p.shape.layout());
  for (std::size_t token = 0; token < p.tokens; ++token)
    for (std::size_t row = 0; row < p.shape.n; ++row) {
      double sum = p.bias[row], magnitude = std::fabs(sum);
      for (std::size_t k = 0, block = 0; k < p.shape.k; k = inputs.block_end(k), ++block)
        for (std::size_t i = k; i < std::min(inputs.block_end(k), p.shape.k); ++i) {
          const double term = p.weight.value(row, i) * x.code(token, i) * x.scale(token, block);
          sum += term;
          magnitude += std::fabs(term);
        }
      CHECK(std::fabs(y[token * p.shape.n + row] - sum) <= kTolerance * magnitude, p.shape.text());
    }
}

void check_problem(const Problem& p) {
  GuardedBuffer<float> expected(p.tokens * p.shape.n);
  run(kernels::Isa::generic, p, 0, p.bias.data(), expected);
  check_values(p, expected);
  for (const kernels::Isa isa : kernels::available_isas()) {
    GuardedBuffer<float> y(expected.size());
    run(isa, p, p.shape.layout().tiles() / 2, p.bias.data(), y);
    CHECK(std::memcmp(y.data(), expected.data(), y.size() * sizeof(float)) == 0,
          p.shape.text() + " tokens=" + std::to_string(p.tokens) + " " + kernels::isa_name(isa));
  }
}

void test_without_bias(Random& random) {
  const Problem p({40, 96, 4, 32, false}, 3, random, false);
  GuardedBuffer<float> with(3 * 40), without(3 * 40);
  for (const kernels::Isa isa : kernels::available_isas()) {
    run(isa, p, 1, p.bias.data(), with);
    run(isa, p, 1, nullptr, without);
    for (std::size_t i = 0; i < with.size(); ++i)
      CHECK(with[i] == without[i] + p.bias[i % 40], "bias");
  }
}

/// A token with a NaN or an infinity gets NaN everywhere; the others are not touched by it.
void test_non_finite(Random& random) {
  for (const float bad : {std::nanf(""), HUGE_VALF}) {
    Problem p({33, 130, 4, 64, true}, 8, random, false);
    for (const kernels::Isa isa : kernels::available_isas()) {
      GuardedBuffer<float> clean(8 * 33), y(8 * 33);
      const float kept = p.x[3 * 130 + 129];
      run(isa, p, 0, p.bias.data(), clean);
      p.x[3 * 130 + 129] = bad;
      run(isa, p, 0, p.bias.data(), y);
      p.x[3 * 130 + 129] = kept;
      for (std::size_t i = 0; i < y.size(); ++i)
        CHECK(i / 33 == 3 ? std::isnan(y[i]) : y[i] == clean[i], kernels::isa_name(isa));
    }
  }
}

} // namespace

int main() {
  Random random(3);
  std::size_t count = 0;
  for_each_uniform_case([&](const UniformCase& c) {
    const std::size_t tokens[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 25};
    check_problem(Problem(c, tokens[count++ % 13], random, false));
    check_problem(Problem(c, tokens[count % 3], random, true)); // largest sums
  });
  check_problem(Problem({35, 160, 4, 32, true}, 200, random, false)); // more than one pass over the panels
  test_without_bias(random);
  test_non_finite(random);
  return report();
}
