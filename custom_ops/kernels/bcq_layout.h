// SPDX-License-Identifier: Apache-2.0
// The packed `bcq` weight format (docs/formats.md, bcq).
#pragma once

#include "grouping.h"
#include "sizes.h"

namespace edgeq::kernels {

inline constexpr std::size_t kBcqTileRows = 64;

/// Where things lie in a packed tensor. Trivially copyable, so kernels take it by value.
struct BcqLayout {
  std::size_t n; // output features
  Grouping inputs;
  std::size_t planes; // 1 to 4

  EDGEQ_MEMBER std::size_t tiles() const { return (n + kBcqTileRows - 1) / kBcqTileRows; }
  EDGEQ_MEMBER std::size_t trailer_bytes() const { return kBcqTileRows * 2 * (planes + 1); }
  EDGEQ_MEMBER std::size_t tile_bytes() const { return plane_bytes(inputs.padded_k) + inputs.groups * trailer_bytes(); }

  /// Bytes of the planes of `count` inputs (a multiple of 8) in a tile.
  EDGEQ_MEMBER std::size_t plane_bytes(std::size_t count) const { return kBcqTileRows / 8 * planes * count; }

  /// Offset in a tile of the planes of input `start` (a multiple of 8).
  EDGEQ_MEMBER std::size_t plane_offset(std::size_t start) const {
    return plane_bytes(start) + start / inputs.group_size * trailer_bytes();
  }

  /// Offset in a tile of the coefficients of group `group`: planes × 64 float16, then 64 float16 offsets.
  EDGEQ_MEMBER std::size_t trailer_offset(std::size_t group) const {
    return plane_bytes(inputs.group_end(group)) + group * trailer_bytes();
  }
};

/// Bytes of a packed tensor; throws std::invalid_argument when they do not fit into size_t.
inline std::size_t bcq_packed_bytes(const BcqLayout& layout) {
  const std::size_t planes = checked_product(kBcqTileRows / 8 * layout.planes, layout.inputs.padded_k);
  const std::size_t trailers = checked_product(layout.inputs.groups, layout.trailer_bytes());
  return checked_product(layout.tiles(), checked_sum(planes, trailers));
}

} // namespace edgeq::kernels
