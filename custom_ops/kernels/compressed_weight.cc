// SPDX-License-Identifier: Apache-2.0
#include "compressed_weight.h"

#include "compressed_header.h"
#include "crc32.h"

#include <cstring>
#include <string>

namespace edgeq::kernels {

CompressedWeight::CompressedWeight(const std::uint8_t* data, std::size_t size, const UniformLayout& layout, Isa isa)
    : data_(data), layout_(layout) {
  const CompressedHeader header = read_compressed_header(data, size, layout);
  tiles_per_block_ = header.tiles_per_block;
  checksum_ = header.checksum;
  const bool rans = header.codec == Codec::rans;
  decoder_ = rans ? rans_decoder(isa) : nibble_decoder(isa);
  rans ? read_rans_table(data + kCompressedHeaderBytes, header.table_bytes)
       : read_nibble_table(data + kCompressedHeaderBytes, header.table_bytes);
  offsets_.resize(header.blocks + 1);
  checksums_.resize(header.blocks);
  read_index(data + header.index_start, header.data_start, size);
  for (std::size_t block = 0; block < blocks(); ++block)
    check_block_size(block, static_cast<unsigned>(header.codec));
}

void CompressedWeight::read_index(const std::uint8_t* index, std::size_t data_start, std::size_t size) {
  std::uint64_t before = data_start;
  for (std::size_t i = 0; i < offsets_.size(); ++i) {
    const std::uint64_t offset = load_u64(index + 8 * i);
    if (i == 0 && offset != data_start)
      reject_compressed("start of the first block", offset, data_start);
    if (offset < before || offset > size - kReadableTail)
      reject_compressed("index: start of a block", offset, before);
    offsets_[i] = static_cast<std::size_t>(before = offset);
  }
  if (before != size - kReadableTail)
    reject_compressed("end of the last block", before, size - kReadableTail);
  for (std::size_t block = 0; block < checksums_.size(); ++block)
    checksums_[block] = load_u32(index + 8 * offsets_.size() + 4 * block);
}

void CompressedWeight::check_block_size(std::size_t block, unsigned codec) const {
  const std::size_t tiles = first_tile(block + 1) - first_tile(block), size = offsets_[block + 1] - offsets_[block];
  const std::size_t codes = layout_.code_bytes(layout_.inputs.padded_k);
  const bool rans = codec == static_cast<unsigned>(Codec::rans);
  const std::size_t least = tiles * (layout_.tile_bytes() - codes) + (rans ? kRansStateBytes : tiles * codes / 2);
  if (size < least)
    reject_compressed("bytes of a block, too few", size, least);
  if (rans && (size - least) % 2 != 0)
    reject_compressed("bytes of a block, odd", size, size + 1);
}

void CompressedWeight::read_rans_table(const std::uint8_t* table, std::size_t bytes) {
  constexpr std::size_t kSymbols = 256, kUsedBytes = kSymbols / 8;
  std::size_t used = 0;
  for (std::size_t i = 0; i < smaller(bytes, kUsedBytes); ++i)
    used += static_cast<std::size_t>(__builtin_popcount(table[i]));
  if (bytes != kUsedBytes + 2 * used)
    reject_compressed("bytes of the table", bytes, kUsedBytes + 2 * used);
  const std::uint8_t* next = table + kUsedBytes;
  for (std::uint32_t symbol = 0; symbol < kSymbols; ++symbol) {
    if ((table[symbol / 8] >> symbol % 8 & 1) == 0)
      continue;
    const std::uint32_t frequency = next[0] | static_cast<std::uint32_t>(next[1]) << 8;
    if (frequency == 0 || frequency >= kRansSlots || rans_table_.size() + frequency > kRansSlots)
      reject_compressed("frequency of a symbol", frequency, 1);
    for (std::uint32_t offset = 0; offset < frequency; ++offset)
      rans_table_.push_back(rans_entry(frequency, offset, symbol));
    next += 2;
  }
  if (rans_table_.size() != kRansSlots)
    reject_compressed("sum of frequencies", rans_table_.size(), kRansSlots);
}

void CompressedWeight::read_nibble_table(const std::uint8_t* table, std::size_t bytes) {
  if (bytes != kNibbleTableBytes)
    reject_compressed("bytes of the table", bytes, kNibbleTableBytes);
  std::memcpy(nibble_table_, table, bytes);
}

CodedBlock CompressedWeight::coded_block(std::size_t block, std::uint8_t* tiles) const {
  const std::size_t count = first_tile(block + 1) - first_tile(block);
  const std::size_t trailers = count * (layout_.tile_bytes() - layout_.code_bytes(layout_.inputs.padded_k));
  const std::uint8_t* start = data_ + offsets_[block];
  return {start, start + trailers, data_ + offsets_[block + 1], tiles};
}

bool CompressedWeight::decode(std::size_t first, std::size_t last, std::uint8_t* tiles) const {
  const void* table = has_nibbles() ? static_cast<const void*>(nibble_table_) : rans_table_.data();
  bool good = true;
  while (first < last) {
    const std::size_t size = first_tile(first + 1) - first_tile(first); // only the last block may differ
    CodedBlock group[kMostBlocksAtOnce];
    std::size_t count = 0;
    for (; count < decoder_.blocks_at_once && first < last && first_tile(first + 1) - first_tile(first) == size;
         ++first) {
      group[count++] = coded_block(first, tiles);
      tiles += size * layout_.tile_bytes();
    }
    good &= decoder_.decode(layout_, table, group, count, size);
  }
  return good;
}

void CompressedWeight::check_blocks(std::uint8_t* tiles) const {
  const std::size_t step = decoder_.blocks_at_once, tile_bytes = layout_.tile_bytes();
  std::vector<std::uint8_t> nowhere(tiles == nullptr ? first_tile(step) * tile_bytes : 0);
  for (std::size_t first = 0; first < blocks(); first += step) {
    const std::size_t last = smaller(first + step, blocks());
    for (std::size_t block = first; block < last; ++block) {
      const std::uint32_t found = crc32(data_ + offsets_[block], offsets_[block + 1] - offsets_[block]);
      if (found != checksums_[block])
        reject_compressed(("checksum of block " + std::to_string(block)).c_str(), found, checksums_[block]);
    }
    if (!decode(first, last, tiles == nullptr ? nowhere.data() : tiles + first_tile(first) * tile_bytes))
      throw std::invalid_argument("compressed weight, block " + std::to_string(first) +
                                  ": found bytes that no encoder writes, wanted a coded block");
  }
}

} // namespace edgeq::kernels
