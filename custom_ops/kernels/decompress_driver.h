// SPDX-License-Identifier: Apache-2.0
// The loops around the decoders of compressed weights. Included by one source per instruction set.
#pragma once

#include "decompress.h"

namespace edgeq::kernels {
namespace {

/// Calls run(offset, bytes) for the codes of each group of a block's tiles: their place and their size in bytes, a
/// multiple of 64.
template <class Run> EDGEQ_INLINE void for_runs(const UniformLayout& layout, std::size_t tiles, const Run& run) {
  const Grouping& inputs = layout.inputs;
  for (std::size_t tile = 0; tile < tiles; ++tile)
    for (std::size_t start = 0; start < inputs.padded_k; start += inputs.group_size) {
      const std::size_t end = inputs.group_end(start / inputs.group_size);
      run(tile * layout.tile_bytes() + layout.code_offset(start), layout.code_bytes(end - start));
    }
}

/// Puts the trailers of a block into their places, behind the codes, of which decoders may write a byte too many.
EDGEQ_INLINE void copy_trailers(const UniformLayout& layout, const CodedBlock& block, std::size_t tiles) {
  const std::size_t bytes = layout.trailer_bytes();
  const std::uint8_t* trailer = block.trailers;
  for (std::size_t tile = 0; tile < tiles; ++tile)
    for (std::size_t group = 0; group < layout.inputs.groups; ++group, trailer += bytes)
      __builtin_memcpy(block.tiles + tile * layout.tile_bytes() + layout.trailer_offset(group), trailer, bytes);
}

/// `next` and `bytes` more, but not beyond `limit`.
EDGEQ_INLINE const std::uint8_t* advanced(const std::uint8_t* next, std::size_t bytes, const std::uint8_t* limit) {
  const auto left = static_cast<std::size_t>(limit - next);
  return next + smaller(bytes, left);
}

/// How far the words of "rans" go: a block that lacks words ends one word beyond its end, not there.
EDGEQ_INLINE const std::uint8_t* limit(const CodedBlock& block) { return block.end + 2; }

/// Decodes blocks with States<Blocks>, which holds the states of as many blocks:
///   States(const CodedBlock*), step(table, offset) -> decodes 16 symbols of each to `offset` of its tiles, finished().
template <template <int> class States, int Blocks>
EDGEQ_INLINE bool decode_rans_blocks(const UniformLayout& layout, const void* table, const CodedBlock* blocks,
                                     std::size_t tiles) {
  States<Blocks> states(blocks);
  const auto* entries = static_cast<const std::uint32_t*>(table);
  for_runs(layout, tiles, [&](std::size_t offset, std::size_t bytes) __attribute__((always_inline)) {
    for (std::size_t i = 0; i < bytes; i += kRansLanes)
      states.step(entries, offset + i);
  });
  for (int b = 0; b < Blocks; ++b)
    copy_trailers(layout, blocks[b], tiles);
  return states.finished();
}

/// The same for a number of blocks, from 1 to Most, that is not a constant.
template <template <int> class States, int Most>
EDGEQ_INLINE bool decode_rans_at_once(const UniformLayout& layout, const void* table, const CodedBlock* blocks,
                                      std::size_t count, std::size_t tiles) {
  if constexpr (Most > 1) {
    if (count < Most)
      return decode_rans_at_once<States, Most - 1>(layout, table, blocks, count, tiles);
  }
  return decode_rans_blocks<States, Most>(layout, table, blocks, tiles);
}

/// Bytes by which nibbles are fetched ahead: hardware prefetchers stop at every page. Measured on Sapphire Rapids:
/// twice the speed with AVX2, half as much again with VBMI.
constexpr std::size_t kNibblesAhead = 2048;

/// Decodes a block with Line(table).decode(nibbles, escapes, out) -> the number of escaped codes among 64.
template <class Line>
EDGEQ_INLINE bool decode_nibble_block(const UniformLayout& layout, const void* table, const CodedBlock& block,
                                      std::size_t tiles) {
  const Line line(static_cast<const std::uint8_t*>(table));
  const std::uint8_t* nibbles = block.stream;
  const std::uint8_t* escapes = nibbles + tiles * layout.code_bytes(layout.inputs.padded_k) / 2;
  const std::uint8_t* next = escapes;
  std::size_t count = 0; // of escaped codes, those that the block lacks included
  for_runs(layout, tiles, [&](std::size_t offset, std::size_t bytes) __attribute__((always_inline)) {
    for (std::size_t i = 0; i < bytes; i += kNibbleLine, nibbles += kNibbleLine / 2) {
      __builtin_prefetch(nibbles + kNibblesAhead);
      const std::size_t escaped = line.decode(nibbles, next, block.tiles + offset + i);
      count += escaped;
      next = advanced(next, escaped, block.end);
    }
  });
  copy_trailers(layout, block, tiles);
  return escapes + count == block.end;
}

/// The same for several blocks.
template <class Line>
EDGEQ_INLINE bool decode_nibble_blocks(const UniformLayout& layout, const void* table, const CodedBlock* blocks,
                                       std::size_t count, std::size_t tiles) {
  bool good = true;
  for (std::size_t b = 0; b < count; ++b)
    good &= decode_nibble_block<Line>(layout, table, blocks[b], tiles);
  return good;
}

} // namespace
} // namespace edgeq::kernels
