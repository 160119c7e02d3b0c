// SPDX-License-Identifier: Apache-2.0
// The codes and levels of a codebook's tile (docs/formats.md, codebook), in portable C++.
#pragma once

#include "uniform_fields.h"
#include "uniform_layout.h"

namespace edgeq::kernels {

/// Levels are decoded to unsigned bytes where instructions want them: byte = level + kCodebookCentre.
inline constexpr int kCodebookCentre = 128;

/// A codebook's group in a tile: levels, 32 float16, codes; see UniformLayout::code_offset.
struct CodebookGroup {
  const std::uint8_t *levels, *scales, *codes;

  /// Of the group that holds input `k`, with the codes from that input on.
  EDGEQ_MEMBER CodebookGroup(const UniformLayout& layout, const std::uint8_t* tile, std::size_t k)
      : levels(tile + layout.code_offset(k / layout.inputs.group_size * layout.inputs.group_size)),
        scales(levels + (kUniformTileRows << layout.bits)),
        codes(tile + layout.code_offset(k) + layout.trailer_bytes()) {}
};

template <int Bits> struct CodebookFields {
  static constexpr std::size_t kChunkInputs = Bits == 4 ? 32 : UniformFields<Bits>::kChunkInputs;
  static constexpr std::size_t kChunkBytes = Bits == 4 ? 256 : UniformFields<Bits>::kChunkBytes;

  /// Where row `row` of a row block lies in a line of 64 rows' lanes of 16 bytes: every fourth row shares a line.
  EDGEQ_MEMBER static std::size_t lane(std::size_t row) { return 64 * (row % 4) + 16 * (row / 4); }

  /// The code of row `row` and input `k` of a chunk.
  EDGEQ_MEMBER static int code(const std::uint8_t* chunk, std::size_t row, std::size_t k) {
    if constexpr (Bits == 4)
      return chunk[lane(row) + k % 16] >> 4 * (k / 16) & 15;
    else
      return UniformFields<Bits>::code(chunk, static_cast<int>(k / 4), 4 * row + k % 4);
  }

  /// The table of row `row` of a tile.
  EDGEQ_MEMBER static const std::uint8_t* table(const std::uint8_t* levels, std::size_t row) {
    const std::size_t in_block = row % kUniformBlockRows;
    return levels + (row / kUniformBlockRows * kUniformBlockRows << Bits) +
           (Bits == 4 ? lane(in_block) : in_block << Bits);
  }

  /// The chunk of the row block of row `row`, with input `k` of those that `codes` starts with.
  EDGEQ_MEMBER static const std::uint8_t* chunk(const std::uint8_t* codes, std::size_t row, std::size_t k) {
    return codes + (2 * (k / kChunkInputs) + row / kUniformBlockRows) * kChunkBytes;
  }

  /// The level of row `row` of a tile at input `k` from `codes` on.
  EDGEQ_MEMBER static int level(const CodebookGroup& group, std::size_t row, std::size_t k) {
    const int index = code(chunk(group.codes, row, k), row % kUniformBlockRows, k % kChunkInputs);
    return static_cast<std::int8_t>(table(group.levels, row)[index]);
  }
};

} // namespace edgeq::kernels
