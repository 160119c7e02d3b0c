// SPDX-License-Identifier: Apache-2.0
// The packed `uniform` weight format (docs/formats.md, uniform).
#pragma once

#include "grouping.h"
#include "sizes.h"

namespace edgeq::kernels {

inline constexpr std::size_t kUniformTileRows = 32;  // two row blocks
inline constexpr std::size_t kUniformBlockRows = 16; // one 32-bit lane of a 64-byte line per row

/// Where things lie in a packed tensor. Trivially copyable, so kernels take it by value.
struct UniformLayout {
  std::size_t n; // output features
  Grouping inputs;
  std::size_t bits;    // 2, 3, 4 or 8
  bool has_zero_point; // false: the zero point is 2^(bits-1)

  EDGEQ_MEMBER std::size_t tiles() const { return (n + kUniformTileRows - 1) / kUniformTileRows; }
  EDGEQ_MEMBER std::size_t trailer_bytes() const { return kUniformTileRows * (has_zero_point ? 3 : 2); }
  EDGEQ_MEMBER std::size_t tile_bytes() const { return code_bytes(inputs.padded_k) + inputs.groups * trailer_bytes(); }

  /// Bytes of the codes of `count` inputs (a multiple of 32) in a tile.
  EDGEQ_MEMBER std::size_t code_bytes(std::size_t count) const { return kUniformTileRows / 8 * bits * count; }

  /// Offset in a tile of the codes of input `start` (a multiple of 32).
  EDGEQ_MEMBER std::size_t code_offset(std::size_t start) const {
    return code_bytes(start) + start / inputs.group_size * trailer_bytes();
  }

  /// Offset in a tile of the scales of group `group`: 32 float16, then, if stored, 32 uint8 zero points.
  EDGEQ_MEMBER std::size_t trailer_offset(std::size_t group) const {
    return code_bytes(inputs.group_end(group)) + group * trailer_bytes();
  }
};

/// Bytes of a packed tensor; throws std::invalid_argument when they do not fit into size_t.
inline std::size_t uniform_packed_bytes(const UniformLayout& layout) {
  const std::size_t codes = checked_product(kUniformTileRows / 8 * layout.bits, layout.inputs.padded_k);
  const std::size_t trailers = checked_product(layout.inputs.groups, layout.trailer_bytes());
  return checked_product(layout.tiles(), checked_sum(codes, trailers));
}

} // namespace edgeq::kernels
