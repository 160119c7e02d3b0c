// SPDX-License-Identifier: Apache-2.0
// What the table builders of all instruction sets share. Included by one source per instruction set.
#pragma once

#include "lut_gemm.h"

namespace edgeq::kernels {
namespace {

constexpr float kSmallestEntry = 1e-33F; // the reciprocal of a smaller block's scale would overflow

/// Where run `run` of a block starts among the block's entries.
EDGEQ_INLINE std::size_t run_offset(std::size_t run, std::size_t table_bits) {
  return run / 4 * 8 * table_bits + run % 4 * 16;
}

/// A block's scale, its sum, and the factor from floats to entries; 0 where all entries shall be zero.
struct LutScale {
  LutBlock block;
  float factor;
};

EDGEQ_INLINE LutScale lut_scale(float largest, float sum, std::size_t table_bits) {
  const float limit = static_cast<float>((1 << (table_bits - 1)) - 1);
  if (!__builtin_isfinite(largest) || !__builtin_isfinite(sum))
    return {{__builtin_nanf(""), __builtin_nanf("")}, 0};
  if (largest < kSmallestEntry)
    return {{0, sum}, 0};
  return {{largest / limit, sum}, limit / largest};
}

/// Adds up the sums of every 16th activation, in the same order in all instruction sets.
EDGEQ_INLINE float add_lanes(float* lanes) {
  for (std::size_t width = 8; width > 0; width /= 2)
    for (std::size_t i = 0; i < width; ++i)
      lanes[i] += lanes[i + width];
  return lanes[0];
}

/// Calls build(x, size, entries, block) for each activation block, the last one padded with zeros.
template <class Build>
EDGEQ_INLINE void build_blocks(const float* x, const Grouping& inputs, std::size_t table_bits, std::uint8_t* entries,
                               LutBlock* blocks, const Build& build) {
  float padded[kActivationBlock];
  for (std::size_t k = 0, end = 0; k < inputs.padded_k; k = end) {
    end = inputs.block_end(k);
    const float* source = x + k;
    if (end > inputs.k) {
      for (std::size_t i = 0; i < end - k; ++i)
        padded[i] = k + i < inputs.k ? source[i] : 0;
      source = padded;
    }
    build(source, end - k, entries + k * table_bits / 2, blocks++);
  }
}

} // namespace
} // namespace edgeq::kernels
