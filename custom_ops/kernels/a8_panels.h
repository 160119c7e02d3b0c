// SPDX-License-Identifier: Apache-2.0
// Activations quantized to int8, per token and activation block: x ≈ scale · code.
#pragma once

#include "a8_scales.h"
#include "grouping.h"

namespace edgeq::kernels {

/// Tiles that products of few tokens, one panel, read in turns; callers give them so many at once. A single stream of
/// weights waits for a page table walk at every page: measured on Sapphire Rapids, one token, 2 to 8 bits, 10 to 20 %
/// more time.
inline constexpr std::size_t kTilesInTurns = 2;

/// Views into memory of the caller. Tokens are grouped into panels, as even as possible, of at most `panel_tokens`.
/// For one token this is a plain row of codes. Trivially copyable.
struct A8Panels {
  std::int8_t* codes; // [panel][padded_k / 4][tokens of the panel][4], zero where k is padding; see also by_token
  float* scales;      // [panel][block][tokens of the panel]; NaN where the block holds a NaN or an infinity
  std::int32_t* sums; // [panel][block][tokens of the panel]: sum_start + sum_factor · the sum of the codes
  std::size_t tokens;
  std::size_t panel_tokens;
  std::int32_t sum_start = 0, sum_factor = 1; // as the product's kernel wants them, see MatmulA8
  bool by_token = false;                      // codes are [panel][block][tokens of the panel][inputs of the block]
  A8Scales quantization = {};

  EDGEQ_MEMBER std::size_t panels() const { return (tokens + panel_tokens - 1) / panel_tokens; }
  EDGEQ_MEMBER std::size_t first_token(std::size_t panel) const {
    return tokens / panels() * panel + smaller(panel, tokens % panels());
  }
  EDGEQ_MEMBER std::size_t panel_size(std::size_t panel) const { return first_token(panel + 1) - first_token(panel); }
};

} // namespace edgeq::kernels
