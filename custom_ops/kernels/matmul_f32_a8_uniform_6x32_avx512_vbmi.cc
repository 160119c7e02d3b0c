// SPDX-License-Identifier: Apache-2.0
#include "uniform_lines_avx512_vbmi.h"
#include "uniform_tokens_avx512.h"

namespace edgeq::kernels {
namespace {

template <int Bits, bool ZeroPoint, int Dint> using Avx512Vbmi = SeveralTokens<VbmiLines<Bits, ZeroPoint, Dint>>;

} // namespace

void matmul_f32_a8_uniform_6x32_avx512_vbmi(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  if (product.layout.dint == 0)
    return matmul_f32_a8_uniform_6x32_avx512_vnni(product, first_tile, last_tile);
  const auto multiply = [&](auto kernel) __attribute__((always_inline)) {
    matmul_a8_tiles<decltype(kernel)>(product, first_tile, last_tile);
  };
  if (product.layout.has_zero_point)
    return for_dint<Avx512Vbmi, true>(product.layout, multiply);
  for_dint<Avx512Vbmi, false>(product.layout, multiply);
}

} // namespace edgeq::kernels
