// SPDX-License-Identifier: Apache-2.0
#include "bcq_neon.h"
#include "decoded_block_neon.h"
#include "matmul_a8_bcq_driver.h"
#include "multiply_a8_dotprod.h"

namespace edgeq::kernels {

void matmul_f32_a8_bcq_6x16_dotprod(const MatmulBcqA8& product, std::size_t first_tile, std::size_t last_tile) {
  matmul_a8_bcq<BcqVector128, DecodedKernel<MultiplyDotprod, kBcqByteCentre>>(product, first_tile, last_tile);
}

} // namespace edgeq::kernels
