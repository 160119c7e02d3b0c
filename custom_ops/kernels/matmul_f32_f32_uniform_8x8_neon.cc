// SPDX-License-Identifier: Apache-2.0
#include "f32_block_neon.h"
#include "uniform_dispatch.h"
#include "uniform_factors_neon.h"

namespace edgeq::kernels {
namespace {

/// Writes the weights of a chunk of four rows, [k][32 rows]. `zero`: of the rows, to be subtracted from factors.
template <class Factors>
EDGEQ_INLINE void decode_chunk(const Factors& factors, const std::uint8_t* chunk, float32x4_t scale, int32x4_t zero,
                               float* out) {
  const QuarterChunk<Factors::kBits> quarter(chunk);
  for_constants<UniformFields<Factors::kBits>::kFields>([&](auto field) __attribute__((always_inline)) {
    constexpr int f = decltype(field)::value;
    store_weights(factors.template get<f>(quarter), scale, zero, out + 4 * f * kUniformTileRows);
  });
}

template <int Bits, bool ZeroPoint, int Dint> struct Neon : F32BlockNeon {
  static void decode(const UniformLayout& layout, const std::uint8_t* tile, std::size_t begin, std::size_t end,
                     float* out) {
    using Factors = NeonFactors<Bits, ZeroPoint, Dint>;
    using Fields = UniformFields<Bits>;
    const std::uint8_t* trailer = tile + layout.trailer_offset(begin / layout.inputs.group_size);
    const std::uint8_t* lines = tile + layout.code_offset(begin);
    for (int q = 0; q < 8; ++q) {
      const std::uint8_t* zeros = trailer + 64 + 4 * q;
      const Factors factors(zeros);
      const float32x4_t scale = load_scales<Factors>(trailer + 8 * q);
      int32x4_t zero = vdupq_n_s32(-Factors::kOffset);
      if constexpr (Factors::kZeroApart)
        zero = vaddq_s32(zero, vreinterpretq_s32_u32(load_4_bytes_as_uint32(zeros)));
      const std::uint8_t* chunk = lines + quarter_offset<Bits>(q);
      float* weights = out + 4 * q;
      for (std::size_t k = begin; k < end; k += Fields::kChunkInputs, chunk += 2 * Fields::kChunkBytes,
                       weights += Fields::kChunkInputs * kUniformTileRows)
        decode_chunk(factors, chunk, scale, zero, weights);
    }
  }
};

} // namespace

void matmul_f32_f32_uniform_8x8_neon(const MatmulF32& product, std::size_t first_tile, std::size_t last_tile) {
  for_format<Neon>(product.layout, [&](auto kernel) __attribute__((always_inline)) {
    matmul_f32_tiles<decltype(kernel)>(product, first_tile, last_tile);
  });
}

} // namespace edgeq::kernels
