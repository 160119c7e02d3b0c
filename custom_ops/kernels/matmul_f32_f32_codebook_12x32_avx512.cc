// SPDX-License-Identifier: Apache-2.0
#include "codebook_avx512.h"
#include "codebook_decode_tile.h"
#include "codebook_dispatch.h"
#include "matmul_f32_driver.h"
#include "matmul_f32_prompt_driver.h"
#include "multiply_f32_avx512.h"

namespace edgeq::kernels {
namespace {

template <int Bits> struct Avx512 : F32Block512 {
  static void decode(const UniformLayout& layout, const std::uint8_t* tile, std::size_t begin, std::size_t end,
                     float* out) {
    DecodedTile levels;
    CodebookTileDecoder<CodebookVector512, Bits, 0>::run(layout, tile, begin, end, levels);
    const std::uint8_t* bytes = levels.bytes;
    for (std::size_t k = begin; k < end; k += 4, bytes += 4 * kDecodedRows, out += 4 * kDecodedRows)
      EDGEQ_UNROLL for (int b = 0; b < 2; ++b) {
        const __m512i lanes = load_line(bytes + 64 * b);
        const __m512 scale = _mm512_load_ps(levels.scales[0] + 16 * b);
        EDGEQ_UNROLL for (int j = 0; j < 4; ++j) {
          const __m512i level = _mm512_srai_epi32(_mm512_slli_epi32(lanes, static_cast<unsigned>(24 - 8 * j)), 24);
          _mm512_storeu_ps(out + static_cast<int>(kDecodedRows) * j + 16 * b,
                           _mm512_mul_ps(scale, _mm512_cvtepi32_ps(level)));
        }
      }
  }
};

} // namespace

void matmul_f32_f32_codebook_12x32_avx512(const MatmulF32& product, std::size_t first_tile, std::size_t last_tile) {
  for_codebook<Avx512>(product.layout, [&](auto kernel) __attribute__((always_inline)) {
    matmul_f32_tiles<decltype(kernel)>(product, first_tile, last_tile);
  });
}

void matmul_f32_f32_codebook_prompt_12x32_avx512(const MatmulF32Prompt& product, std::size_t first_tile,
                                                 std::size_t last_tile) {
  for_codebook<Avx512>(product.layout, [&](auto kernel) __attribute__((always_inline)) {
    matmul_f32_prompt_tiles<decltype(kernel)>(product, first_tile, last_tile);
  });
}

} // namespace edgeq::kernels
