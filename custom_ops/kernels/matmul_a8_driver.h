// SPDX-License-Identifier: Apache-2.0
// The loops around the register block of MatmulA8. Included by one source per instruction set.
#pragma once

#include "dint_gemm.h"

namespace edgeq::kernels {
namespace {

/// What a register block works on: inputs [begin, end) of one tile for the tokens of one panel. `begin` and `end` lie
/// on boundaries of activation blocks.
struct A8Block {
  const UniformLayout* layout;
  const std::uint8_t* tile;
  std::size_t begin, end;
  const std::int8_t* codes; // of input `begin`: [k / 4][tokens][4]
  const float* scales;      // of the block at `begin`: [block][tokens]
  const std::int32_t* sums; // as scales
  float* y;                 // [tokens][32], added to
};

/// One activation block of an A8Block: `count` inputs of one group, whose rows' scales and zero points are at
/// `trailer`.
struct A8Inputs {
  const std::uint8_t* codes; // of the weights
  std::size_t count;
  const std::int8_t* x;
  const float* scales;      // the tokens'
  const std::int32_t* sums; // the tokens'
  const std::uint8_t* trailer;
};

/// Calls add(A8Inputs) for each activation block, from the first to the last.
template <std::size_t Tokens, class Add>
EDGEQ_MEMBER void for_each_activation_block(const A8Block& block, const Add& add) {
  const UniformLayout layout = *block.layout;
  const std::uint8_t* codes = block.tile + layout.code_offset(block.begin);
  const std::int8_t* x = block.codes;
  const float* scales = block.scales;
  const std::int32_t* sums = block.sums;
  for (std::size_t k = block.begin; k < block.end;) {
    const std::size_t group_end = layout.inputs.group_end(k / layout.inputs.group_size);
    const std::uint8_t* trailer = codes + layout.code_bytes(group_end - k);
    for (const std::size_t stop = smaller(group_end, block.end); k < stop; scales += Tokens, sums += Tokens) {
      const std::size_t count = smaller(kActivationBlock, stop - k);
      add(A8Inputs{codes, count, x, scales, sums, trailer});
      k += count;
      codes += layout.code_bytes(count);
      x += Tokens * count;
    }
    codes = trailer + layout.trailer_bytes();
  }
}

constexpr std::size_t kPanelsPerPass = 16;  // their sums, 12 KiB, stay in the first-level cache
constexpr std::size_t kInputsPerPass = 512; // a tile's codes of so many inputs, 8 KiB at 4 bits, do too

constexpr std::size_t kInputsPerTurn = 128; // of kTilesInTurns; measured: with 512 hardly anything is gained

/// End of a stretch of at most `most` inputs (at least an activation block) from `begin`: whole groups, or whole blocks
/// of a long group.
EDGEQ_INLINE std::size_t stretch_end(const Grouping& inputs, std::size_t begin, std::size_t most = kInputsPerPass) {
  const std::size_t group = begin / inputs.group_size;
  if (inputs.group_size > most)
    return smaller(begin + most, inputs.group_end(group));
  return inputs.group_end(group + most / inputs.group_size - 1);
}

/// Fetches lines [first, last) of the codes that follow `next` into the second-level cache.
EDGEQ_INLINE void prefetch_lines(const std::uint8_t* next, std::size_t first, std::size_t last) {
  for (std::size_t line = first; line < last; ++line)
    __builtin_prefetch(next + 64 * line, 0, 2);
}

/// Bytes by which streams of weights for few tokens are fetched ahead: hardware prefetchers stop at every page. 2 KiB
/// measured best of 1 to 16 on Sapphire Rapids: for one token 7 (4 bits) to 30 % (2 bits) less time, for 2 to 6 tokens
/// 14 to 17 % (4 bits).
constexpr std::size_t kStreamAhead = 2048;

/// Fetches the lines that follow `line` by kStreamAhead.
EDGEQ_INLINE void prefetch_stream(const std::uint8_t* line, std::size_t bytes) {
  EDGEQ_UNROLL for (std::size_t i = 0; i < bytes; i += 64) __builtin_prefetch(line + kStreamAhead + i);
}

EDGEQ_INLINE void store_rows(const MatmulA8& product, std::size_t tile, std::size_t token, const float* sums) {
  const std::size_t row = tile * kUniformTileRows, rows = smaller(kUniformTileRows, product.layout.n - row);
  float* y = product.y + token * product.layout.n + row;
  for (std::size_t r = 0; r < rows; ++r)
    y[r] = product.bias == nullptr ? sums[r] : sums[r] + product.bias[row + r];
}

/// The products of one tile with panels [first, last). Kernel::run(A8Block, tokens) is the register block.
template <class Kernel>
void matmul_a8_tile(const MatmulA8& product, std::size_t tile, std::size_t first, std::size_t last) {
  const UniformLayout& layout = product.layout;
  const Grouping& inputs = layout.inputs;
  const A8Panels& x = product.x;
  const std::uint8_t* weights = product.weights + tile * layout.tile_bytes();
  const std::size_t bytes_left = (layout.tiles() - tile) * layout.tile_bytes();
  const std::size_t first_token = x.first_token(first);
  alignas(64) float sums[kPanelsPerPass * Kernel::kTokens * kUniformTileRows];
  __builtin_memset(sums, 0, (x.first_token(last) - first_token) * kUniformTileRows * sizeof(float));
  for (std::size_t begin = 0, end = 0; begin < inputs.padded_k; begin = end) {
    end = stretch_end(inputs, begin);
    const std::size_t next = smaller(layout.code_offset(end), bytes_left);
    const std::size_t lines = smaller(layout.code_bytes(end - begin), bytes_left - next) / 64;
    const std::size_t block = inputs.block_index(begin), blocks = inputs.blocks();
    for (std::size_t panel = first; panel < last; ++panel) {
      const std::size_t token = x.first_token(panel), tokens = x.panel_size(panel);
      const std::size_t scale = token * blocks + block * tokens;
      Kernel::run({&layout, weights, begin, end, x.codes + token * inputs.padded_k + begin * tokens, x.scales + scale,
                   x.sums + scale, sums + (token - first_token) * kUniformTileRows},
                  tokens);
      const std::size_t done = panel - first, count = last - first;
      prefetch_lines(weights + next, lines * done / count, lines * (done + 1) / count);
    }
  }
  for (std::size_t token = first_token; token < x.first_token(last); ++token)
    store_rows(product, tile, token, sums + (token - first_token) * kUniformTileRows);
}

/// The products of tiles [first, last), at most kTilesInTurns, with the only panel.
template <class Kernel> void matmul_a8_few(const MatmulA8& product, std::size_t first, std::size_t last) {
  const UniformLayout& layout = product.layout;
  const Grouping& inputs = layout.inputs;
  const A8Panels& x = product.x;
  const std::size_t tokens = x.tokens, tile_bytes = layout.tile_bytes();
  alignas(64) float sums[kTilesInTurns][Kernel::kTokens * kUniformTileRows];
  __builtin_memset(sums, 0, (last - first) * sizeof *sums);
  for (std::size_t begin = 0, end = 0; begin < inputs.padded_k; begin = end) {
    end = stretch_end(inputs, begin, kInputsPerTurn);
    const std::size_t scale = inputs.block_index(begin) * tokens;
    for (std::size_t tile = first; tile < last; ++tile)
      Kernel::run({&layout, product.weights + tile * tile_bytes, begin, end, x.codes + begin * tokens, x.scales + scale,
                   x.sums + scale, sums[tile - first]},
                  tokens);
  }
  for (std::size_t tile = first; tile < last; ++tile)
    for (std::size_t token = 0; token < tokens; ++token)
      store_rows(product, tile, token, sums[tile - first] + token * kUniformTileRows);
}

template <class Kernel> void matmul_a8_tiles(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  const std::size_t panels = product.x.panels();
  if (panels == 1) {
    for (std::size_t tile = first_tile; tile < last_tile; tile += kTilesInTurns)
      matmul_a8_few<Kernel>(product, tile, smaller(tile + kTilesInTurns, last_tile));
    return;
  }
  for (std::size_t tile = first_tile; tile < last_tile; ++tile)
    for (std::size_t panel = 0; panel < panels; panel += kPanelsPerPass)
      matmul_a8_tile<Kernel>(product, tile, panel, smaller(panel + kPanelsPerPass, panels));
}

} // namespace
} // namespace edgeq::kernels
