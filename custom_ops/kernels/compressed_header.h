// SPDX-License-Identifier: Apache-2.0
// The header of a compressed weight (docs/formats.md, compressed).
#pragma once

#include "uniform_layout.h"

namespace edgeq::kernels {

enum class Codec : std::uint8_t { rans = 1, nibble = 2 };

inline constexpr std::size_t kCompressedHeaderBytes = 48;

struct CompressedHeader {
  Codec codec;
  std::size_t tiles_per_block, blocks, table_bytes;
  std::size_t index_start; // of the offsets
  std::size_t data_start;  // of the first block
  std::uint32_t checksum;
};

/// Checks everything before the first block but the table's and the index's contents. Throws std::invalid_argument.
CompressedHeader read_compressed_header(const std::uint8_t* data, std::size_t size, const UniformLayout& layout);

inline std::uint32_t load_u32(const std::uint8_t* bytes) {
  return bytes[0] | bytes[1] << 8 | bytes[2] << 16 | static_cast<std::uint32_t>(bytes[3]) << 24;
}
inline std::uint64_t load_u64(const std::uint8_t* bytes) {
  return load_u32(bytes) | static_cast<std::uint64_t>(load_u32(bytes + 4)) << 32;
}

/// Throws the std::invalid_argument of a compressed weight: "compressed weight, <what>: found <found>, wanted
/// <wanted>".
[[noreturn]] void reject_compressed(const char* what, std::uint64_t found, std::uint64_t wanted);

} // namespace edgeq::kernels
