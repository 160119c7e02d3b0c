// SPDX-License-Identifier: Apache-2.0
// One to four tokens by 16 rows with vpdpbusd.
#include "u8_block_avx_vnni.h"
#include "uniform_rows16_avx2.h"

namespace edgeq::kernels {
namespace {

/// Bytes of `dint` with stored zero points in two instructions: with h = Dint · zero point / 2, the table holds the
/// levels of `uniform` as positive bytes, to which kAdded - h is added, and the other two as negative ones, from which
/// it is subtracted. Either way the weight in units + h + kCentre is left, modulo 256.
template <int Bits, int Dint> struct SignedTable {
  static constexpr int kCentre = 70, kAdded = 60; // all bytes and signs come out right, up to 13 · 8 and h = 52
  alignas(16) std::uint8_t entries[16] = {};
  constexpr SignedTable() {
    for (int code = 0; code < 1 << Bits; ++code)
      entries[code] = static_cast<std::uint8_t>(dint_units(code, Bits, 0, Dint) + kCentre +
                                                (code < (1 << Bits) - 2 ? -kAdded : kAdded));
  }
};

template <int Bits, bool ZeroPoint, int Dint, int Tokens> struct VnniProducts {
  using Lines = UniformLines<Vector256, Bits, ZeroPoint, Dint>;
  static constexpr int kOffset = ZeroPoint ? 0 : -Lines::kCentre;
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
    if constexpr (ZeroPoint && Dint) {
      static constexpr SignedTable<Bits, Dint> kTable;
      const __m256i entry = Vector256::look_up(kTable.entries, Lines::codes(line, f));
      return _mm256_add_epi8(entry, _mm256_sign_epi8(zero, entry));
    } else if constexpr (Dint)
      return Lines::bytes(line, f, zero);
    else if constexpr (kInPlace)
      return Lines::codes_in_place(line, f);
    else
      return Lines::codes(line, f);
  }

  using Table = SignedTable<Bits, Dint>;
  EDGEQ_MEMBER static __m256i zeros_of_codes(__m256i zeros) { // Dint · zero point, an even number below 128
    return _mm256_sub_epi8(_mm256_set1_epi8(Table::kAdded), _mm256_srli_epi16(zeros, 1));
  }
  EDGEQ_MEMBER static __m256 zeros_of_sums(__m256 zero) {
    return _mm256_fmadd_ps(zero, _mm256_set1_ps(Dint / 2), _mm256_set1_ps(Table::kCentre));
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
