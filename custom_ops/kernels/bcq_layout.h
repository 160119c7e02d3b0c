// SPDX-License-Identifier: Apache-2.0
// Where things lie in a packed binary-coded weight (docs/formats.md, bcq).
//
// Functions in this header are `static`: they are compiled once per instruction set, and of a shared inline definition the linker
// could keep the copy that needs the newest one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgeq {

constexpr size_t kBcqTileRows = 64;
constexpr size_t kBcqRunInputs = 8; // inputs per 64-byte line of a plane
constexpr size_t kBcqMaxPlanes = 4;
constexpr size_t kBcqInputPadding = 32;
constexpr size_t kBcqBlockInputs = 128; // longest activation block

/// A weight [rows, inputs]; group_size 0 means one group per row. All other members are at least 1.
struct BcqShape {
  size_t rows;
  size_t inputs;
  size_t group_size;
  size_t planes;
};

/// An activation block inside a tile: `size` inputs (a multiple of 32) from input `start` on, and byte offsets into the tile.
struct BcqBlock {
  size_t start;
  size_t size;
  size_t lines;        // [size / 8][planes][64]
  size_t coefficients; // float16 [planes][64], then the offsets, float16 [64]
};

static inline size_t bcq_padded_inputs(const BcqShape& shape) {
  return ((shape.inputs - 1) / kBcqInputPadding + 1) * kBcqInputPadding;
}

static inline size_t bcq_group_inputs(const BcqShape& shape) {
  return shape.group_size ? shape.group_size : bcq_padded_inputs(shape);
}

static inline size_t bcq_groups(const BcqShape& shape) { return (shape.inputs - 1) / bcq_group_inputs(shape) + 1; }

static inline size_t bcq_tiles(const BcqShape& shape) { return (shape.rows - 1) / kBcqTileRows + 1; }

static inline size_t bcq_tile_bytes(const BcqShape& shape) {
  return bcq_padded_inputs(shape) / kBcqRunInputs * shape.planes * kBcqTileRows +
         bcq_groups(shape) * (shape.planes + 1) * kBcqTileRows * 2;
}

/// Calls `visit(BcqBlock)` for each activation block of a tile, in input order.
template <class Visit> static inline void bcq_for_each_block(const BcqShape& shape, Visit&& visit) {
  const size_t padded = bcq_padded_inputs(shape), group = bcq_group_inputs(shape), line = shape.planes * kBcqTileRows;
  size_t lines = 0;
  for (size_t start = 0; start < padded; start += group) {
    const size_t end = padded - start < group ? padded : start + group;
    const size_t coefficients = lines + (end - start) / kBcqRunInputs * line;
    for (size_t k = start; k < end; k += kBcqBlockInputs) {
      const size_t size = end - k < kBcqBlockInputs ? end - k : kBcqBlockInputs;
      visit(BcqBlock{k, size, lines, coefficients});
      lines += size / kBcqRunInputs * line;
    }
    lines = coefficients + (shape.planes + 1) * kBcqTileRows * 2;
  }
}

/// Number of activation blocks of a token.
static inline size_t bcq_blocks(const BcqShape& shape) {
  size_t blocks = 0;
  bcq_for_each_block(shape, [&](const BcqBlock&) { ++blocks; });
  return blocks;
}

} // namespace edgeq
