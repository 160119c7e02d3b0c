// SPDX-License-Identifier: Apache-2.0
#include "uniform_lines_avx512_vbmi.h"
#include "uniform_token_avx512.h"

namespace edgeq::kernels {

void matmul_f32_a8_uniform_1x64_avx512_vbmi(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  if (product.layout.dint == 0)
    return matmul_f32_a8_uniform_1x64_avx512_vnni(product, first_tile, last_tile);
  const auto multiply = [&](auto lines) __attribute__((always_inline)) {
    matmul_a8_token<decltype(lines)>(product, first_tile, last_tile);
  };
  if (product.layout.has_zero_point)
    return for_dint<VbmiLines, true>(product.layout, multiply);
  for_dint<VbmiLines, false>(product.layout, multiply);
}

} // namespace edgeq::kernels
