// SPDX-License-Identifier: Apache-2.0
#include "kernels/bcq_decode.h"

#include "kernels/half.h"

namespace edgeq {
namespace {

struct RowGroup {
  float planes[kBcqMaxPlanes];
  float offset;
};

RowGroup load_row_group(const uint8_t* coefficients, size_t planes, size_t row) {
  RowGroup group{};
  for (size_t p = 0; p < planes; ++p) group.planes[p] = load_half(coefficients + 2 * (p * kBcqTileRows + row));
  group.offset = load_half(coefficients + 2 * (planes * kBcqTileRows + row));
  return group;
}

/// Decodes `count` (at most 8) inputs of one run; `bytes` is the row's byte of plane 0.
void decode_run(const uint8_t* bytes, const RowGroup& group, size_t planes, size_t count, float* out) {
  for (size_t k = 0; k < count; ++k) {
    float weight = group.offset;
    for (size_t p = 0; p < planes; ++p)
      weight += (bytes[p * kBcqTileRows] >> k) & 1 ? group.planes[p] : -group.planes[p];
    out[k] = weight;
  }
}

} // namespace

bool bcq_packed_bytes(const BcqShape& shape, size_t* bytes) {
  if (shape.inputs > SIZE_MAX - kBcqInputPadding) return false;
  const size_t runs = bcq_padded_inputs(shape) / kBcqRunInputs;
  size_t lines, trailers, tile;
  return !__builtin_mul_overflow(runs, shape.planes * kBcqTileRows, &lines) &&
         !__builtin_mul_overflow(bcq_groups(shape), (shape.planes + 1) * kBcqTileRows * 2, &trailers) &&
         !__builtin_add_overflow(lines, trailers, &tile) && !__builtin_mul_overflow(bcq_tiles(shape), tile, bytes);
}

void bcq_decode_row(const BcqShape& shape, const uint8_t* packed, size_t row, float* out) {
  const uint8_t* tile = packed + row / kBcqTileRows * bcq_tile_bytes(shape);
  const size_t r = row % kBcqTileRows, half = kBcqTileRows / 2;
  const size_t lane = r < half ? 2 * r : 2 * (r - half) + 1;
  bcq_for_each_block(shape, [&](const BcqBlock& block) {
    const RowGroup group = load_row_group(tile + block.coefficients, shape.planes, r);
    const uint8_t* bytes = tile + block.lines + lane;
    for (size_t k = block.start; k < block.start + block.size && k < shape.inputs; k += kBcqRunInputs) {
      const size_t left = shape.inputs - k;
      decode_run(bytes, group, shape.planes, left < kBcqRunInputs ? left : kBcqRunInputs, out + k);
      bytes += shape.planes * kBcqTileRows;
    }
  });
}

} // namespace edgeq
