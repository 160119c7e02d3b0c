// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "guarded_buffer.h"

#include "kernels/dint_gemm.h"

#include <algorithm>

namespace edgeq::tests {

/// Activations quantized by the kernel of an instruction set, in guarded memory.
class A8Activations {
public:
  A8Activations(const kernels::DintGemmKernels& kernels, const float* x, std::size_t tokens,
                const kernels::UniformLayout& layout, kernels::A8Scales quantization = {})
      : inputs_(layout.inputs), codes_(tokens * inputs_.padded_k), scales_(tokens * inputs_.blocks()),
        sums_(tokens * inputs_.blocks()), offsets_(tokens),
        panels_(kernels::panels_for(kernels, layout,
                                    {codes_.data(), scales_.data(), sums_.data(), tokens, kernels.panel_tokens})) {
    if (quantization.sharing == kernels::A8Sharing::token_asymmetric)
      quantization.offsets = offsets_.data();
    panels_.quantization = quantization;
    std::fill(codes_.begin(), codes_.end(), std::int8_t{99}); // every element must be written
    kernels.quantize_a8(x, inputs_, panels_, 0, panels_.panels());
  }

  const kernels::A8Panels& panels() const { return panels_; }

  int code(std::size_t token, std::size_t k) const {
    const Place place = find(token);
    const std::int8_t* codes = panels_.codes + place.start * inputs_.padded_k;
    if (!panels_.by_token)
      return codes[k / 4 * 4 * place.tokens + 4 * place.token + k % 4];
    std::size_t begin = 0;
    while (inputs_.block_end(begin) <= k)
      begin = inputs_.block_end(begin);
    return codes[begin * place.tokens + place.token * (inputs_.block_end(begin) - begin) + k - begin];
  }
  float scale(std::size_t token, std::size_t block) const { return scales_[block_place(token, block)]; }
  /// Of asymmetric codes.
  float offset(std::size_t token) const { return offsets_[token]; }
  int sum(std::size_t token, std::size_t block) const {
    return (sums_[block_place(token, block)] - panels_.sum_start) / panels_.sum_factor;
  }

private:
  struct Place {
    std::size_t start, tokens, token; // of the panel, and the token in it
  };
  Place find(std::size_t token) const {
    std::size_t panel = 0;
    while (panels_.first_token(panel + 1) <= token)
      ++panel;
    return {panels_.first_token(panel), panels_.panel_size(panel), token - panels_.first_token(panel)};
  }
  std::size_t block_place(std::size_t token, std::size_t block) const {
    const Place place = find(token);
    return place.start * inputs_.blocks() + block * place.tokens + place.token;
  }

  kernels::Grouping inputs_;
  GuardedBuffer<std::int8_t> codes_;
  GuardedBuffer<float> scales_;
  GuardedBuffer<std::int32_t> sums_;
  GuardedBuffer<float> offsets_;
  kernels::A8Panels panels_;
};

} // namespace edgeq::tests
