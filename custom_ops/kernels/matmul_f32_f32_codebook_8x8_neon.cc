// SPDX-License-Identifier: Apache-2.0
#include "codebook_decode_tile.h"
#include "codebook_dispatch.h"
#include "codebook_neon.h"
#include "f32_block_neon.h"

namespace edgeq::kernels {
namespace {

template <int Bits> struct Neon : F32BlockNeon {
  static void decode(const UniformLayout& layout, const std::uint8_t* tile, std::size_t begin, std::size_t end,
                     float* out) {
    DecodedTile levels;
    CodebookTileDecoder<CodebookVector128, Bits, 0>::run(layout, tile, begin, end, levels);
    const std::uint8_t* bytes = levels.bytes;
    for (std::size_t k = begin; k < end; k += 4, bytes += 4 * kDecodedRows, out += 4 * kDecodedRows)
      for (std::size_t row = 0; row < kDecodedRows; row += 4)
        store_weights(vreinterpretq_s8_u8(vld1q_u8(bytes + 4 * row)), vld1q_f32(levels.scales[0] + row), vdupq_n_s32(0),
                      out + row);
  }
};

} // namespace

void matmul_f32_f32_codebook_8x8_neon(const MatmulF32& product, std::size_t first_tile, std::size_t last_tile) {
  for_codebook<Neon>(product.layout, [&](auto kernel) __attribute__((always_inline)) {
    matmul_f32_tiles<decltype(kernel)>(product, first_tile, last_tile);
  });
}

} // namespace edgeq::kernels
