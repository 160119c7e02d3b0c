// SPDX-License-Identifier: Apache-2.0
// As matmul_f32_a8_uniform_1x64_avx512_vnni, on codes that are looked up in a register as they arrive. Two blocks at
// once are two streams from memory.
#include "decompress_driver.h"
#include "dot_product_avx512_vnni.h"
#include "matmul_a8_driver.h"
#include "matmul_nibble.h"
#include "nibble_avx512.h"

namespace edgeq::kernels {
namespace {

/// What of a block is yet to be read.
struct Stream {
  const std::uint8_t *trailers, *nibbles, *escapes, *end;

  EDGEQ_MEMBER Stream() = default;
  EDGEQ_MEMBER Stream(const NibbleWeight& weight, std::size_t block, std::size_t tiles) {
    const UniformLayout& layout = weight.layout;
    trailers = weight.data + weight.offsets[block];
    nibbles = trailers + tiles * layout.inputs.groups * layout.trailer_bytes();
    escapes = nibbles + tiles * layout.code_bytes(layout.inputs.padded_k) / 2;
    end = weight.data + weight.offsets[block + 1];
  }

  EDGEQ_MEMBER __m512i line(const NibbleLine512& table) {
    std::size_t escaped = 0;
    const __m512i codes = table.decode(nibbles, escapes, escaped);
    nibbles += kNibbleLine / 2;
    escapes = advanced(escapes, escaped, end);
    return codes;
  }
};

/// Multiplies a tile of each of `Streams` blocks.
template <bool ZeroPoint, int Streams> struct NibbleToken {
  static constexpr int kCentre = ZeroPoint ? 0 : 128; // zero points are subtracted from the sums
  static constexpr std::size_t kChunkInputs = 4;

  const UniformLayout layout;
  const NibbleLine512 table;
  Stream streams[Streams];
  __m512 y[Streams][2]; // of both row blocks
  __m512i acc[Streams][2];

  EDGEQ_MEMBER NibbleToken(const NibbleWeight& weight, std::size_t block, std::size_t tiles)
      : layout(weight.layout), table(weight.table) {
    EDGEQ_UNROLL for (int s = 0; s < Streams; ++s) streams[s] =
        Stream(weight, block + static_cast<std::size_t>(s), tiles);
  }

  EDGEQ_MEMBER void sum_products(std::size_t count, const std::int8_t* x, std::int32_t start) {
    EDGEQ_UNROLL for (int i = 0; i < 2 * Streams; ++i) acc[i / 2][i % 2] = _mm512_set1_epi32(start);
    for (const std::int8_t* end = x + count; x != end; x += kChunkInputs) {
      const __m512i activations = broadcast4(x);
      EDGEQ_UNROLL for (int s = 0; s < Streams; ++s) {
        prefetch_stream(streams[s].nibbles, 64);
        EDGEQ_UNROLL for (int b = 0; b < 2; ++b) dot_product(acc[s][b], streams[s].line(table), activations);
      }
    }
  }

  EDGEQ_MEMBER void add_block(float scale, float activations) {
    EDGEQ_UNROLL for (int i = 0; i < 2 * Streams; ++i) {
      const std::uint8_t* trailer = streams[i / 2].trailers;
      __m512 product = _mm512_cvtepi32_ps(acc[i / 2][i % 2]);
      if (ZeroPoint) {
        const __m512i zero = load_bytes_as_int32(trailer + 64 + 16 * (i % 2));
        product = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(zero), _mm512_set1_ps(activations), product);
      }
      product = _mm512_mul_ps(product, load_halfs(trailer + 32 * (i % 2)));
      y[i / 2][i % 2] = _mm512_fmadd_ps(product, _mm512_set1_ps(scale), y[i / 2][i % 2]);
    }
  }

  /// The next tile of each stream by the token.
  EDGEQ_MEMBER void run(const A8Panels& panels) {
    EDGEQ_UNROLL for (int i = 0; i < 2 * Streams; ++i) y[i / 2][i % 2] = _mm512_setzero_ps();
    const std::int8_t* x = panels.codes;
    std::size_t index = 0;
    for (std::size_t k = 0; k < layout.inputs.padded_k;) {
      const std::size_t group_end = layout.inputs.group_end(k / layout.inputs.group_size);
      for (; k < group_end; ++index) {
        const std::size_t count = smaller(kActivationBlock, group_end - k);
        const std::int32_t activations = panels.sums[index];
        sum_products(count, x, -kCentre * activations);
        add_block(panels.scales[index], static_cast<float>(activations));
        k += count;
        x += count;
      }
      EDGEQ_UNROLL for (Stream& stream : streams) stream.trailers += layout.trailer_bytes();
    }
  }
};

template <bool ZeroPoint, int Streams>
void multiply_blocks(const MatmulA8Nibble& product, std::size_t block, std::size_t tiles) {
  const NibbleWeight& weight = product.weight;
  const MatmulA8 rows{weight.layout, nullptr, product.x, product.bias, product.y};
  NibbleToken<ZeroPoint, Streams> token(weight, block, tiles);
  for (std::size_t tile = 0; tile < tiles; ++tile) {
    token.run(product.x);
    alignas(64) float y[Streams][kUniformTileRows];
    EDGEQ_UNROLL for (int i = 0; i < 2 * Streams; ++i) _mm512_store_ps(y[i / 2] + 16 * (i % 2), token.y[i / 2][i % 2]);
    for (std::size_t s = 0; s < Streams; ++s)
      store_rows(rows, weight.first_tile(block + s) + tile, 0, y[s]);
  }
}

template <bool ZeroPoint> void multiply(const MatmulA8Nibble& product, std::size_t block, std::size_t last) {
  const NibbleWeight& weight = product.weight;
  while (block < last) {
    const std::size_t tiles = weight.first_tile(block + 1) - weight.first_tile(block);
    const bool two = block + 1 < last && weight.first_tile(block + 2) - weight.first_tile(block + 1) == tiles;
    two ? multiply_blocks<ZeroPoint, 2>(product, block, tiles) : multiply_blocks<ZeroPoint, 1>(product, block, tiles);
    block += two ? 2 : 1;
  }
}

} // namespace

void matmul_f32_a8_nibble_1x64_avx512_vbmi(const MatmulA8Nibble& product, std::size_t first_block,
                                           std::size_t last_block) {
  product.weight.layout.has_zero_point ? multiply<true>(product, first_block, last_block)
                                       : multiply<false>(product, first_block, last_block);
}

} // namespace edgeq::kernels
