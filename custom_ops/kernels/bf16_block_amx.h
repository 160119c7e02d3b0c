// SPDX-License-Identifier: Apache-2.0
// The register block of bfloat16 prompts with AMX: 16 tokens by 32 rows. Tile registers multiply one activation block
// while vectors scale the sums of the one before.
#pragma once

#include "amx.h"
#include "bf16_tile_avx512.h"

namespace edgeq::kernels {
namespace {

class Bf16BlockAmx {
public:
  static constexpr std::size_t kTokens = 16;

  EDGEQ_MEMBER void finish() const { tiles_.release(); }

  void run(const Bf16Block& block, std::size_t tokens) {
    const DecodedTile& bytes = *block.bytes;
    const std::uint16_t *w = block.tile->values, *x = block.x;
    tiles_.configure(tokens, 64);
    multiply<0>(w, x, bytes.counts[0], tokens);
    for (std::size_t index = 0; index < bytes.blocks; ++index) {
      index % 2 == 0 ? store<0>() : store<2>();
      if (index + 1 < bytes.blocks) {
        w += bytes.counts[index] * kDecodedRows, x += bytes.counts[index] * tokens;
        index % 2 == 0 ? multiply<2>(w, x, bytes.counts[index + 1], tokens)
                       : multiply<0>(w, x, bytes.counts[index + 1], tokens);
      }
      if (index > 0)
        add_products(bytes.scales[index - 1], sums_[(index - 1) % 2], tokens, block.y);
    }
    add_products(bytes.scales[bytes.blocks - 1], sums_[(bytes.blocks - 1) % 2], tokens, block.y);
  }

private:
  /// Sums of products of `count` inputs into tile registers Pair and Pair + 1.
  template <int Pair>
  EDGEQ_MEMBER void multiply(const std::uint16_t* w, const std::uint16_t* x, std::size_t count, std::size_t tokens) {
    clear_tile<Pair>();
    clear_tile<Pair + 1>();
    for (std::size_t k = 0; k < count; k += kBf16Run, w += kBf16Run * kDecodedRows, x += kBf16Run * tokens) {
      load_tile<4>(x, 64);
      load_tile<6>(w, 4 * kDecodedRows);
      load_tile<7>(w + 32, 4 * kDecodedRows);
      multiply_bf16<Pair, 4, 6>();
      multiply_bf16<Pair + 1, 4, 7>();
    }
  }

  /// What multiply<Pair>() has summed, to memory.
  template <int Pair> EDGEQ_MEMBER void store() {
    store_tile<Pair>(sums_[Pair / 2][0], 64);
    store_tile<Pair + 1>(sums_[Pair / 2][1], 64);
  }

  EDGEQ_MEMBER static void add_products(const float* scales, const float (&sums)[2][16][16], std::size_t tokens,
                                        float* y) {
    const __m512 scale[2] = {_mm512_loadu_ps(scales), _mm512_loadu_ps(scales + 16)};
    for (std::size_t t = 0; t < tokens; ++t, y += kDecodedRows)
      EDGEQ_UNROLL for (int v = 0; v < 2; ++v) _mm512_storeu_ps(
          y + 16 * v, _mm512_fmadd_ps(_mm512_load_ps(sums[v][t]), scale[v], _mm512_loadu_ps(y + 16 * v)));
  }

  AmxTiles tiles_;
  alignas(64) float sums_[2][2][16][16]; // [block % 2][rows][token][row]
};

} // namespace
} // namespace edgeq::kernels
