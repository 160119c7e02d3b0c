// SPDX-License-Identifier: Apache-2.0
// Decoders of compressed weights (docs/formats.md, compressed): the kernels of every instruction set, by one interface.
//
// Whatever the bytes of a block are, a decoder reads nothing beyond its end but the kReadableTail bytes that follow,
// and writes exactly the block's tiles; whether they were the bytes of a block it tells afterwards. Tables are made,
// and sizes checked, by CompressedWeight.
#pragma once

#include "isa.h"
#include "uniform_layout.h"

namespace edgeq::kernels {

inline constexpr std::size_t kReadableTail = 64; // bytes behind a block that vector loads may touch
inline constexpr std::size_t kMostBlocksAtOnce = 8;

inline constexpr unsigned kRansScaleBits = 12;
inline constexpr std::size_t kRansSlots = std::size_t{1} << kRansScaleBits;
inline constexpr std::size_t kRansLanes = 16;
inline constexpr std::size_t kRansStateBytes = 4 * kRansLanes;
inline constexpr std::uint32_t kRansLeastState = 1U << 16;
inline constexpr std::size_t kNibbleTableBytes = 16;
inline constexpr unsigned kNibbleEscape = 15;
inline constexpr std::size_t kNibbleLine = 64; // codes whose nibbles form a line of 32 bytes

/// An entry of the table of "rans", of slot x mod 4096: frequency, slot minus first slot of the symbol, symbol.
constexpr std::uint32_t rans_entry(std::uint32_t frequency, std::uint32_t offset, std::uint32_t symbol) {
  return frequency << 20 | offset << 8 | symbol;
}

/// A block of tiles, and where its tiles go.
struct CodedBlock {
  const std::uint8_t* trailers; // scales and zero points of its tiles
  const std::uint8_t* stream;   // "rans": states, then words; "nibble": nibbles, then escaped codes
  const std::uint8_t* end;
  std::uint8_t* tiles; // written
};

/// Decodes `count` blocks of `tiles` tiles each, at most `blocks_at_once`, with one codec's `table`. Returns whether
/// all of them were used up exactly and ended as encoders start.
using DecodeBlocks = bool (*)(const UniformLayout& layout, const void* table, const CodedBlock* blocks,
                              std::size_t count, std::size_t tiles);

struct Decoder {
  std::size_t blocks_at_once; // as many independent blocks as hide the latency of a step
  DecodeBlocks decode;
};

/// `table`: kRansSlots rans_entry().
const Decoder& rans_decoder(Isa isa);
/// `table`: kNibbleTableBytes bytes.
const Decoder& nibble_decoder(Isa isa);

bool decode_rans_generic(const UniformLayout&, const void*, const CodedBlock*, std::size_t, std::size_t);
bool decode_nibble_generic(const UniformLayout&, const void*, const CodedBlock*, std::size_t, std::size_t);
#if defined(__x86_64__)
bool decode_rans_avx2(const UniformLayout&, const void*, const CodedBlock*, std::size_t, std::size_t);
bool decode_rans_avx512(const UniformLayout&, const void*, const CodedBlock*, std::size_t, std::size_t);
bool decode_nibble_avx2(const UniformLayout&, const void*, const CodedBlock*, std::size_t, std::size_t);
bool decode_nibble_avx512_vbmi(const UniformLayout&, const void*, const CodedBlock*, std::size_t, std::size_t);
#elif defined(__aarch64__)
bool decode_rans_neon(const UniformLayout&, const void*, const CodedBlock*, std::size_t, std::size_t);
bool decode_nibble_neon(const UniformLayout&, const void*, const CodedBlock*, std::size_t, std::size_t);
#endif

} // namespace edgeq::kernels
