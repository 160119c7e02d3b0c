// SPDX-License-Identifier: Apache-2.0
#include "compressed_header.h"

#include "crc32.h"
#include "decompress.h"

#include <string>

namespace edgeq::kernels {
namespace {

void expect(const char* what, std::uint64_t found, std::uint64_t wanted) {
  if (found != wanted)
    reject_compressed(what, found, wanted);
}

constexpr std::uint32_t kMagic = 0x57435145; // "EQCW"
constexpr std::size_t kChecksumOffset = kCompressedHeaderBytes - 4;
constexpr std::size_t kAlignment = 8;

Codec read_codec(const std::uint8_t* data, const UniformLayout& layout) {
  if (data[5] != static_cast<std::uint8_t>(Codec::rans) && data[5] != static_cast<std::uint8_t>(Codec::nibble))
    reject_compressed("codec", data[5], 1);
  const auto codec = static_cast<Codec>(data[5]);
  const bool fits = !layout.codebook && (layout.bits == 8 || (layout.bits == 4 && codec == Codec::rans));
  if (!fits)
    reject_compressed("bits", layout.bits, 8);
  return codec;
}

/// CRC-32 of the bytes before the first block, the checksum's own counted as zeros.
std::uint32_t header_checksum(const std::uint8_t* data, std::size_t data_start) {
  constexpr std::uint8_t kZeros[4] = {};
  const std::uint32_t before = crc32(kZeros, 4, crc32(data, kChecksumOffset));
  return crc32(data + kCompressedHeaderBytes, data_start - kCompressedHeaderBytes, before);
}

} // namespace

void reject_compressed(const char* what, std::uint64_t found, std::uint64_t wanted) {
  throw std::invalid_argument("compressed weight, " + std::string(what) + ": found " + std::to_string(found) +
                              ", wanted " + std::to_string(wanted));
}

CompressedHeader read_compressed_header(const std::uint8_t* data, std::size_t size, const UniformLayout& layout) {
  if (size < kCompressedHeaderBytes + kReadableTail)
    reject_compressed("bytes", size, kCompressedHeaderBytes + kReadableTail);
  expect("magic number", load_u32(data), kMagic);
  expect("version", data[4], 1);
  const Codec codec = read_codec(data, layout);
  expect("bits", data[6], layout.bits);
  expect("reserved byte", data[7], 0);
  expect("bytes of the packed weight", load_u64(data + 8), uniform_packed_bytes(layout));
  expect("bytes", size, load_u64(data + 16));
  expect("bytes of a tile", load_u64(data + 24), layout.tile_bytes());
  const std::size_t tiles_per_block = load_u32(data + 32), blocks = load_u32(data + 36);
  if (tiles_per_block == 0)
    reject_compressed("tiles in a block", 0, 1);
  expect("blocks", blocks, ceil_div(layout.tiles(), tiles_per_block));
  const std::uint64_t table_bytes = load_u32(data + 40);
  const std::uint64_t index_start = (kCompressedHeaderBytes + table_bytes + kAlignment - 1) / kAlignment * kAlignment;
  const std::uint64_t data_start = index_start + 8 * (std::uint64_t{blocks} + 1) + 4 * std::uint64_t{blocks};
  if (data_start > size - kReadableTail)
    reject_compressed("bytes of table and index", data_start, size - kReadableTail);
  const std::uint32_t checksum = load_u32(data + kChecksumOffset);
  expect("checksum of header, table and index", header_checksum(data, static_cast<std::size_t>(data_start)), checksum);
  return {codec,
          tiles_per_block,
          blocks,
          static_cast<std::size_t>(table_bytes),
          static_cast<std::size_t>(index_start),
          static_cast<std::size_t>(data_start),
          checksum};
}

} // namespace edgeq::kernels
