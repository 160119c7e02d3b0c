// SPDX-License-Identifier: Apache-2.0
// Byte shuffles within 128 bits look up 16 levels: four rows' at 2 bits, half of those at 3 bits, one row's at 4 bits.
#include "codebook_token_avx512.h"

namespace edgeq::kernels {
namespace {

template <int Bits> struct Token : CodebookToken<Bits, ShuffledHalves> {};
template <> struct Token<2> : CodebookToken<2, ShuffledTable> {};

} // namespace

void matmul_f32_a8_codebook_1x32_avx512_vnni(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  for_codebook<Token>(product.layout, [&](auto kernel) __attribute__((always_inline)) {
    matmul_a8_tiles<decltype(kernel)>(product, first_tile, last_tile);
  });
}

} // namespace edgeq::kernels
