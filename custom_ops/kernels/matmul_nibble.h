// SPDX-License-Identifier: Apache-2.0
// Products of one token and weights of codec "nibble" that are decoded in registers: no decoded byte goes to memory.
#pragma once

#include "dint_gemm.h"

namespace edgeq::kernels {

/// A checked compressed weight as kernels see it. Trivially copyable.
struct NibbleWeight {
  UniformLayout layout; // of 8 bits
  const std::uint8_t* data;
  const std::size_t* offsets; // of blocks in `data`, and where the last one ends
  std::size_t tiles_per_block;
  const std::uint8_t* table; // kNibbleTableBytes

  EDGEQ_MEMBER std::size_t first_tile(std::size_t block) const {
    return smaller(block * tiles_per_block, layout.tiles());
  }
};

/// As MatmulA8, with the same bits as result; `x` is one token.
struct MatmulA8Nibble {
  NibbleWeight weight;
  A8Panels x;
  const float* bias; // [n], or null
  float* y;          // [n]
};
using MatmulA8NibbleFunction = void (*)(const MatmulA8Nibble& product, std::size_t first_block, std::size_t last_block);

/// The kernel of an instruction set; null where weights are better decoded first.
MatmulA8NibbleFunction matmul_a8_nibble_kernel(Isa isa);

#if defined(__x86_64__)
void matmul_f32_a8_nibble_1x64_avx512_vbmi(const MatmulA8Nibble&, std::size_t, std::size_t);
#endif

} // namespace edgeq::kernels
