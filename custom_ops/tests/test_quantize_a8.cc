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
  int zero;
  std::vector<int> codes;
};

/// Scale and zero point for activations [begin, end), by the definition.
Expected expected_step(const kernels::A8Scales& quantization, const float* x, std::size_t begin, std::size_t end) {
  float low = 0, high = 0;
  bool finite = true;
  for (std::size_t k = begin; k < end; ++k) {
    low = std::min(low, x[k]);
    high = std::max(high, x[k]);
    finite = finite && std::isfinite(x[k]);
  }
  if (!finite)
    return {std::numeric_limits<float>::quiet_NaN(), 0, {}};
  if (quantization.sharing == kernels::A8Sharing::fixed)
    return {quantization.fixed, 0, {}};
  if (quantization.sharing != kernels::A8Sharing::token_asymmetric)
    return {std::max(-low, high) / 127, 0, {}};
  const float scale = (high / 2 - low / 2) / 127;
  return {scale, scale > 0 ? static_cast<int>(std::clamp(std::nearbyint(-127 - low / scale), -127.0F, 127.0F)) : 0, {}};
}

/// Inputs [begin, end) of one token, by the definition.
Expected quantize(const kernels::A8Scales& quantization, const float* x, std::size_t begin, std::size_t end,
                  std::size_t k) {
  const bool whole = quantization.sharing != kernels::A8Sharing::block;
  Expected expected = expected_step(quantization, x, whole ? 0 : begin, whole ? k : end);
  for (std::size_t i = begin; i < end; ++i) {
    const float code =
        expected.scale > 0 ? std::nearbyint(x[i] / expected.scale) + static_cast<float>(expected.zero) : 0;
    expected.codes.push_back(static_cast<int>(std::clamp(code, -127.0F, 127.0F)));
  }
  return expected;
}

bool same(float a, float b) { return a == b || (std::isnan(a) && std::isnan(b)); }

void check_token(const A8Activations& actual, const kernels::A8Scales& quantization, const float* x, std::size_t token,
                 const kernels::Grouping& inputs, const std::string& text) {
  std::size_t block = 0;
  for (std::size_t k = 0; k < inputs.padded_k; k = inputs.block_end(k), ++block) {
    const std::size_t end = inputs.block_end(k);
    const Expected expected = quantize(quantization, x + token * inputs.k, k, std::min(end, inputs.k), inputs.k);
    CHECK(same(actual.scale(token, block), expected.scale), text);
    if (quantization.sharing == kernels::A8Sharing::token_asymmetric)
      CHECK(same(actual.offset(token), expected.scale * static_cast<float>(expected.zero)), text);
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
  if (kind == 7) // on one side of zero
    for (float& value : x)
      value = 3 + std::fabs(value);
  if (kind == 8) // the widest range
    for (std::size_t i = 0; i < x.size(); ++i)
      x[i] = i % 2 == 0 ? std::numeric_limits<float>::max() : std::numeric_limits<float>::lowest();
  return x;
}

void check_case(kernels::Isa isa, const kernels::A8Scales& quantization, std::size_t tokens,
                const kernels::Grouping& inputs, int kind, std::mt19937& random) {
  const std::string text = std::string(kernels::isa_name(isa)) + " tokens=" + std::to_string(tokens) +
                           " k=" + std::to_string(inputs.k) + " group=" + std::to_string(inputs.group_size) +
                           " kind=" + std::to_string(kind) +
                           " sharing=" + std::to_string(static_cast<int>(quantization.sharing));
  GuardedBuffer<float> x(tokens * inputs.k);
  fill(x, inputs.k, kind, random);
  const A8Activations actual(kernels::dint_gemm_kernels(isa), x.data(), tokens, {1, inputs, 4, false}, quantization);
  for (std::size_t token = 0; token < tokens; ++token)
    check_token(actual, quantization, x.data(), token, inputs, text);
}

} // namespace

int main() {
  std::mt19937 random(7);
  using kernels::A8Sharing;
  for (const kernels::Isa isa : kernels::available_isas())
    for (const std::size_t tokens : {1, 2, 5, 6, 7, 13})
      for (const std::size_t k : {1, 7, 32, 100, 128, 130, 333})
        for (const std::size_t group : {0, 32, 160})
          for (int kind = 0; kind < 9; ++kind)
            for (const A8Sharing sharing :
                 {A8Sharing::block, A8Sharing::token, A8Sharing::token_asymmetric, A8Sharing::fixed})
              check_case(isa, {sharing, 0.02F}, tokens, kernels::make_grouping(k, group), kind, random);
  return report();
}
