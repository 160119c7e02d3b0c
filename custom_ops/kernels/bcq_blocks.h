// SPDX-License-Identifier: Apache-2.0
// Walks over the activation blocks of a bcq tile.
#pragma once

#include "bcq_layout.h"
#include "compiler.h"

namespace edgeq::kernels {

inline constexpr std::size_t kBcqRun = 8; // inputs per 64-byte line of a plane

/// The byte of a line that belongs to row `row` of the tile.
EDGEQ_INLINE std::size_t bcq_lane(std::size_t row) {
  return row < kBcqTileRows / 2 ? 2 * row : 2 * row - kBcqTileRows + 1;
}

/// `size` inputs (a multiple of 32) from input `start` on, and byte offsets into the tile.
struct BcqBlock {
  std::size_t start;
  std::size_t size;
  std::size_t lines;        // [size / 8][planes][64]
  std::size_t coefficients; // float16 [planes][64], then the offsets, float16 [64]
};

/// Calls visit(BcqBlock) for each activation block, in input order.
template <class Visit> EDGEQ_INLINE void for_each_block(const BcqLayout& weight, Visit&& visit) {
  const std::size_t padded = weight.inputs.padded_k, group = weight.inputs.group_size;
  const std::size_t line = weight.planes * kBcqTileRows;
  std::size_t lines = 0;
  for (std::size_t start = 0; start < padded; start += group) {
    const std::size_t end = start + smaller(group, padded - start);
    const std::size_t coefficients = lines + (end - start) / kBcqRun * line;
    for (std::size_t k = start; k < end; k += kActivationBlock) {
      const std::size_t size = smaller(kActivationBlock, end - k);
      visit(BcqBlock{k, size, lines, coefficients});
      lines += size / kBcqRun * line;
    }
    lines = coefficients + 2 * kBcqTileRows * (weight.planes + 1);
  }
}

} // namespace edgeq::kernels
