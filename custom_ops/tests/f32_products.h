// SPDX-License-Identifier: Apache-2.0
// The products of an instruction set's kernels with float activations.
#pragma once

#include "check.h"
#include "guarded_buffer.h"
#include "uniform_weight.h"

#include "kernels/dint_gemm.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <string>

namespace edgeq::tests {

/// Calls check(kernel) after every kernel has written product.y: that of few tokens, and that of prompts.
template <class Check>
void for_each_f32_kernel(const kernels::DintGemmKernels& kernels, const kernels::MatmulF32& product,
                         const Check& check) {
  const std::size_t k = product.layout.inputs.k, tiles = product.layout.tiles(), tokens = product.tokens;
  std::fill(product.y, product.y + tokens * product.layout.n, 0.0F);
  kernels.matmul_f32(product, 0, tiles);
  check("few");
  if (kernels.matmul_f32_prompt == nullptr)
    return;
  GuardedBuffer<float> values(tokens * k);
  const kernels::F32Panels panels{values.data(), k, tokens, kernels.f32_panel_tokens};
  for (std::size_t panel = 0; panel < panels.panels(); ++panel)
    kernels::pack_f32_generic(product.x, panels, panel, panel + 1);
  std::fill(product.y, product.y + tokens * product.layout.n, 0.0F);
  kernels.matmul_f32_prompt({product.layout, product.weights, panels, product.bias, product.y}, 0, tiles);
  check("prompt");
}

// Float32 rounding of a sum of up to 1100 terms, relative to the sum of magnitudes.
inline constexpr double kTolerance = 2e-6;

/// Checks every float kernel of every instruction set on this CPU; `kernels_of(isa)` are those of the weight's format.
template <class Case, class Weight, class KernelsOf>
void check_products(const Case& c, const Weight& weight, std::size_t tokens, Random& random, KernelsOf kernels_of) {
  std::normal_distribution<float> normal;
  GuardedBuffer<float> x(tokens * c.k), bias(c.n), y(tokens * c.n);
  for (float& value : x)
    value = normal(random);
  for (float& value : bias)
    value = normal(random);
  for (const kernels::Isa isa : kernels::available_isas()) {
    const kernels::MatmulF32 product{c.layout(), weight.packed(), x.data(), tokens, bias.data(), y.data()};
    for_each_f32_kernel(kernels_of(isa), product, [&](const char* kernel) {
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

} // namespace edgeq::tests
