// SPDX-License-Identifier: Apache-2.0
// Activations rounded to bfloat16, exactly by definition, and their products against float64.
#include "check.h"
#include "codebook_weight.h"
#include "uniform_weight.h"

#include "kernels/codebook_gemm.h"
#include "kernels/dint_gemm.h"

#include <cstring>
#include <limits>

using namespace edgeq;
using namespace edgeq::tests;

namespace {

// Float32 rounding of a sum of up to 1100 terms, relative to the sum of magnitudes.
constexpr double kTolerance = 2e-6;

/// The nearest number with 8 significant bits, half to even.
float rounded(float x) {
  if (!std::isfinite(x) || std::fabs(x) < std::numeric_limits<float>::min())
    return std::isfinite(x) ? std::copysign(0.0F, x) : x;
  int exponent = 0;
  const double fraction = std::frexp(static_cast<double>(x), &exponent);
  return static_cast<float>(std::ldexp(std::nearbyint(std::ldexp(fraction, 8)), exponent - 8));
}

/// Rounded activations in guarded memory, by the kernel of an instruction set.
struct Activations {
  GuardedBuffer<std::uint16_t> values;
  kernels::Bf16Panels panels;

  Activations(const kernels::Bf16Kernels& kernels, const float* x, std::size_t tokens, const kernels::Grouping& inputs)
      : values(tokens * inputs.padded_k),
        panels{values.data(), inputs.k, inputs.padded_k, tokens, kernels.panel_tokens, kernels.run} {
    std::fill(values.begin(), values.end(), std::uint16_t{0x4040}); // every element must be written
    kernels.pack(x, panels, 0, panels.panels());
  }

  float value(std::size_t token, std::size_t k) const {
    std::size_t panel = 0;
    while (panels.first_token(panel + 1) <= token)
      ++panel;
    const std::size_t start = panels.first_token(panel), tokens = panels.panel_size(panel);
    constexpr std::size_t kOrder[] = {0, 2, 1, 3};
    const std::size_t run = panels.run, in_four = run == kernels::kBf16Run ? kOrder[k % 4] : k % 4;
    const std::size_t place = k / run * run * tokens + (token - start) * run + k % run / 4 * 4 + in_four;
    const std::uint32_t bits = static_cast<std::uint32_t>(panels.values[start * panels.padded_k + place]) << 16;
    float result = 0;
    std::memcpy(&result, &bits, sizeof result);
    return result;
  }
};

void check_rounding(const kernels::Bf16Kernels& kernels, Random& random) {
  std::normal_distribution<float> normal;
  for (const std::size_t k : {1, 31, 32, 100})
    for (const std::size_t tokens : {1, 5, 13, 40}) {
      GuardedBuffer<float> x(tokens * k), plain(tokens * k);
      for (float& value : x)
        value = normal(random) * std::ldexp(1.0F, static_cast<int>(random() % 40) - 20);
      const float difficult[] = {1.00390625F, 1.01171875F, 1e-40F, -1e-39F, 3.4e38F, HUGE_VALF, -HUGE_VALF, 0.0F};
      for (std::size_t i = 0; i < std::min(x.size(), std::size(difficult)); ++i)
        x[x.size() - 1 - i] = difficult[i];
      kernels::round_bf16_generic(x.data(), x.size(), plain.data());
      const kernels::Grouping inputs = kernels::make_grouping(k, 0);
      const Activations actual(kernels, x.data(), tokens, inputs);
      for (std::size_t token = 0; token < tokens; ++token)
        for (std::size_t i = 0; i < inputs.padded_k; ++i) {
          const float wanted = i < k ? rounded(x[token * k + i]) : 0.0F;
          CHECK(actual.value(token, i) == wanted, "k=" + std::to_string(k) + " " + std::to_string(wanted));
          CHECK(i >= k || plain[token * k + i] == wanted, "plain " + std::to_string(wanted));
        }
    }
  float nan = std::nanf("");
  kernels::round_bf16_generic(&nan, 1, &nan);
  CHECK(std::isnan(nan), "NaN");
}

template <class Case, class Weight>
void check_products(const Case& c, const Weight& weight, std::size_t tokens, Random& random,
                    const kernels::Bf16Kernels& kernels, const char* isa) {
  std::normal_distribution<float> normal;
  const kernels::UniformLayout layout = c.layout();
  GuardedBuffer<float> x(tokens * c.k), bias(c.n), y(tokens * c.n);
  for (float& value : x)
    value = normal(random);
  for (float& value : bias)
    value = normal(random);
  const Activations activations(kernels, x.data(), tokens, layout.inputs);
  const kernels::MatmulBf16 product{layout, weight.packed(), activations.panels, bias.data(), y.data()};
  std::fill(y.begin(), y.end(), -77.0F);
  kernels.matmul(product, layout.tiles() / 2, layout.tiles());
  kernels.matmul(product, 0, layout.tiles() / 2);
  for (std::size_t i = 0; i < y.size(); ++i) {
    const std::size_t token = i / c.n, row = i % c.n;
    double sum = bias[row], magnitude = std::fabs(sum);
    for (std::size_t k = 0; k < c.k; ++k) {
      const double term = weight.value(row, k) * rounded(x[token * c.k + k]);
      sum += term;
      magnitude += std::fabs(term);
    }
    CHECK(std::fabs(y[i] - sum) <= kTolerance * magnitude, c.text() + " tokens=" + std::to_string(tokens) + " " + isa);
  }
}

void check_kernels(kernels::Isa isa, Random& random) {
  const kernels::Bf16Kernels &uniform = kernels::dint_gemm_kernels(isa).bf16,
                             &codebook = kernels::codebook_gemm_kernels(isa).bf16;
  if (uniform.matmul == nullptr)
    return;
  check_rounding(uniform, random);
  const std::size_t tokens[] = {1, 2, 3, 5, 8, 11, 12, 13, 15, 16, 17, 33};
  std::size_t count = 0;
  for_each_uniform_case([&](const UniformCase& c) {
    check_products(c, UniformWeight(c, random, false), tokens[count++ % 12], random, uniform, kernels::isa_name(isa));
  });
  for_each_codebook_case([&](const CodebookCase& c) {
    check_products(c, CodebookWeight(c, random, false), tokens[count++ % 12], random, codebook, kernels::isa_name(isa));
  });
  const UniformCase long_prompt{33, 96, 3, 32, true}; // more than one pass over the tokens
  check_products(long_prompt, UniformWeight(long_prompt, random, false), 400, random, uniform, kernels::isa_name(isa));
}

} // namespace

int main() {
  Random random(23);
  for (const kernels::Isa isa : kernels::available_isas())
    check_kernels(isa, random);
  CHECK(kernels::dint_gemm_kernels(kernels::Isa::generic).bf16.matmul == nullptr, "floats are rounded instead");
  return report();
}
