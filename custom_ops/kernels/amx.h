// SPDX-License-Identifier: Apache-2.0
// The tile registers of AMX. Included by one source per kernel. In assembly, as the macros of GCC 12 take no template
// parameters, and its loads may overtake what was written before.
#pragma once

#include "compiler.h"

#include <immintrin.h>

namespace edgeq::kernels {
namespace {

/// Rows are Scale · stride bytes apart; Scale is 1, 2, 4 or 8.
template <int Tile, int Scale = 1> EDGEQ_INLINE void load_tile(const void* rows, std::size_t stride) {
  asm volatile("tileloadd (%0,%1,%c3), %%tmm%c2" : : "r"(rows), "r"(stride), "i"(Tile), "i"(Scale) : "memory");
}
template <int Tile, int Scale = 1> EDGEQ_INLINE void store_tile(void* rows, std::size_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,%c3)" : : "r"(rows), "r"(stride), "i"(Tile), "i"(Scale) : "memory");
}
template <int Tile> EDGEQ_INLINE void clear_tile() { asm volatile("tilezero %%tmm%c0" : : "i"(Tile)); }

/// Adds the products of signed and unsigned bytes, [tokens][inputs] · [inputs / 4][rows][4], to 32-bit sums.
template <int Sums, int X, int W> EDGEQ_INLINE void multiply_bytes() {
  asm volatile("tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(Sums), "i"(X), "i"(W));
}

/// The same of bfloat16 numbers, [tokens][inputs] · [inputs / 2][rows][2], and sums of float32.
template <int Sums, int X, int W> EDGEQ_INLINE void multiply_bf16() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(Sums), "i"(X), "i"(W));
}

/// What ldtilecfg reads.
struct alignas(64) TileConfig {
  std::uint8_t palette, start_row, reserved[14];
  std::uint16_t row_bytes[16];
  std::uint8_t rows[16];
};

/// Shapes of the tile registers of one product, [tokens][inputs] · [inputs][16 rows]: 0 to 3 are sums, [tokens][16]
/// of 32 bits; 4 and 5 activations, [tokens][row_bytes]; 6 and 7 weights, [row_bytes / 4][16] of 4 bytes. The registers
/// are in use until release().
class AmxTiles {
public:
  EDGEQ_MEMBER void configure(std::size_t tokens, std::size_t row_bytes) {
    if (tokens == tokens_ && row_bytes == row_bytes_)
      return;
    tokens_ = tokens, row_bytes_ = row_bytes;
    TileConfig config{1, 0, {}, {}, {}};
    for (int i = 0; i < 8; ++i) {
      config.row_bytes[i] = static_cast<std::uint16_t>(i == 4 || i == 5 ? row_bytes : 64);
      config.rows[i] = static_cast<std::uint8_t>(i < 6 ? tokens : row_bytes / 4);
    }
    _tile_loadconfig(&config);
  }

  EDGEQ_MEMBER void release() const { _tile_release(); }

private:
  std::size_t tokens_ = 0, row_bytes_ = 0;
};

} // namespace
} // namespace edgeq::kernels
