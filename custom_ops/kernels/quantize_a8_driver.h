// SPDX-License-Identifier: Apache-2.0
// The loops around the quantization of one activation block. Included by one source per instruction set.
#pragma once

#include "dint_gemm.h"

#include <cstring>

namespace edgeq::kernels {
namespace {

constexpr std::uint32_t kInfinityBits = 0x7f800000U;
constexpr float kLargestCode = 127;

/// `count` activations of a block, zeros behind them up to a multiple of 32.
struct PaddedBlock {
  float copy[kActivationBlock];
  const float* x;
  std::size_t count;

  EDGEQ_MEMBER PaddedBlock(const float* values, std::size_t valid)
      : x(values), count((valid + kInputMultiple - 1) / kInputMultiple * kInputMultiple) {
    if (valid == count)
      return;
    std::memset(copy, 0, sizeof copy);
    std::memcpy(copy, values, valid * sizeof(float));
    x = copy;
  }
};

/// How codes are made: x / scale, rounded half to even, plus `zero`. A scale that is not positive, or NaN, makes all
/// codes zero.
struct A8Step {
  float scale;
  std::int32_t zero = 0;
  /// The least and the largest of x / scale, rounded.
  EDGEQ_MEMBER float low() const { return -kLargestCode - static_cast<float>(zero); }
  EDGEQ_MEMBER float high() const { return kLargestCode - static_cast<float>(zero); }
  EDGEQ_MEMBER bool usable() const { return scale > 0; }
};

/// The range of activations, zero among them.
struct A8Range {
  float low = 0, high = 0;
};

/// The scale, or NaN where the magnitude with the bits `largest` is not finite: as integers, NaNs and infinities are
/// the largest.
EDGEQ_INLINE float unless_infinite(std::uint32_t largest, float scale) {
  return largest >= kInfinityBits ? __builtin_nanf("") : scale;
}

EDGEQ_INLINE A8Step symmetric_step(std::uint32_t largest) {
  float magnitude = 0;
  std::memcpy(&magnitude, &largest, sizeof magnitude);
  return {unless_infinite(largest, magnitude / kLargestCode)};
}

/// From -127 for the lowest to 127 for the highest activation.
EDGEQ_INLINE A8Step asymmetric_step(const A8Range& range, std::uint32_t largest) {
  const float scale = unless_infinite(largest, (range.high / 2 - range.low / 2) / kLargestCode);
  if (!(scale > 0))
    return {scale};
  const float zero = __builtin_rintf(-kLargestCode - range.low / scale);
  return {scale, static_cast<std::int32_t>(zero < -kLargestCode  ? -kLargestCode
                                           : zero > kLargestCode ? kLargestCode
                                                                 : zero)};
}

/// The step of a whole token of `count` activations.
template <class Kernel> A8Step token_step(const A8Scales& quantization, const float* x, std::size_t count) {
  std::uint32_t largest = 0;
  A8Range range;
  for (std::size_t k = 0; k < count; k += kActivationBlock) {
    const std::size_t part = smaller(kActivationBlock, count - k);
    const std::uint32_t magnitude = Kernel::largest(x + k, part);
    largest = magnitude > largest ? magnitude : largest;
    if (quantization.sharing == A8Sharing::token_asymmetric)
      Kernel::widen(x + k, part, range);
  }
  if (quantization.sharing == A8Sharing::token_asymmetric)
    return asymmetric_step(range, largest);
  return quantization.sharing == A8Sharing::fixed ? A8Step{unless_infinite(largest, quantization.fixed)}
                                                  : symmetric_step(largest);
}

/// Kernel::largest(x, count): bits of the largest magnitude; Kernel::widen(x, count, range) widens the range;
/// Kernel::quantize(x, count, step, codes, stride) makes the codes of one block, four together every `stride` bytes, up
/// to the next multiple of 32 filled with zeros, and returns their sum.
template <class Kernel>
void quantize_a8_panels(const float* x, const Grouping& inputs, const A8Panels& panels, std::size_t first,
                        std::size_t last) {
  const std::size_t blocks = inputs.blocks();
  const bool per_block = panels.quantization.sharing == A8Sharing::block;
  for (std::size_t panel = first; panel < last; ++panel) {
    const std::size_t start = panels.first_token(panel), tokens = panels.panel_size(panel);
    for (std::size_t token = 0; token < tokens; ++token) {
      const float* row = x + (start + token) * inputs.k;
      std::int8_t* codes = panels.codes + start * inputs.padded_k;
      std::size_t index = start * blocks + token;
      A8Step step = per_block ? A8Step{0} : token_step<Kernel>(panels.quantization, row, inputs.k);
      if (panels.quantization.offsets != nullptr)
        panels.quantization.offsets[start + token] = step.scale * static_cast<float>(step.zero);
      for (std::size_t k = 0, end = 0; k < inputs.padded_k; k = end, index += tokens) {
        end = inputs.block_end(k);
        const std::size_t count = smaller(end, inputs.k) - k;
        const std::size_t offset = token * (panels.by_token ? end - k : 4);
        if (per_block)
          step = symmetric_step(Kernel::largest(row + k, count));
        const std::int32_t sum =
            Kernel::quantize(row + k, count, step, codes + k * tokens + offset, panels.by_token ? 4 : 4 * tokens);
        panels.scales[index] = step.scale;
        panels.sums[index] = panels.sum_start + panels.sum_factor * sum;
      }
    }
  }
}

} // namespace
} // namespace edgeq::kernels
