// SPDX-License-Identifier: Apache-2.0
// Four tokens by 16 rows with vpmaddubsw: unsigned codes times signed activations to 16 bits, as many sums as fit.
// 8-bit codes would not fit, see multiply_centred().
#include "matmul_u8_pairs_block.h"
#include "uniform_rows16_avx2.h"

namespace edgeq::kernels {
namespace {

template <int Tokens> using Sums = __m256i[Tokens][2]; // [token][half of the row block]

EDGEQ_INLINE __m256i widen(__m256i pairs) { return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)); }

/// Codes of `uniform`, levels of `dint`.
template <class Lines, bool ZeroPoint, int Dint>
EDGEQ_INLINE __m256i decode(const std::uint8_t* line, int f, __m256i zero) {
  if constexpr (!Dint)
    return Lines::codes(line, f);
  else if constexpr (ZeroPoint)
    return Lines::bytes_from_zero(line, f, zero);
  else
    return Lines::bytes(line, f, zero);
}

/// Adds the products of one run, codes that are at most 129. `zeros` as UniformLines wants them, for both halves.
template <class Lines, bool ZeroPoint, int Dint, int Tokens>
EDGEQ_INLINE void multiply_codes(const std::uint8_t* lines, const __m256i (&zeros)[2], const std::int8_t* x,
                                 Sums<Tokens>& acc) {
  constexpr int kSteps = pair_steps(!Dint ? 15 : ZeroPoint ? Lines::kLargestFromZero : Lines::kLargest);
  __m256i pairs[Tokens][2];
  EDGEQ_UNROLL for (int step = 0; step < 8; ++step) {
    const int chunk = step / Lines::kFields, f = step % Lines::kFields;
    const std::uint8_t* line = lines + chunk * 2 * static_cast<int>(Lines::Fields::kChunkBytes);
    __m256i codes[2];
    EDGEQ_UNROLL for (int h = 0; h < 2; ++h) codes[h] = decode<Lines, ZeroPoint, Dint>(line + 32 * h, f, zeros[h]);
    EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) {
      const __m256i activations = broadcast4_avx2(x + 4 * (step * Tokens + t));
      EDGEQ_UNROLL for (int h = 0; h < 2; ++h) {
        const __m256i product = _mm256_maddubs_epi16(codes[h], activations);
        pairs[t][h] = step % kSteps == 0 ? product : _mm256_add_epi16(pairs[t][h], product);
        if (step % kSteps == kSteps - 1)
          acc[t][h] = _mm256_add_epi32(acc[t][h], widen(pairs[t][h]));
      }
    }
  }
}

/// The same for 8-bit codes, less 128: |w| times x with the sign of w. 2 · 128 · 127 fits into 16 bits, and x, never
/// -128, can be negated.
template <class Lines, int Tokens>
EDGEQ_INLINE void multiply_centred(const std::uint8_t* lines, const std::int8_t* x, Sums<Tokens>& acc) {
  EDGEQ_UNROLL for (int step = 0; step < 8; ++step) {
    const int chunk = step / Lines::kFields, f = step % Lines::kFields;
    const std::uint8_t* line = lines + chunk * 2 * static_cast<int>(Lines::Fields::kChunkBytes);
    EDGEQ_UNROLL for (int h = 0; h < 2; ++h) {
      const __m256i centred = _mm256_sub_epi8(Lines::codes(line + 32 * h, f), _mm256_set1_epi8(-128));
      const __m256i magnitude = _mm256_abs_epi8(centred);
      EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) {
        const __m256i activations = _mm256_sign_epi8(broadcast4_avx2(x + 4 * (step * Tokens + t)), centred);
        acc[t][h] = _mm256_add_epi32(acc[t][h], widen(_mm256_maddubs_epi16(magnitude, activations)));
      }
    }
  }
}

template <int Bits, bool ZeroPoint, int Dint, int Tokens> struct Avx2Products {
  using Lines = UniformLines<Vector256, Bits, ZeroPoint, Dint>;
  static constexpr bool kCentred = Bits == 8;
  // What the codes that the multiplication sees lack.
  static constexpr int kOffset = (kCentred ? 128 : 0) - (ZeroPoint ? 0 : Lines::kCentre);
  Sums<Tokens> acc;

  EDGEQ_MEMBER explicit Avx2Products(const std::int32_t* sums) {
    EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) acc[t][0] = acc[t][1] = _mm256_set1_epi32(kOffset * sums[t]);
  }

  EDGEQ_MEMBER static __m256i zeros_of_codes(__m256i zeros) { return Lines::zeros_from_zero(zeros); }
  EDGEQ_MEMBER static __m256 zeros_of_sums(__m256 zero) {
    return _mm256_fmadd_ps(zero, _mm256_set1_ps(Dint), _mm256_set1_ps(kFromZero));
  }

  EDGEQ_MEMBER void add_run(const std::uint8_t* lines, const __m256i (&zeros)[2], const std::int8_t* x) {
    if constexpr (kCentred)
      multiply_centred<Lines, Tokens>(lines, x, acc);
    else
      multiply_codes<Lines, ZeroPoint, Dint, Tokens>(lines, zeros, x, acc);
  }

  EDGEQ_MEMBER __m256i sum(int t, int half) const { return acc[t][half]; }
};

template <int Bits, bool ZeroPoint, int Dint> using Avx2 = FewTokens<Avx2Products, Bits, ZeroPoint, Dint>;

} // namespace

void matmul_f32_a8_uniform_4x16_avx2(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  for_format<Avx2>(product.layout, [&](auto kernel) __attribute__((always_inline)) {
    matmul_a8_tiles<decltype(kernel)>(product, first_tile, last_tile);
  });
}

} // namespace edgeq::kernels
