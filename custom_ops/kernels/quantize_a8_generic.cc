// SPDX-License-Identifier: Apache-2.0
#include "quantize_a8_driver.h"

namespace edgeq::kernels {
namespace {

EDGEQ_INLINE std::uint32_t magnitude_bits(float x) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &x, sizeof bits);
  return bits & 0x7fffffffU;
}

/// x / scale, rounded half to even; the clamp matters only for subnormal scales.
EDGEQ_INLINE int quantize(float x, float scale) {
  const float code = __builtin_rintf(x / scale);
  return static_cast<int>(code < -127.0F ? -127.0F : code > 127.0F ? 127.0F : code);
}

struct Generic {
  static void run(const float* x, std::size_t count, std::int8_t* codes, std::size_t stride, float* scale,
                  std::int32_t* sum) {
    std::uint32_t largest = 0;
    for (std::size_t k = 0; k < count; ++k) {
      const std::uint32_t bits = magnitude_bits(x[k]);
      largest = bits > largest ? bits : largest;
    }
    *scale = block_scale(largest);
    *sum = 0;
    const bool usable = *scale > 0; // false for NaN
    const std::size_t padded = (count + kInputMultiple - 1) / kInputMultiple * kInputMultiple;
    for (std::size_t k = 0; k < padded; ++k) {
      const int code = usable && k < count ? quantize(x[k], *scale) : 0;
      codes[k / 4 * stride + k % 4] = static_cast<std::int8_t>(code);
      *sum += code;
    }
  }
};

} // namespace

void quantize_a8_generic(const float* x, const Grouping& inputs, const A8Panels& panels, std::size_t first,
                         std::size_t last) {
  quantize_a8_panels<Generic>(x, inputs, panels, first, last);
}

} // namespace edgeq::kernels
