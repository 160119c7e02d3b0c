// SPDX-License-Identifier: Apache-2.0
// The products of an instruction set's kernels with float activations.
#pragma once

#include "guarded_buffer.h"

#include "kernels/dint_gemm.h"

#include <algorithm>

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

} // namespace edgeq::tests
