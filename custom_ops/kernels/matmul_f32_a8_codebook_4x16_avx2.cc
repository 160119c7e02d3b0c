// SPDX-License-Identifier: Apache-2.0
// Four tokens by 16 rows with vpmaddubsw, after decoding to signed levels: |w| times x with the sign of w.
// 2 · 128 · 127 fits into 16 bits, and x, never -128, can be negated.
#include "codebook_avx2.h"
#include "codebook_decode_tile.h"
#include "codebook_dispatch.h"
#include "matmul_a8_prompt_driver.h"

namespace edgeq::kernels {
namespace {

template <int Tokens> struct RegisterBlock {
  /// Adds the products of `count` inputs to 16 rows of y, [tokens][32].
  EDGEQ_MEMBER static void add_block(const std::uint8_t* levels, std::size_t count, const std::int8_t* x,
                                     const float* row_scales, const float* scales, float* y) {
    __m256i acc[Tokens][2];
    EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) acc[t][0] = acc[t][1] = _mm256_setzero_si256();
    for (const std::int8_t* end = x + count * Tokens; x != end; x += 4 * Tokens, levels += 4 * kDecodedRows)
      EDGEQ_UNROLL for (int h = 0; h < 2; ++h) {
        const __m256i level = load_half_line(levels + 32 * h), magnitude = _mm256_abs_epi8(level);
        EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) {
          const __m256i activations = _mm256_sign_epi8(broadcast4_avx2(x + 4 * t), level);
          const __m256i pairs = _mm256_maddubs_epi16(magnitude, activations);
          acc[t][h] = _mm256_add_epi32(acc[t][h], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
        }
      }
    EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) EDGEQ_UNROLL for (int h = 0; h < 2; ++h) {
      float* rows = y + 32 * t + 8 * h;
      const __m256 product = _mm256_mul_ps(_mm256_cvtepi32_ps(acc[t][h]), _mm256_loadu_ps(row_scales + 8 * h));
      _mm256_storeu_ps(rows, _mm256_fmadd_ps(product, _mm256_set1_ps(scales[t]), _mm256_loadu_ps(rows)));
    }
  }

  static void run(const U8Block& arguments) {
    const U8Block block = arguments; // a copy: what is stored cannot change it
    const std::uint8_t* levels = block.tile->bytes;
    const std::int8_t* x = block.x;
    for (std::size_t index = 0; index < block.tile->blocks; ++index) {
      const std::size_t count = block.tile->counts[index];
      for (std::size_t row = 0; row < kDecodedRows; row += 16)
        add_block(levels + 4 * row, count, x, block.tile->scales[index] + row, block.scales + index * Tokens,
                  block.y + row);
      levels += count * kDecodedRows;
      x += count * Tokens;
    }
  }
};

struct Block {
  static constexpr std::size_t kTokens = 4;

  static void run(const U8Block& block, std::size_t tokens) {
    switch (tokens) {
    case 1:
      return RegisterBlock<1>::run(block);
    case 2:
      return RegisterBlock<2>::run(block);
    case 3:
      return RegisterBlock<3>::run(block);
    default:
      return RegisterBlock<4>::run(block);
    }
  }
};

template <int Bits> struct Decoder : CodebookTileDecoder<CodebookVector256, Bits, 0> {};

} // namespace

void matmul_f32_a8_codebook_4x16_avx2(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  for_codebook<Decoder>(product.layout, [&](auto decoder) __attribute__((always_inline)) {
    matmul_a8_prompt<decltype(decoder), Block>(product, first_tile, last_tile);
  });
}

} // namespace edgeq::kernels
