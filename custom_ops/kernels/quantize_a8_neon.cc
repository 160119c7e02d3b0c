// SPDX-License-Identifier: Apache-2.0
#include "neon.h"
#include "quantize_a8_driver.h"

namespace edgeq::kernels {
namespace {

EDGEQ_INLINE std::uint32_t largest_magnitude(const float* x, std::size_t count) {
  uint32x4_t largest = vdupq_n_u32(0);
  for (std::size_t i = 0; i < count; i += 4)
    largest = vmaxq_u32(largest, vreinterpretq_u32_f32(vabsq_f32(vld1q_f32(x + i))));
  return vmaxvq_u32(largest);
}

/// Four quotients, rounded half to even; zero where `usable` is.
EDGEQ_INLINE int32x4_t quantize(const float* x, float32x4_t scale, int32x4_t usable) {
  const int32x4_t code = vcvtnq_s32_f32(vdivq_f32(vld1q_f32(x), scale));
  return vandq_s32(vmaxq_s32(vminq_s32(code, vdupq_n_s32(127)), vdupq_n_s32(-127)), usable);
}

/// Sixteen codes, four together every `stride` bytes.
EDGEQ_INLINE void store_codes(const int32x4_t (&codes)[4], std::int8_t* out, std::size_t stride) {
  const int16x8_t low = vcombine_s16(vmovn_s32(codes[0]), vmovn_s32(codes[1]));
  const int16x8_t high = vcombine_s16(vmovn_s32(codes[2]), vmovn_s32(codes[3]));
  std::int8_t bytes[16];
  vst1q_s8(bytes, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
  EDGEQ_UNROLL for (std::size_t i = 0; i < 4; ++i) std::memcpy(out + i * stride, bytes + 4 * i, 4);
}

struct Neon {
  static void run(const float* x, std::size_t count, std::int8_t* codes, std::size_t stride, float* scale,
                  std::int32_t* sum) {
    const std::size_t padded = (count + kInputMultiple - 1) / kInputMultiple * kInputMultiple;
    float copy[kActivationBlock] = {};
    if (count != padded) {
      std::memcpy(copy, x, count * sizeof(float));
      x = copy;
    }
    *scale = block_scale(largest_magnitude(x, padded));
    const int32x4_t usable = vdupq_n_s32(*scale > 0 ? -1 : 0); // 0 for NaN
    const float32x4_t divisor = vdupq_n_f32(*scale);
    int32x4_t total = vdupq_n_s32(0);
    for (std::size_t i = 0; i < padded; i += 16, codes += 4 * stride) {
      int32x4_t four[4];
      EDGEQ_UNROLL for (std::size_t j = 0; j < 4; ++j) {
        four[j] = quantize(x + i + 4 * j, divisor, usable);
        total = vaddq_s32(total, four[j]);
      }
      store_codes(four, codes, stride);
    }
    *sum = vaddvq_s32(total);
  }
};

} // namespace

void quantize_a8_neon(const float* x, const Grouping& inputs, const A8Panels& panels, std::size_t first,
                      std::size_t last) {
  quantize_a8_panels<Neon>(x, inputs, panels, first, last);
}

} // namespace edgeq::kernels
