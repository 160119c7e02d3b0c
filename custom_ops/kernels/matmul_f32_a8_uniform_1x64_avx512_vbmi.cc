// SPDX-License-Identifier: Apache-2.0
// Tables of 64 entries for `dint` with the implied zero point: a byte permutation regards six bits of its index, so
// that codes need not be cut out of their bytes.
#include "uniform_token_avx512.h"

namespace edgeq::kernels {
namespace {

template <int Bits, bool, int Dint> struct VbmiLines : TokenLines<Bits, false, Dint> {
  using Base = TokenLines<Bits, false, Dint>;

  struct Table {
    alignas(64) std::uint8_t entries[64] = {};
    /// Of the codes `shift` bits above the lowest of the index.
    constexpr explicit Table(int shift) {
      for (int index = 0; index < 64; ++index)
        entries[index] = dint_entry<Bits, false, Dint>(index >> shift & ((1 << Bits) - 1), Base::kCentre);
    }
  };
  static constexpr Table kLower{0}, kUpper{3}; // a byte of 3-bit codes holds two in its lower six bits

  EDGEQ_MEMBER static __m512i decode(const std::uint8_t* line, int f, __m512i) {
    const __m512i whole = Base::field_line(line, f);
    const __m512i index = Bits == 4 && f == 1 ? _mm512_srli_epi16(whole, 4) : whole;
    return _mm512_permutexvar_epi8(index, load_line((Bits == 3 && f % 2 == 1 ? kUpper : kLower).entries));
  }
};

} // namespace

void matmul_f32_a8_uniform_1x64_avx512_vbmi(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  if (product.layout.dint == 0 || product.layout.has_zero_point)
    return matmul_f32_a8_uniform_1x64_avx512_vnni(product, first_tile, last_tile);
  for_dint<VbmiLines, false>(product.layout, [&](auto lines) __attribute__((always_inline)) {
    matmul_a8_token<decltype(lines)>(product, first_tile, last_tile);
  });
}

} // namespace edgeq::kernels
