// SPDX-License-Identifier: Apache-2.0
// Float activations of a prompt, rearranged as the register blocks of MatmulF32Prompt read them.
#pragma once

#include "compiler.h"

namespace edgeq::kernels {

/// A view into memory of the caller. Tokens are grouped into panels, as even as possible, of at most `panel_tokens`.
/// Trivially copyable.
struct F32Panels {
  float* values; // [panel][k][tokens of the panel]
  std::size_t k;
  std::size_t tokens;
  std::size_t panel_tokens;

  EDGEQ_MEMBER std::size_t panels() const { return (tokens + panel_tokens - 1) / panel_tokens; }
  EDGEQ_MEMBER std::size_t first_token(std::size_t panel) const {
    return tokens / panels() * panel + smaller(panel, tokens % panels());
  }
  EDGEQ_MEMBER std::size_t panel_size(std::size_t panel) const { return first_token(panel + 1) - first_token(panel); }
};

/// Writes panels [first, last) of `x`, [tokens, k].
void pack_f32_generic(const float* x, const F32Panels& panels, std::size_t first, std::size_t last);

} // namespace edgeq::kernels
