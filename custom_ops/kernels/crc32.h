// SPDX-License-Identifier: Apache-2.0
// CRC-32 of zlib and IEEE 802.3: polynomial 0x04c11db7, bits reflected, inverted before and after.
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgeq::kernels {

/// The checksum of `size` bytes that follow others, whose checksum is `before`.
std::uint32_t crc32(const std::uint8_t* data, std::size_t size, std::uint32_t before = 0);

} // namespace edgeq::kernels
