// SPDX-License-Identifier: Apache-2.0
// Tables of 64 entries for `dint`: a byte permutation regards six bits of its index, so that codes need not be cut out
// of their bytes.
#pragma once

#include "uniform_lines.h"
#include "vector_avx512.h"

namespace edgeq::kernels {
namespace {

template <int Bits, bool ZeroPoint, int Dint> struct VbmiLines : UniformLines<Vector512, Bits, ZeroPoint, Dint> {
  using Base = UniformLines<Vector512, Bits, ZeroPoint, Dint>;
  static constexpr bool kZeroPoint = ZeroPoint;
  static constexpr bool kSubtractZeros = ZeroPoint; // bytes are those of bytes_from_zero()
  static constexpr float kScale = dint_unit(Dint);
  static constexpr bool kInPlace = false;

  struct Table {
    alignas(64) std::uint8_t entries[64] = {};
    /// Of the codes `shift` bits above the lowest of the index.
    constexpr explicit Table(int shift) {
      for (int index = 0; index < 64; ++index) {
        const int code = index >> shift & ((1 << Bits) - 1);
        entries[index] =
            ZeroPoint ? dint_entry_from_zero<Bits, Dint>(code) : dint_entry<Bits, false, Dint>(code, Base::kCentre);
      }
    }
  };
  static constexpr Table kLower{0}, kUpper{3}; // a byte of 3-bit codes holds two in its lower six bits

  EDGEQ_MEMBER static constexpr int shift(int) { return 0; }
  EDGEQ_MEMBER static __m512i zeros(const std::uint8_t* zero_points) {
    return Base::zeros_from_zero(Base::zeros(zero_points));
  }
  EDGEQ_MEMBER static __m512 zeros_of_sums(__m512 zero) {
    return _mm512_fmadd_ps(zero, _mm512_set1_ps(Dint), _mm512_set1_ps(kFromZero));
  }

  EDGEQ_MEMBER static __m512i decode(const std::uint8_t* line, int f, __m512i zero) {
    const __m512i whole = Base::field_line(line, f);
    const __m512i index = Bits == 4 && f == 1 ? _mm512_srli_epi16(whole, 4) : whole;
    const __m512i entry =
        _mm512_permutexvar_epi8(index, load_line((Bits == 3 && f % 2 == 1 ? kUpper : kLower).entries));
    if (!ZeroPoint)
      return entry;
    const __mmask64 special = _mm512_cmplt_epu8_mask(entry, _mm512_set1_epi8(kFromZero)); // the others are larger
    return _mm512_mask_add_epi8(entry, special, entry, zero);
  }
};

} // namespace
} // namespace edgeq::kernels
