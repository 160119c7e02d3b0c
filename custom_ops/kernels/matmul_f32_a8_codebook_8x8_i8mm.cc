// SPDX-License-Identifier: Apache-2.0
#include "matmul_codebook_neon.h"
#include "multiply_a8_i8mm.h"

namespace edgeq::kernels {

void matmul_f32_a8_codebook_8x8_i8mm(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  matmul_codebook_tiles<MultiplyI8mm>(product, first_tile, last_tile);
}

} // namespace edgeq::kernels
