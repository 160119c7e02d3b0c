// SPDX-License-Identifier: Apache-2.0
// The register block of prompts with AMX: 16 tokens by 32 rows. Tile registers multiply one activation block while
// vectors scale the sums of the one two before: what tile registers have just stored can not be loaded at once.
#pragma once

#include "amx.h"
#include "matmul_u8_block.h"
#include "vector_avx512.h"

namespace edgeq::kernels {
namespace {

/// For U8Block with A8Panels::by_token.
template <bool Zeros> class U8BlockAmx {
public:
  static constexpr std::size_t kTokens = 16;

  void run(const U8Block& block, std::size_t tokens) {
    const DecodedTile& tile = *block.tile;
    const std::uint8_t* w = tile.bytes;
    const std::int8_t* x = block.x;
    multiply<0>(w, x, tile.counts[0], tokens);
    for (std::size_t index = 0; index < tile.blocks; ++index) {
      const std::size_t count = tile.counts[index];
      index % 2 == 0 ? store<0>() : store<2>();
      if (index + 1 < tile.blocks) {
        w += count * kDecodedRows, x += count * tokens;
        index % 2 == 0 ? multiply<2>(w, x, tile.counts[index + 1], tokens)
                       : multiply<0>(w, x, tile.counts[index + 1], tokens);
      }
      if (index > 0)
        add_products(block, index - 1, tokens);
    }
    add_products(block, tile.blocks - 1, tokens);
  }

  EDGEQ_MEMBER void release() const { tiles_.release(); }

private:
  /// Sums of products of `count` inputs into tile registers Pair and Pair + 1.
  template <int Pair>
  EDGEQ_MEMBER void multiply(const std::uint8_t* w, const std::int8_t* x, std::size_t count, std::size_t tokens) {
    const std::size_t step = count % 64 == 0 ? 64 : 32;
    tiles_.configure(tokens, step);
    clear_tile<Pair>();
    clear_tile<Pair + 1>();
    for (std::size_t k = 0; k < count; k += step, w += step * kDecodedRows) {
      load_tile<4>(x + k, count);
      load_tile<6>(w, 4 * kDecodedRows);
      load_tile<7>(w + 64, 4 * kDecodedRows);
      multiply_bytes<Pair, 4, 6>();
      multiply_bytes<Pair + 1, 4, 7>();
    }
  }

  /// What multiply<Pair>() has summed, to memory.
  template <int Pair> EDGEQ_MEMBER void store() {
    store_tile<Pair>(sums_[Pair / 2][0], 64);
    store_tile<Pair + 1>(sums_[Pair / 2][1], 64);
  }

  EDGEQ_MEMBER void add_products(const U8Block& block, std::size_t index, std::size_t tokens) {
    const DecodedTile& tile = *block.tile;
    const float* scales = block.scales + index * tokens;
    const std::int32_t* starts = block.starts + index * tokens;
    const __m512 scale[2] = {V::load_floats(tile.scales[index]), V::load_floats(tile.scales[index] + 16)};
    const __m512 shift[2] = {V::load_floats(tile.shifts[index]), V::load_floats(tile.shifts[index] + 16)};
    const __m512i zeros[2] = {V::load(tile.zeros[index]), V::load(tile.zeros[index] + 16)};
    const std::int32_t (*sums)[16][16] = sums_[index % 2];
    for (std::size_t t = 0; t < tokens; ++t) {
      const __m512i start = V::broadcast4(starts + t);
      const __m512 activation_scale = V::broadcast(scales + t);
      EDGEQ_UNROLL for (int v = 0; v < 2; ++v) {
        const __m512i sum =
            Zeros ? V::subtract(V::add(V::load(sums[v][t]), V::all(kIntegerFloatBits)), V::multiply(zeros[v], start))
                  : V::add(V::load(sums[v][t]), start);
        float* y = block.y + kDecodedRows * t + 16 * v;
        V::store_floats(y, V::multiply_add(V::multiply_add(V::bits_as_floats(sum), scale[v], shift[v]),
                                           activation_scale, V::load_floats(y)));
      }
    }
  }

  using V = Vector512;
  AmxTiles tiles_;
  alignas(64) std::int32_t sums_[2][2][16][16]; // [block % 2][rows][token][row]
};

template <bool Zeros> EDGEQ_INLINE void finish(const U8BlockAmx<Zeros>& kernel) { kernel.release(); }

} // namespace
} // namespace edgeq::kernels
