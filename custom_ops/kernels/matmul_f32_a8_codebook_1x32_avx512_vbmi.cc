// SPDX-License-Identifier: Apache-2.0
// As with VNNI alone, but one vpermi2b looks up 3-bit codes among the 128 levels of 16 rows.
#include "codebook_token_avx512.h"

namespace edgeq::kernels {
namespace {

struct PermutedTable {
  using Lines = CodebookLines<V, 3, kCodebookCentre>;
  __m512i lower, upper;

  EDGEQ_MEMBER explicit PermutedTable(const std::uint8_t* levels)
      : lower(Lines::load_table(levels)), upper(Lines::load_table(levels + 64)) {}

  EDGEQ_MEMBER __m512i bytes(const std::uint8_t* line, int f) const {
    // Eight levels per row; the instruction ignores the highest bit of an index.
    const __m512i rows = _mm512_mullo_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                                            _mm512_set1_epi32(0x08080808));
    return _mm512_permutex2var_epi8(lower, V::merge(Lines::shifted(line, f), V::all_bytes(7), rows), upper);
  }
};

template <int Bits> struct Token : CodebookToken<Bits, PermutedTable> {};
template <> struct Token<2> : CodebookToken<2, ShuffledTable> {};

} // namespace

void matmul_f32_a8_codebook_1x32_avx512_vbmi(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  for_codebook<Token>(product.layout, [&](auto kernel) __attribute__((always_inline)) {
    matmul_a8_tiles<decltype(kernel)>(product, first_tile, last_tile);
  });
}

} // namespace edgeq::kernels
