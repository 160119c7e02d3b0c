// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "compiler.h"

#include <cstring>

namespace edgeq::kernels {

/// IEEE float16 bits to float32, exact, in portable C++.
EDGEQ_INLINE float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16;
  const std::uint32_t magnitude = half & 0x7fffU;
  std::uint32_t bits = 0;
  if (magnitude >= 0x7c00U) { // infinity, NaN
    bits = sign | 0x7f800000U | (magnitude & 0x3ffU) << 13;
  } else if (magnitude >= 0x0400U) {
    bits = sign | ((magnitude << 13) + (112U << 23));
  } else { // zero and subnormals are integers times 2^-24
    const float value = static_cast<float>(magnitude) * 0x1p-24F;
    std::memcpy(&bits, &value, sizeof bits);
    bits |= sign;
  }
  float result = 0;
  std::memcpy(&result, &bits, sizeof result);
  return result;
}

/// Element `index` of an array of little-endian float16 at any address.
EDGEQ_INLINE float load_half(const std::uint8_t* array, std::size_t index) {
  std::uint16_t half = 0;
  std::memcpy(&half, array + 2 * index, sizeof half);
  return half_to_float(half);
}

} // namespace edgeq::kernels
