// SPDX-License-Identifier: Apache-2.0
// Activations of a prompt rounded to bfloat16, arranged as the register blocks of MatmulBf16 read them.
#pragma once

#include "grouping.h"

namespace edgeq::kernels {

inline constexpr std::size_t kBf16Run = 32; // inputs of a token side by side: 64 bytes
inline constexpr std::size_t kBf16ShortRun = 4;

/// A view into memory of the caller. Tokens are grouped into panels, as even as possible, of at most `panel_tokens`. In
/// runs of kBf16Run the order of every four inputs is 0, 2, 1, 3, which spares the decoding of weights a permutation.
/// Trivially copyable.
struct Bf16Panels {
  std::uint16_t* values; // [panel][padded_k / run][tokens of the panel][run], zero where k is padding
  std::size_t k, padded_k;
  std::size_t tokens;
  std::size_t panel_tokens;
  std::size_t run = kBf16Run; // inputs of a token side by side

  EDGEQ_MEMBER std::size_t panels() const { return (tokens + panel_tokens - 1) / panel_tokens; }
  EDGEQ_MEMBER std::size_t first_token(std::size_t panel) const {
    return tokens / panels() * panel + smaller(panel, tokens % panels());
  }
  EDGEQ_MEMBER std::size_t panel_size(std::size_t panel) const { return first_token(panel + 1) - first_token(panel); }
};

/// Writes panels [first, last) of `x`, [tokens, k], in runs of kBf16Run, as round_bf16_generic() rounds.
void pack_bf16_generic(const float* x, const Bf16Panels& panels, std::size_t first, std::size_t last);

/// Rounds to the nearest bfloat16, half to even; magnitudes below the smallest normal float count as zero.
void round_bf16_generic(const float* x, std::size_t count, float* out);

#if defined(__x86_64__)
void pack_bf16_avx512_bf16(const float* x, const Bf16Panels& panels, std::size_t first, std::size_t last);
#endif

} // namespace edgeq::kernels
