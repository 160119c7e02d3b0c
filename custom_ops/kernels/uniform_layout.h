// SPDX-License-Identifier: Apache-2.0
// The packed `uniform`, `dint` and `codebook` weight formats (docs/formats.md).
#pragma once

#include "grouping.h"
#include "sizes.h"

namespace edgeq::kernels {

inline constexpr std::size_t kUniformTileRows = 32;  // two row blocks
inline constexpr std::size_t kUniformBlockRows = 16; // one 32-bit lane of a 64-byte line per row

// `dint` is the denominator of the special levels, plus and minus 1/dint of a step: 2, 4 or 8; 0: the format is
// `uniform`. Kernels count in units of 1/dint step, so that all levels are integers of at most 8 · 13 in magnitude.

/// The zero point that is not stored: of `uniform` 2^(bits-1), of `dint` two less, as its last two codes are special.
constexpr int implied_zero_point(int bits, int dint) { return (1 << (bits - 1)) - (dint != 0 ? 2 : 0); }

/// A dint code in units.
constexpr int dint_units(int code, int bits, int zero_point, int dint) {
  const int plus = (1 << bits) - 2; // one unit; the next code is minus one unit
  return code < plus ? dint * (code - zero_point) : 1 - 2 * (code - plus);
}

/// A unit in steps.
constexpr float dint_unit(int dint) { return dint == 0 ? 1.0F : 1.0F / static_cast<float>(dint); }

/// Kernels that decode to unsigned bytes use weight = scale · dint_unit · (byte − centre).
constexpr int decoded_centre(int bits, bool has_zero_point, int dint) {
  const int zero = has_zero_point ? (1 << bits) - (dint != 0 ? 3 : 1) : implied_zero_point(bits, dint); // the largest
  return dint != 0 ? dint * zero : zero;
}

/// Whether kernels for prompts that sum products in 16 bits take the zero points off the sums, as those bytes would not
/// fit: 127 is the largest whose products with two activations do.
constexpr bool dint_from_zero(int bits, bool has_zero_point, int dint) {
  return has_zero_point && dint != 0 && 2 * decoded_centre(bits, has_zero_point, dint) > 127;
}

/// Where things lie in a packed tensor. Trivially copyable, so kernels take it by value.
struct UniformLayout {
  std::size_t n; // output features
  Grouping inputs;
  std::size_t bits;      // 2, 3, 4 or 8
  bool has_zero_point;   // false: implied_zero_point()
  int dint = 0;          // codes 2^bits - 2 and 2^bits - 1 are plus and minus 1/dint of a step; 0: of whole steps too
  bool codebook = false; // levels and scales of a group lie before its codes instead of scales behind them

  EDGEQ_MEMBER std::size_t tiles() const { return (n + kUniformTileRows - 1) / kUniformTileRows; }
  /// Bytes of a group that are not codes.
  EDGEQ_MEMBER std::size_t trailer_bytes() const {
    return kUniformTileRows * (2 + (has_zero_point ? 1 : 0) + (codebook ? std::size_t{1} << bits : 0));
  }
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
