// SPDX-License-Identifier: Apache-2.0
#include "matmul_f32_driver.h"
#include "multiply_f32_avx512.h"
#include "uniform_dispatch.h"
#include "uniform_fields.h"

namespace edgeq::kernels {
namespace {

/// Writes the weights of a chunk of one row block, [k][32 rows], from lane-wise codes.
template <int Bits> EDGEQ_INLINE void decode_chunk(const std::uint8_t* lines, __m512 scale, __m512i zero, float* out) {
  EDGEQ_UNROLL for (int f = 0; f < static_cast<int>(UniformFields<Bits>::kFields); ++f) {
    const bool derived = Bits == 3 && f / 2 == 3;
    const __m512i line = derived ? derived_line(lines) : load_line(lines + (Bits == 3 ? 64 * (f / 2) : 0));
    const int shift = Bits == 3 ? 3 * (f % 2) : Bits * f;
    EDGEQ_UNROLL for (int j = 0; j < 4; ++j, out += kUniformTileRows) {
      const __m512i code = _mm512_and_si512(_mm512_srli_epi32(line, static_cast<unsigned>(8 * j + shift)),
                                            _mm512_set1_epi32((1 << Bits) - 1));
      _mm512_storeu_ps(out, _mm512_mul_ps(scale, _mm512_cvtepi32_ps(_mm512_sub_epi32(code, zero))));
    }
  }
}

template <int Bits, bool ZeroPoint> struct Avx512 : F32Block512 {
  static void decode(const UniformLayout& layout, const std::uint8_t* tile, std::size_t begin, std::size_t end,
                     float* out) {
    using Fields = UniformFields<Bits>;
    const std::uint8_t* trailer = tile + layout.trailer_offset(begin / layout.inputs.group_size);
    const std::uint8_t* lines = tile + layout.code_offset(begin);
    __m512 scale[2];
    __m512i zero[2];
    EDGEQ_UNROLL for (int b = 0; b < 2; ++b) {
      scale[b] = load_halfs(trailer + 32 * b);
      zero[b] = ZeroPoint ? load_bytes_as_int32(trailer + 64 + 16 * b) : _mm512_set1_epi32(1 << (Bits - 1));
    }
    for (std::size_t k = begin; k < end; k += Fields::kChunkInputs, out += Fields::kChunkInputs * kUniformTileRows)
      EDGEQ_UNROLL for (int b = 0; b < 2; ++b, lines += Fields::kChunkBytes)
          decode_chunk<Bits>(lines, scale[b], zero[b], out + 16 * b);
  }
};

} // namespace

void matmul_f32_f32_uniform_12x32_avx512(const MatmulF32& product, std::size_t first_tile, std::size_t last_tile) {
  for_uniform<Avx512>(product.layout, [&](auto kernel) __attribute__((always_inline)) {
    matmul_f32_tiles<decltype(kernel)>(product, first_tile, last_tile);
  });
}

} // namespace edgeq::kernels
