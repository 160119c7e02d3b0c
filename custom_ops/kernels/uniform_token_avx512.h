// SPDX-License-Identifier: Apache-2.0
// One token by the rows of two tiles at once, with vpdpbusd: two streams of weights, as a single one waits for a page
// table walk at every page. A 32-bit lane belongs to one row. Included by one source per instruction set.
#pragma once

#include "dot_product_avx512_vnni.h"
#include "matmul_a8_driver.h"
#include "uniform_dispatch.h"
#include "uniform_lines.h"

namespace edgeq::kernels {
namespace {

/// Multiplies `Tiles` tiles. Lines::decode(line, f, zero) are the unsigned bytes of a field, times 2^Lines::shift(f).
template <class Lines, int Tiles> struct TokenBlock {
  static constexpr int kBlocks = 2 * Tiles; // of 16 rows
  static constexpr int kFields = static_cast<int>(Lines::Fields::kFields);
  static constexpr std::size_t kChunk = Lines::Fields::kChunkBytes;
  // Independent sums: to hide the latency of vpdpbusd, and one for each place of a field in its byte.
  static constexpr int kChains = kFields == 4 ? 4 : kFields == 1 ? 1 : 2;

  const UniformLayout layout;
  const std::size_t tile_bytes;
  const std::uint8_t* last_lines; // the next lines of the streams are those of the next tiles
  __m512 y[kBlocks];
  __m512i acc[kBlocks][kChains];

  EDGEQ_MEMBER TokenBlock(const UniformLayout& l, const std::uint8_t* first)
      : layout(l), tile_bytes(l.tile_bytes()), last_lines(first + tile_bytes - kStreamAhead) {
    EDGEQ_UNROLL for (__m512& sum : y) sum = _mm512_setzero_ps();
  }

  /// What belongs to row block `b`, from what belongs to the first; `bytes` are from one to the next of a tile.
  EDGEQ_MEMBER const std::uint8_t* of_block(const std::uint8_t* first, int b, std::size_t bytes) const {
    return first + static_cast<std::size_t>(b / 2) * tile_bytes + static_cast<std::size_t>(b % 2) * bytes;
  }

  /// Fetches what follows `line` by kStreamAhead in each stream, beyond its tile in the next one.
  EDGEQ_MEMBER void prefetch(const std::uint8_t* line, std::size_t bytes) const {
    line += line < last_lines ? 0 : (Tiles - 1) * tile_bytes;
    EDGEQ_UNROLL for (int b = 0; b < kBlocks; b += 2) prefetch_stream(of_block(line, b, 0), bytes);
  }

  /// Sums the products of `count` inputs.
  EDGEQ_MEMBER void sum_products(const std::uint8_t* codes, const std::uint8_t* trailer, std::size_t count,
                                 const std::int8_t* x, std::int32_t start) {
    __m512i zeros[kBlocks];
    EDGEQ_UNROLL for (int b = 0; b < kBlocks; ++b) {
      zeros[b] = Lines::zeros(of_block(trailer, b, 16) + (Lines::kZeroPoint ? 64 : 0));
      acc[b][0] = _mm512_set1_epi32(start);
      EDGEQ_UNROLL for (int c = 1; c < kChains; ++c) acc[b][c] = _mm512_setzero_si512();
    }
    for (const std::int8_t* end = x + count; x != end; codes += 2 * kChunk) {
      prefetch(codes, 2 * kChunk);
      EDGEQ_UNROLL for (int f = 0; f < kFields; ++f, x += 4) {
        const __m512i activations = broadcast4(x);
        EDGEQ_UNROLL for (int b = 0; b < kBlocks; ++b)
            dot_product(acc[b][f % kChains], Lines::decode(of_block(codes, b, kChunk), f, zeros[b]), activations);
      }
    }
  }

  EDGEQ_MEMBER __m512i sum(int b) const {
    __m512i total = acc[b][0];
    EDGEQ_UNROLL for (int c = 1; c < kChains; ++c) total = _mm512_add_epi32(
        total, Lines::shift(c) == 0 ? acc[b][c] : _mm512_srai_epi32(acc[b][c], static_cast<unsigned>(Lines::shift(c))));
    return total;
  }

  /// Adds the products of one activation block to y.
  EDGEQ_MEMBER void add_block(const std::uint8_t* trailer, float scale, float activations) {
    prefetch(trailer, Lines::kZeroPoint ? 96 : 64);
    EDGEQ_UNROLL for (int b = 0; b < kBlocks; ++b) {
      __m512 product = _mm512_cvtepi32_ps(sum(b));
      if (Lines::kSubtractZeros) {
        const __m512 zero = _mm512_cvtepi32_ps(load_bytes_as_int32(of_block(trailer, b, 16) + 64));
        product = _mm512_fnmadd_ps(Lines::zeros_of_sums(zero), _mm512_set1_ps(activations), product);
      }
      const __m512 factor = _mm512_mul_ps(load_halfs(of_block(trailer, b, 32)), _mm512_set1_ps(Lines::kScale));
      y[b] = _mm512_fmadd_ps(_mm512_mul_ps(product, factor), _mm512_set1_ps(scale), y[b]);
    }
  }

  /// Multiplies the tiles from `codes` on by the token.
  EDGEQ_MEMBER void run(const std::uint8_t* codes, const A8Panels& panels) {
    const std::int8_t* x = panels.codes;
    std::size_t index = 0;
    for (std::size_t k = 0; k < layout.inputs.padded_k;) {
      const std::size_t group_end = layout.inputs.group_end(k / layout.inputs.group_size);
      const std::uint8_t* trailer = codes + layout.code_bytes(group_end - k);
      for (; k < group_end; ++index) {
        const std::size_t count = smaller(kActivationBlock, group_end - k);
        const std::int32_t activations = panels.sums[index];
        sum_products(codes, trailer, count, x, Lines::kSubtractZeros ? 0 : -Lines::kCentre * activations);
        add_block(trailer, panels.scales[index], static_cast<float>(activations));
        k += count;
        codes += layout.code_bytes(count);
        x += count;
      }
      codes = trailer + layout.trailer_bytes();
    }
  }
};

template <class Lines, int Tiles> void multiply_tiles(const MatmulA8& product, std::size_t tile) {
  const std::uint8_t* first = product.weights + tile * product.layout.tile_bytes();
  TokenBlock<Lines, Tiles> block(product.layout, first);
  block.run(first, product.x);
  alignas(64) float y[Tiles * kUniformTileRows];
  EDGEQ_UNROLL for (int b = 0; b < 2 * Tiles; ++b) _mm512_store_ps(y + 16 * b, block.y[b]);
  for (std::size_t t = 0; t < Tiles; ++t)
    store_rows(product, tile + t, 0, y + t * kUniformTileRows);
}

/// Tiles [first, last) by the only token.
template <class Lines> void matmul_a8_token(const MatmulA8& product, std::size_t first, std::size_t last) {
  std::size_t tile = first;
  for (; tile + 2 <= last; tile += 2)
    multiply_tiles<Lines, 2>(product, tile);
  if (tile < last)
    multiply_tiles<Lines, 1>(product, tile);
}

/// How codes become bytes for TokenBlock.
template <int Bits, bool ZeroPoint, int Dint> struct TokenLines : UniformLines<Vector512, Bits, ZeroPoint, Dint> {
  using Base = UniformLines<Vector512, Bits, ZeroPoint, Dint>;
  static constexpr bool kZeroPoint = ZeroPoint;
  // Zero points of `uniform` are subtracted from the sums: cheaper than from every code.
  static constexpr bool kSubtractZeros = ZeroPoint && !Dint;
  static constexpr float kScale = dint_unit(Dint);

  EDGEQ_MEMBER static __m512 zeros_of_sums(__m512 zero) { return zero; }

  /// Codes are multiplied where they lie in their bytes, table entries are not.
  EDGEQ_MEMBER static constexpr int shift(int f) { return Dint ? 0 : Base::field_shift(f); }
  EDGEQ_MEMBER static __m512i decode(const std::uint8_t* line, int f, __m512i zero) {
    if constexpr (Dint)
      return Base::bytes(line, f, zero);
    else
      return Base::codes_in_place(line, f);
  }
};

} // namespace
} // namespace edgeq::kernels
