// SPDX-License-Identifier: Apache-2.0
#include "matmul_lut_lanes.h"

#include <immintrin.h>

namespace edgeq::kernels {
namespace {

struct Avx2 {
  using Bytes = __m256i;
  using Floats = __m256;
  static constexpr int kLanes = 32;

  EDGEQ_MEMBER static Bytes zero() { return _mm256_setzero_si256(); }
  EDGEQ_MEMBER static Bytes load(const std::uint8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  EDGEQ_MEMBER static Bytes load_table(const std::uint8_t* p) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  EDGEQ_MEMBER static Bytes shuffle(Bytes table, Bytes index) { return _mm256_shuffle_epi8(table, index); }
  EDGEQ_MEMBER static Bytes low_nibbles(Bytes a) { return _mm256_and_si256(a, _mm256_set1_epi8(15)); }
  EDGEQ_MEMBER static Bytes high_nibbles(Bytes a) { return low_nibbles(_mm256_srli_epi16(a, 4)); }
  EDGEQ_MEMBER static Bytes add_words(Bytes a, Bytes b) { return _mm256_add_epi16(a, b); }
  EDGEQ_MEMBER static Bytes sub_words(Bytes a, Bytes b) { return _mm256_sub_epi16(a, b); }
  EDGEQ_MEMBER static Bytes upper(Bytes a) { return _mm256_srli_epi16(a, 8); }
  EDGEQ_MEMBER static Bytes shift_up(Bytes a) { return _mm256_slli_epi16(a, 8); }
  EDGEQ_MEMBER static Bytes widen(Bytes a, int part) {
    return _mm256_cvtepu16_epi32(part == 0 ? _mm256_castsi256_si128(a) : _mm256_extracti128_si256(a, 1));
  }
  EDGEQ_MEMBER static Bytes add(Bytes a, Bytes b) { return _mm256_add_epi32(a, b); }
  EDGEQ_MEMBER static Bytes sub(Bytes a, Bytes b) { return _mm256_sub_epi32(a, b); }
  EDGEQ_MEMBER static Bytes set(int i) { return _mm256_set1_epi32(i); }
  EDGEQ_MEMBER static Bytes shift_up_lanes(Bytes a) { return _mm256_slli_epi32(a, 8); }
  EDGEQ_MEMBER static Floats to_floats(Bytes a) { return _mm256_cvtepi32_ps(a); }
  EDGEQ_MEMBER static Floats zero_floats() { return _mm256_setzero_ps(); }
  EDGEQ_MEMBER static Floats set_floats(float f) { return _mm256_set1_ps(f); }
  EDGEQ_MEMBER static Floats load_floats(const float* p) { return _mm256_loadu_ps(p); }
  EDGEQ_MEMBER static void store_floats(float* p, Floats a) { _mm256_storeu_ps(p, a); }
  EDGEQ_MEMBER static Floats load_halfs(const std::uint8_t* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  EDGEQ_MEMBER static Floats fmadd(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
};

// By number of tokens, so that the sums fit into 8 of the 16 registers.
constexpr LaneLookups<4> kNarrow{
    {look_up_lanes<Avx2, 1, 1, false>, look_up_lanes<Avx2, 1, 2, false>, look_up_lanes<Avx2, 1, 3, false>,
     look_up_lanes<Avx2, 1, 4, false>},
    {nullptr, look_up_lanes<Avx2, 2, 1, false>, look_up_lanes<Avx2, 3, 1, false>, look_up_lanes<Avx2, 4, 1, false>}};
constexpr LaneLookups<2> kWide{{look_up_lanes<Avx2, 1, 1, true>, look_up_lanes<Avx2, 1, 2, true>,
                                look_up_lanes<Avx2, 1, 3, true>, look_up_lanes<Avx2, 1, 2, true>},
                               {nullptr, look_up_lanes<Avx2, 2, 1, true>}};

} // namespace

void matmul_f32_lut_bcq_4x64_avx2(const MatmulLut& product, std::size_t first_tile, std::size_t last_tile) {
  if (product.table_bits == 16)
    matmul_lut_lanes(product, first_tile, last_tile, kWide);
  else
    matmul_lut_lanes(product, first_tile, last_tile, kNarrow);
}

} // namespace edgeq::kernels
