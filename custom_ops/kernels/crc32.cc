// SPDX-License-Identifier: Apache-2.0
#include "crc32.h"

namespace edgeq::kernels {
namespace {

constexpr std::size_t kSlices = 16;

/// of[s][b]: the remainder of byte b followed by s zero bytes ("slicing", M. Kounavis and F. Berry, 2005).
struct Remainders {
  std::uint32_t of[kSlices][256];
  constexpr Remainders() : of{} {
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
      std::uint32_t rest = byte;
      for (int bit = 0; bit < 8; ++bit)
        rest = rest >> 1 ^ ((rest & 1) != 0 ? 0xedb88320U : 0);
      of[0][byte] = rest;
    }
    for (std::size_t slice = 1; slice < kSlices; ++slice)
      for (std::size_t byte = 0; byte < 256; ++byte)
        of[slice][byte] = of[slice - 1][byte] >> 8 ^ of[0][of[slice - 1][byte] & 0xff];
  }
};
constexpr Remainders kRemainders;

} // namespace

std::uint32_t crc32(const std::uint8_t* data, std::size_t size, std::uint32_t before) {
  std::uint32_t rest = ~before;
  for (; size >= kSlices; data += kSlices, size -= kSlices) {
    std::uint32_t next = 0;
    for (std::size_t i = 0; i < 4; ++i)
      next ^= kRemainders.of[kSlices - 1 - i][data[i] ^ (rest >> 8 * i & 0xff)];
    for (std::size_t i = 4; i < kSlices; ++i)
      next ^= kRemainders.of[kSlices - 1 - i][data[i]];
    rest = next;
  }
  for (; size > 0; ++data, --size)
    rest = rest >> 8 ^ kRemainders.of[0][(rest ^ *data) & 0xff];
  return ~rest;
}

} // namespace edgeq::kernels
