// SPDX-License-Identifier: Apache-2.0
#include "quantize_a8_driver.h"

namespace edgeq::kernels {
namespace {

EDGEQ_INLINE std::uint32_t magnitude_bits(float x) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &x, sizeof bits);
  return bits & 0x7fffffffU;
}

struct Generic {
  static std::uint32_t largest(const float* x, std::size_t count) {
    std::uint32_t largest = 0;
    for (std::size_t k = 0; k < count; ++k) {
      const std::uint32_t bits = magnitude_bits(x[k]);
      largest = bits > largest ? bits : largest;
    }
    return largest;
  }

  static void widen(const float* x, std::size_t count, A8Range& range) {
    for (std::size_t k = 0; k < count; ++k) {
      range.low = x[k] < range.low ? x[k] : range.low;
      range.high = x[k] > range.high ? x[k] : range.high;
    }
  }

  static std::int32_t quantize(const float* x, std::size_t count, const A8Step& step, std::int8_t* codes,
                               std::size_t stride) {
    const std::size_t padded = (count + kInputMultiple - 1) / kInputMultiple * kInputMultiple;
    std::int32_t sum = 0;
    for (std::size_t k = 0; k < padded; ++k) {
      const std::int32_t code = step.usable() && k < count ? code_of(x[k], step) : 0;
      codes[k / 4 * stride + k % 4] = static_cast<std::int8_t>(code);
      sum += code;
    }
    return sum;
  }

private:
  static std::int32_t code_of(float x, const A8Step& step) {
    const float quotient = __builtin_rintf(x / step.scale);
    return static_cast<std::int32_t>(quotient < step.low()    ? step.low()
                                     : quotient > step.high() ? step.high()
                                                              : quotient) +
           step.zero;
  }
};

} // namespace

void quantize_a8_generic(const float* x, const Grouping& inputs, const A8Panels& panels, std::size_t first,
                         std::size_t last) {
  quantize_a8_panels<Generic>(x, inputs, panels, first, last);
}

} // namespace edgeq::kernels
