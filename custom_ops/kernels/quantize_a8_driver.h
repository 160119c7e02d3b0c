// SPDX-License-Identifier: Apache-2.0
// The loops around the quantization of one activation block. Included by one source per instruction set.
#pragma once

#include "dint_gemm.h"

#include <cstring>

namespace edgeq::kernels {
namespace {

/// Scale of a block whose largest magnitude has the bits `largest`: as integers, NaNs and infinities are the largest.
EDGEQ_INLINE float block_scale(std::uint32_t largest) {
  constexpr std::uint32_t kInfinity = 0x7f800000U;
  float magnitude = 0;
  std::memcpy(&magnitude, &largest, sizeof magnitude);
  return largest >= kInfinity ? __builtin_nanf("") : magnitude / 127.0F;
}

/// Kernel::run(x, count, codes, stride, scale, sum) quantizes one block: `count` activations, four codes together
/// every `stride` bytes, up to the next multiple of 32 filled with zeros.
template <class Kernel>
void quantize_a8_panels(const float* x, const Grouping& inputs, const A8Panels& panels, std::size_t first,
                        std::size_t last) {
  const std::size_t blocks = inputs.blocks();
  for (std::size_t panel = first; panel < last; ++panel) {
    const std::size_t start = panels.first_token(panel), tokens = panels.panel_size(panel);
    for (std::size_t token = 0; token < tokens; ++token) {
      const float* row = x + (start + token) * inputs.k;
      std::int8_t* codes = panels.codes + start * inputs.padded_k + 4 * token;
      std::size_t index = start * blocks + token;
      for (std::size_t k = 0, end = 0; k < inputs.padded_k; k = end, index += tokens) {
        end = inputs.block_end(k);
        Kernel::run(row + k, smaller(end, inputs.k) - k, codes + k * tokens, 4 * tokens, panels.scales + index,
                    panels.sums + index);
        panels.sums[index] = panels.sum_start + panels.sum_factor * panels.sums[index];
      }
    }
  }
}

} // namespace
} // namespace edgeq::kernels
