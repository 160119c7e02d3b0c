// SPDX-License-Identifier: Apache-2.0
// Binary-coded weights times int8 activations against float64, and instruction sets against each other, bit for bit.
#include "bcq_weight.h"
#include "check.h"

#include "kernels/lut_gemm.h"

#include <cstring>

using namespace edgeq;
using namespace edgeq::tests;

namespace {

/// Weight, activations and bias of one case.
struct Problem {
  Problem(const BcqCase& problem_case, std::size_t token_count, Random& random)
      : c(problem_case), tokens(token_count), weight(c, random), exact(c, weight), x(tokens * c.k), bias(c.n) {
    std::normal_distribution<float> normal;
    for (float& value : x)
      value = normal(random);
    for (float& value : bias)
      value = normal(random);
  }

  std::string text() const { return c.text() + " tokens=" + std::to_string(tokens); }

  /// Multiplies in two calls, split at tile `split`.
  void multiply(kernels::Isa isa, const float* y_bias, GuardedBuffer<float>& y, std::size_t split = 0) const {
    const kernels::LutGemmKernels& kernels = kernels::lut_gemm_kernels(isa);
    const kernels::BcqLayout layout = c.layout();
    const std::size_t blocks = tokens * layout.inputs.blocks();
    GuardedBuffer<std::int8_t> codes(tokens * layout.inputs.padded_k);
    GuardedBuffer<float> scales(blocks);
    GuardedBuffer<std::int32_t> sums(blocks);
    const kernels::A8Panels panels =
        kernels::bcq_panels(kernels, {codes.data(), scales.data(), sums.data(), tokens, kernels.a8_panel_tokens});
    kernels.quantize_a8(x.data(), layout.inputs, panels, 0, panels.panels());
    std::fill(y.begin(), y.end(), -77.0F);
    const kernels::MatmulBcqA8 product{layout, weight.packed(), panels, y_bias, y.data()};
    kernels.matmul_a8(product, split, layout.tiles());
    kernels.matmul_a8(product, 0, split);
  }

  BcqCase c;
  std::size_t tokens;
  BcqWeight weight;
  BcqValues exact;
  GuardedBuffer<float> x, bias;
};

std::vector<kernels::Isa> isas() {
  std::vector<kernels::Isa> found;
  for (const kernels::Isa isa : kernels::available_isas())
    if (kernels::lut_gemm_kernels(isa).matmul_a8 != nullptr)
      found.push_back(isa);
  return found;
}

struct Reference {
  double value;
  double bound; // of the error: half a step per weight and per activation, and float32 rounding
};

Reference reference(const Problem& p, std::size_t token, std::size_t row) {
  const kernels::Grouping inputs = p.c.layout().inputs;
  const float* x = p.x.data() + token * p.c.k;
  const double* weights = p.exact.values.data() + row * p.c.k;
  const double* parts = p.exact.parts.data() + row * p.c.k;
  Reference r{p.bias[row], std::fabs(p.bias[row]) * 1e-6};
  for (std::size_t start = 0; start < p.c.k; start = inputs.block_end(start)) {
    const std::size_t end = std::min(inputs.block_end(start), p.c.k);
    double largest = 0;
    for (std::size_t k = start; k < end; ++k)
      largest = std::max(largest, static_cast<double>(std::fabs(x[k])));
    // The largest level is the sum of the magnitudes of its parts; scales are rounded up by at most 1/2048.
    const double weight_step = parts[start] / 127 * 1.0005, activation_step = largest / 127;
    for (std::size_t k = start; k < end; ++k) {
      r.value += weights[k] * x[k];
      r.bound += 0.501 * (weight_step * (std::fabs(x[k]) + activation_step) + activation_step * std::fabs(weights[k]));
      r.bound += parts[k] * std::fabs(x[k]) * 2e-6;
    }
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
  for (const kernels::Isa isa : isas()) {
    p.multiply(isa, p.bias.data(), y, p.c.layout().tiles() / 2);
    CHECK(std::memcmp(y.data(), first.data(), y.size() * sizeof(float)) == 0, p.text() + " " + kernels::isa_name(isa));
  }
}

/// Normalised mean squared error against float64 on Gaussian activations, which docs/operators.md states.
void check_error(Random& random) {
  for (std::size_t planes = 1; planes <= 4; ++planes) {
    const Problem p({128, 1024, planes, 128}, 13, random);
    GuardedBuffer<float> y(p.tokens * p.c.n);
    p.multiply(kernels::Isa::generic, p.bias.data(), y);
    double error = 0, power = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
      const double value = reference(p, i / p.c.n, i % p.c.n).value;
      error += (y[i] - value) * (y[i] - value);
      power += value * value;
    }
    CHECK(error < 1e-4 * power, p.text() + " error " + std::to_string(error / power * 1e6) + "e-6");
  }
}

/// NaN and infinity reach all outputs of their token and none of another; without bias, too.
void check_not_finite(float bad, std::size_t tokens, Random& random) {
  Problem p({70, 300, 2, 96}, tokens, random);
  const std::size_t token = random() % tokens;
  p.x[token * p.c.k + random() % p.c.k] = bad;
  GuardedBuffer<float> y(tokens * p.c.n);
  for (const kernels::Isa isa : isas()) {
    p.multiply(isa, nullptr, y);
    for (std::size_t i = 0; i < y.size(); ++i)
      CHECK(std::isnan(y[i]) == (i / p.c.n == token), p.text() + " " + kernels::isa_name(isa));
  }
}

} // namespace

int main() {
  Random random(17);
  std::size_t count = 0;
  for_each_bcq_case([&](const BcqCase& c) { check_products(Problem(c, 1 + count++ % 26, random)); });
  check_products(Problem({65, 1100, 3, 32}, 200, random)); // several stretches, and passes over the tokens
  check_products(Problem({65, 1100, 2, 768}, 14, random)); // a group longer than a stretch
  check_error(random);
  for (const std::size_t tokens : {1, 7, 13}) {
    check_not_finite(std::nanf(""), tokens, random);
    check_not_finite(-std::numeric_limits<float>::infinity(), tokens, random);
  }
  return report();
}
