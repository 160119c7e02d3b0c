// SPDX-License-Identifier: Apache-2.0
// Quantization of activations, every instruction set, exactly by its definition in docs/operators.md.
#include "a8_activations.h"
#include "check.h"

#include <cmath>
#include <limits>
#include <random>
#include <string>

using namespace edgeq;
using namespace edgeq::tests;

namespace {

struct Expected {
  float scale;
  std::vector<int> codes;
};

/// Inputs [begin, end) of one token, by the definition.
Expected quantize(const float* x, std::size_t begin, std::size_t end) {
  float largest = 0;
  bool finite = true;
  for (std::size_t k = begin; k < end; ++k) {
    largest = std::max(largest, std::fabs(x[k]));
    finite = finite && std::isfinite(x[k]);
  }
  Expected expected{finite ? largest / 127 : std::numeric_limits<float>::quiet_NaN(), {}};
  for (std::size_t k = begin; k < end; ++k) {
    const float code = expected.scale > 0 ? std::nearbyint(x[k] / expected.scale) : 0;
    expected.codes.push_back(static_cast<int>(std::clamp(code, -127.0F, 127.0F)));
  }
  return expected;
}

void check_token(const A8Activations& actual, const float* x, std::size_t token, const kernels::Grouping& inputs,
                 const std::string& text) {
  std::size_t block = 0;
  for (std::size_t k = 0; k < inputs.padded_k; k = inputs.block_end(k), ++block) {
    const std::size_t end = inputs.block_end(k);
    const Expected expected = quantize(x + token * inputs.k, k, std::min(end, inputs.k));
    const float scale = actual.scale(token, block);
    CHECK(scale == expected.scale || (std::isnan(scale) && std::isnan(expected.scale)), text);
    int sum = 0;
    for (std::size_t i = k; i < end; ++i) {
      const int wanted = i < inputs.k ? expected.codes[i - k] : 0;
      CHECK(actual.code(token, i) == wanted, text);
      sum += wanted;
    }
    CHECK(actual.sum(token, block) == sum, text);
  }
}

/// Values with the difficult ones among them: exact ties, zeros, subnormals, NaN, infinities.
GuardedBuffer<float>& fill(GuardedBuffer<float>& x, std::size_t k, int kind, std::mt19937& random) {
  std::normal_distribution<float> normal;
  for (float& value : x)
    value = normal(random);
  const std::size_t last = x.size() - 1;
  if (kind == 1)
    std::fill(x.begin(), x.end(), 0.0F);
  if (kind == 2)
    for (float& value : x)
      value *= std::numeric_limits<float>::denorm_min() * 100;
  if (kind == 3)
    x[last] = std::numeric_limits<float>::quiet_NaN();
  if (kind == 4)
    x[last / 2] = -std::numeric_limits<float>::infinity();
  if (kind == 5) // the scale is 1, the quotients are ties
    for (std::size_t i = 0; i < x.size(); ++i)
      x[i] = i % k % 32 == 0 ? -127.0F : static_cast<float>(i % 17) - 7.5F;
  if (kind == 6)
    x[0] = std::numeric_limits<float>::max();
  return x;
}

} // namespace

int main() {
  std::mt19937 random(7);
  for (const kernels::Isa isa : kernels::available_isas())
    for (const std::size_t tokens : {1, 2, 5, 6, 7, 13})
      for (const std::size_t k : {1, 7, 32, 100, 128, 130, 333})
        for (const std::size_t group : {0, 32, 160})
          for (int kind = 0; kind < 7; ++kind) {
            const std::string text = std::string(kernels::isa_name(isa)) + " tokens=" + std::to_string(tokens) +
                                     " k=" + std::to_string(k) + " group=" + std::to_string(group) +
                                     " kind=" + std::to_string(kind);
            const kernels::Grouping inputs = kernels::make_grouping(k, group);
            GuardedBuffer<float> x(tokens * k);
            fill(x, k, kind, random);
            const A8Activations actual(kernels::dint_gemm_kernels(isa), x.data(), tokens, {1, inputs, 4, false});
            for (std::size_t token = 0; token < tokens; ++token)
              check_token(actual, x.data(), token, inputs, text);
          }
  return report();
}
