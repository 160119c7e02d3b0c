// SPDX-License-Identifier: Apache-2.0
// IEEE float16 as stored in packed weights.
#pragma once

#include <cstdint>
#include <cstring>

namespace edgeq {

/// The little-endian float16 at `p` (any alignment) as float. `static` for the reason given in bcq_layout.h.
static inline float load_half(const uint8_t* p) {
  const uint32_t half = static_cast<uint32_t>(p[0]) | static_cast<uint32_t>(p[1]) << 8;
  const uint32_t sign = (half & 0x8000) << 16, exponent = half >> 10 & 31, mantissa = half & 0x3ff;
  if (exponent == 0) { // zero or subnormal: mantissa * 2^-24 is exact
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  const uint32_t bits = sign | (exponent == 31 ? 0x7f800000 : (exponent + 112) << 23) | mantissa << 13;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

} // namespace edgeq
