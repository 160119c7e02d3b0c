// SPDX-License-Identifier: Apache-2.0
// A compressed weight (docs/formats.md, compressed), checked before anything of it is decoded.
#pragma once

#include "matmul_nibble.h"

#include "decompress.h"

#include <vector>

namespace edgeq::kernels {

class CompressedWeight {
public:
  /// Checks header, table, index and checksums of the `size` bytes at `data`, which must outlive this and be made of a
  /// weight of this layout. Throws std::invalid_argument that says what was found and what was wanted.
  CompressedWeight(const std::uint8_t* data, std::size_t size, const UniformLayout& layout, Isa isa);

  std::size_t blocks() const { return offsets_.size() - 1; }
  std::size_t tiles_per_block() const { return tiles_per_block_; }
  /// The first tile of a block; for blocks(), the number of tiles.
  std::size_t first_tile(std::size_t block) const { return smaller(block * tiles_per_block_, layout_.tiles()); }
  /// Blocks that are best decoded by one call.
  std::size_t blocks_at_once() const { return decoder_.blocks_at_once; }
  /// The checksum of the header, which covers those of the blocks: equal ones mean equal weights.
  std::uint32_t checksum() const { return checksum_; }

  /// Whether the codec is "nibble".
  bool has_nibbles() const { return rans_table_.empty(); }
  /// The weight for kernels that read nibbles; it points into this object.
  NibbleWeight nibbles() const { return {layout_, data_, offsets_.data(), tiles_per_block_, nibble_table_}; }

  /// Decodes blocks [first, last) to `tiles`, one tile behind the other. Returns whether every block was used up
  /// exactly.
  bool decode(std::size_t first, std::size_t last, std::uint8_t* tiles) const;

  /// Decodes block by block to `tiles` (the whole tensor), or, if that is null, to nowhere, and checks their checksums.
  /// Throws std::invalid_argument.
  void check_blocks(std::uint8_t* tiles = nullptr) const;

private:
  void read_index(const std::uint8_t* index, std::size_t data_start, std::size_t size);
  void check_block_size(std::size_t block, unsigned codec) const;
  void read_rans_table(const std::uint8_t* table, std::size_t bytes);
  void read_nibble_table(const std::uint8_t* table, std::size_t bytes);
  CodedBlock coded_block(std::size_t block, std::uint8_t* tiles) const;

  const std::uint8_t* data_;
  UniformLayout layout_;
  Decoder decoder_{};
  std::size_t tiles_per_block_ = 0;
  std::uint32_t checksum_ = 0;
  std::vector<std::size_t> offsets_;      // of blocks, and where the last one ends
  std::vector<std::uint32_t> checksums_;  // of blocks
  std::vector<std::uint32_t> rans_table_; // of codec "rans"
  std::uint8_t nibble_table_[kNibbleTableBytes] = {};
};

} // namespace edgeq::kernels
