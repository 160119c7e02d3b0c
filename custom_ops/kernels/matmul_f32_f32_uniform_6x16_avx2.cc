// SPDX-License-Identifier: Apache-2.0
#include "matmul_f32_driver.h"
#include "multiply_f32_avx2.h"
#include "uniform_dispatch.h"
#include "uniform_fields.h"

namespace edgeq::kernels {
namespace {

/// Writes the weights of a chunk of eight rows, [k][32 rows], from lane-wise codes.
template <int Bits> EDGEQ_INLINE void decode_chunk(const std::uint8_t* lines, __m256 scale, __m256i zero, float* out) {
  EDGEQ_UNROLL for (int f = 0; f < static_cast<int>(UniformFields<Bits>::kFields); ++f) {
    const __m256i line = field_line<Bits>(lines, f);
    EDGEQ_UNROLL for (int j = 0; j < 4; ++j, out += kUniformTileRows) {
      const __m256i code =
          _mm256_and_si256(_mm256_srli_epi32(line, 8 * j + field_shift<Bits>(f)), _mm256_set1_epi32((1 << Bits) - 1));
      _mm256_storeu_ps(out, _mm256_mul_ps(scale, _mm256_cvtepi32_ps(_mm256_sub_epi32(code, zero))));
    }
  }
}

template <int Bits, bool ZeroPoint> struct Avx2 : F32Block256 {
  static void decode(const UniformLayout& layout, const std::uint8_t* tile, std::size_t begin, std::size_t end,
                     float* out) {
    using Fields = UniformFields<Bits>;
    const std::uint8_t* trailer = tile + layout.trailer_offset(begin / layout.inputs.group_size);
    const std::uint8_t* lines = tile + layout.code_offset(begin);
    for (std::size_t rows = 0; rows < kUniformTileRows; rows += 8) {
      const __m256 scale = load_8_halfs(trailer + 2 * rows);
      const __m256i zero = ZeroPoint ? load_8_bytes_as_int32(trailer + 64 + rows) : _mm256_set1_epi32(1 << (Bits - 1));
      const std::uint8_t* chunk = lines + rows / 16 * Fields::kChunkBytes + rows % 16 * 4;
      float* weights = out + rows;
      for (std::size_t k = begin; k < end; k += Fields::kChunkInputs, chunk += 2 * Fields::kChunkBytes,
                       weights += Fields::kChunkInputs * kUniformTileRows)
        decode_chunk<Bits>(chunk, scale, zero, weights);
    }
  }
};

} // namespace

void matmul_f32_f32_uniform_6x16_avx2(const MatmulF32& product, std::size_t first_tile, std::size_t last_tile) {
  for_uniform<Avx2>(product.layout, [&](auto kernel) __attribute__((always_inline)) {
    matmul_f32_tiles<decltype(kernel)>(product, first_tile, last_tile);
  });
}

} // namespace edgeq::kernels
