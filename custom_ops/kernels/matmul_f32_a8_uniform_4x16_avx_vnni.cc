// SPDX-License-Identifier: Apache-2.0
// One to four tokens by 16 rows with vpdpbusd.
#include "u8_block_avx_vnni.h"
#include "uniform_rows16_avx2.h"

namespace edgeq::kernels {
namespace {

template <int Bits, bool ZeroPoint, int Dint, int Tokens> struct VnniProducts {
  using Lines = UniformLines<Vector256, Bits, ZeroPoint, Dint>;
  static constexpr int kOffset = ZeroPoint && !Dint ? 0 : -Lines::kCentre;
  static constexpr int kPlaces = Bits == 8 ? 1 : Bits == 2 ? 4 : 2; // of a field in its byte
  // Independent sums per token and half, to hide the latency of vpdpbusd.
  static constexpr int kChains = Tokens == 1 ? (Bits == 2 ? 4 : 2) : Tokens == 2 ? 2 : 1;
  // With a sum for each place codes are multiplied where they lie, and the sums shifted.
  static constexpr bool kInPlace = !Dint && kChains >= kPlaces;
  __m256i acc[Tokens][2][kChains];

  EDGEQ_MEMBER explicit VnniProducts(const std::int32_t* sums) {
    EDGEQ_UNROLL for (int i = 0; i < 2 * Tokens; ++i) {
      acc[i / 2][i % 2][0] = _mm256_set1_epi32(kOffset * sums[i / 2]);
      EDGEQ_UNROLL for (int c = 1; c < kChains; ++c) acc[i / 2][i % 2][c] = _mm256_setzero_si256();
    }
  }

  EDGEQ_MEMBER static __m256i decode(const std::uint8_t* line, int f, __m256i zero) {
    if constexpr (Dint)
      return Lines::bytes(line, f, zero);
    else if constexpr (kInPlace)
      return Lines::codes_in_place(line, f);
    else
      return Lines::codes(line, f);
  }

  EDGEQ_MEMBER void add_run(const std::uint8_t* lines, const __m256i (&zeros)[2], const std::int8_t* x) {
    EDGEQ_UNROLL for (int step = 0; step < 8; ++step) {
      const int chunk = step / Lines::kFields, f = step % Lines::kFields;
      const std::uint8_t* line = lines + chunk * 2 * static_cast<int>(Lines::Fields::kChunkBytes);
      EDGEQ_UNROLL for (int h = 0; h < 2; ++h) {
        const __m256i codes = decode(line + 32 * h, f, zeros[h]);
        EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t)
            Vnni256::dot(acc[t][h][step % kChains], codes, broadcast4_avx2(x + 4 * (step * Tokens + t)));
      }
    }
  }

  EDGEQ_MEMBER __m256i sum(int t, int half) const {
    __m256i total = acc[t][half][0];
    EDGEQ_UNROLL for (int c = 1; c < kChains; ++c) {
      const int shift = kInPlace ? Lines::field_shift(c) : 0;
      total = _mm256_add_epi32(total, _mm256_srai_epi32(acc[t][half][c], shift));
    }
    return total;
  }
};

template <int Bits, bool ZeroPoint, int Dint> using AvxVnni = FewTokens<VnniProducts, Bits, ZeroPoint, Dint>;

} // namespace

void matmul_f32_a8_uniform_4x16_avx_vnni(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  for_format<AvxVnni>(product.layout, [&](auto kernel) __attribute__((always_inline)) {
    matmul_a8_tiles<decltype(kernel)>(product, first_tile, last_tile);
  });
}

} // namespace edgeq::kernels
