// SPDX-License-Identifier: Apache-2.0
#include "codebook_avx2.h"
#include "codebook_decode_tile.h"
#include "codebook_dispatch.h"
#include "matmul_f32_driver.h"
#include "matmul_f32_prompt_driver.h"
#include "multiply_f32_avx2.h"

namespace edgeq::kernels {
namespace {

template <int Bits> struct Avx2 : F32Block256 {
  static void decode(const UniformLayout& layout, const std::uint8_t* tile, std::size_t begin, std::size_t end,
                     float* out) {
    DecodedTile levels;
    CodebookTileDecoder<CodebookVector256, Bits, 0>::run(layout, tile, begin, end, levels);
    const std::uint8_t* bytes = levels.bytes;
    for (std::size_t k = begin; k < end; k += 4, bytes += 4 * kDecodedRows, out += 4 * kDecodedRows)
      EDGEQ_UNROLL for (int h = 0; h < 4; ++h) {
        const __m256i lanes = load_half_line(bytes + 32 * h);
        const __m256 scale = _mm256_load_ps(levels.scales[0] + 8 * h);
        EDGEQ_UNROLL for (int j = 0; j < 4; ++j) {
          const __m256i level = _mm256_srai_epi32(_mm256_slli_epi32(lanes, 24 - 8 * j), 24);
          _mm256_storeu_ps(out + static_cast<int>(kDecodedRows) * j + 8 * h,
                           _mm256_mul_ps(scale, _mm256_cvtepi32_ps(level)));
        }
      }
  }
};

} // namespace

void matmul_f32_f32_codebook_6x16_avx2(const MatmulF32& product, std::size_t first_tile, std::size_t last_tile) {
  for_codebook<Avx2>(product.layout, [&](auto kernel) __attribute__((always_inline)) {
    matmul_f32_tiles<decltype(kernel)>(product, first_tile, last_tile);
  });
}

void matmul_f32_f32_codebook_prompt_6x16_avx2(const MatmulF32Prompt& product, std::size_t first_tile,
                                              std::size_t last_tile) {
  for_codebook<Avx2>(product.layout, [&](auto kernel) __attribute__((always_inline)) {
    matmul_f32_prompt_tiles<decltype(kernel)>(product, first_tile, last_tile);
  });
}

} // namespace edgeq::kernels
