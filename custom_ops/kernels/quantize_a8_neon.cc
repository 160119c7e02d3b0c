// SPDX-License-Identifier: Apache-2.0
#include "neon.h"
#include "quantize_a8_driver.h"

namespace edgeq::kernels {
namespace {

/// Sixteen codes, four together every `stride` bytes.
EDGEQ_INLINE void store_codes(const int32x4_t (&codes)[4], std::int8_t* out, std::size_t stride) {
  const int16x8_t low = vcombine_s16(vmovn_s32(codes[0]), vmovn_s32(codes[1]));
  const int16x8_t high = vcombine_s16(vmovn_s32(codes[2]), vmovn_s32(codes[3]));
  std::int8_t bytes[16];
  vst1q_s8(bytes, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
  EDGEQ_UNROLL for (std::size_t i = 0; i < 4; ++i) std::memcpy(out + i * stride, bytes + 4 * i, 4);
}

/// How four quotients become codes.
struct Rounding {
  float32x4_t scale, low, high;
  int32x4_t zero, usable;

  EDGEQ_MEMBER explicit Rounding(const A8Step& step)
      : scale(vdupq_n_f32(step.scale)), low(vdupq_n_f32(step.low())), high(vdupq_n_f32(step.high())),
        zero(vdupq_n_s32(step.zero)), usable(vdupq_n_s32(step.usable() ? -1 : 0)) {}

  /// Half to even; zero behind the first `valid`, which have no zero point.
  EDGEQ_MEMBER int32x4_t codes(const float* x, std::size_t valid) const {
    const float32x4_t quotient = vmaxq_f32(vminq_f32(vdivq_f32(vld1q_f32(x), scale), high), low);
    const int32x4_t code = vandq_s32(vaddq_s32(vcvtnq_s32_f32(quotient), zero), usable);
    if (valid >= 4)
      return code;
    const std::uint32_t lanes[4] = {0, 1, 2, 3};
    const uint32x4_t inside = vcltq_u32(vld1q_u32(lanes), vdupq_n_u32(static_cast<std::uint32_t>(valid)));
    return vandq_s32(code, vreinterpretq_s32_u32(inside));
  }
};

struct Neon {
  static std::uint32_t largest(const float* values, std::size_t valid) {
    const PaddedBlock padded(values, valid);
    uint32x4_t largest = vdupq_n_u32(0);
    for (std::size_t i = 0; i < padded.count; i += 4)
      largest = vmaxq_u32(largest, vreinterpretq_u32_f32(vabsq_f32(vld1q_f32(padded.x + i))));
    return vmaxvq_u32(largest);
  }

  static void widen(const float* values, std::size_t valid, A8Range& range) {
    const PaddedBlock padded(values, valid);
    float32x4_t low = vdupq_n_f32(range.low), high = vdupq_n_f32(range.high);
    for (std::size_t i = 0; i < padded.count; i += 4) {
      low = vminq_f32(low, vld1q_f32(padded.x + i));
      high = vmaxq_f32(high, vld1q_f32(padded.x + i));
    }
    range = {vminvq_f32(low), vmaxvq_f32(high)};
  }

  static std::int32_t quantize(const float* values, std::size_t valid, const A8Step& step, std::int8_t* codes,
                               std::size_t stride) {
    const PaddedBlock padded(values, valid);
    const Rounding rounding(step);
    int32x4_t total = vdupq_n_s32(0);
    for (std::size_t i = 0; i < padded.count; i += 16, codes += 4 * stride) {
      int32x4_t four[4];
      EDGEQ_UNROLL for (std::size_t j = 0; j < 4; ++j) {
        const std::size_t first = i + 4 * j;
        four[j] = rounding.codes(padded.x + first, first < valid ? valid - first : 0);
        total = vaddq_s32(total, four[j]);
      }
      store_codes(four, codes, stride);
    }
    return vaddvq_s32(total);
  }
};

} // namespace

void quantize_a8_neon(const float* x, const Grouping& inputs, const A8Panels& panels, std::size_t first,
                      std::size_t last) {
  quantize_a8_panels<Neon>(x, inputs, panels, first, last);
}

} // namespace edgeq::kernels
