// SPDX-License-Identifier: Apache-2.0
// What BcqTileDecoder asks of 128-bit vectors: four rows.
#pragma once

#include "bcq_levels.h"
#include "neon.h"

namespace edgeq::kernels {

struct BcqVector128 {
  using Integers = uint8x16_t;
  using Floats = float32x4_t;
  using Mask = uint8x16_t;
  static constexpr std::size_t kRows = 4;

  EDGEQ_MEMBER static void store(std::uint8_t* bytes, uint8x16_t v) { vst1q_u8(bytes, v); }
  EDGEQ_MEMBER static uint8x16_t all(std::int32_t value) { return vreinterpretq_u8_s32(vdupq_n_s32(value)); }
  EDGEQ_MEMBER static uint8x16_t load_words(const std::uint8_t* p) {
    return vreinterpretq_u8_u32(vmovl_u16(vreinterpret_u16_u8(vld1_u8(p))));
  }
  EDGEQ_MEMBER static uint8x16_t copy_byte(uint8x16_t words, int i) {
    const uint32x4_t first = {0, 0x04040404, 0x08080808, 0x0c0c0c0c};
    return vqtbl1q_u8(words, vaddq_u8(vreinterpretq_u8_u32(first), vdupq_n_u8(static_cast<std::uint8_t>(i))));
  }
  EDGEQ_MEMBER static uint8x16_t test(uint8x16_t a, uint8x16_t b) { return vtstq_u8(a, b); }
  EDGEQ_MEMBER static uint8x16_t choose(uint8x16_t mask, uint8x16_t a, uint8x16_t b) { return vbslq_u8(mask, a, b); }

  EDGEQ_MEMBER static float32x4_t load_halfs(const std::uint8_t* halfs) { return load_4_halfs(halfs); }
  EDGEQ_MEMBER static float32x4_t all_floats(float value) { return vdupq_n_f32(value); }
  EDGEQ_MEMBER static float32x4_t multiply(float32x4_t a, float32x4_t b) { return vmulq_f32(a, b); }
  EDGEQ_MEMBER static void store_floats(float* x, float32x4_t v) { vst1q_f32(x, v); }
  EDGEQ_MEMBER static float32x4_t absolute(float32x4_t f) { return vabsq_f32(f); }
  EDGEQ_MEMBER static float32x4_t largest(float32x4_t f, float32x4_t g) { return vmaxq_f32(f, g); }
  EDGEQ_MEMBER static float32x4_t add(float32x4_t f, float32x4_t g) { return vaddq_f32(f, g); }
  EDGEQ_MEMBER static float32x4_t subtract(float32x4_t f, float32x4_t g) { return vsubq_f32(f, g); }
  EDGEQ_MEMBER static float32x4_t inverse(float32x4_t f) {
    const uint32x4_t zero = vceqzq_f32(f);
    return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(vdivq_f32(vdupq_n_f32(1), f)), zero));
  }
  EDGEQ_MEMBER static uint8x16_t to_bytes(float32x4_t f) {
    return copy_byte(vreinterpretq_u8_s32(vaddq_s32(vcvtnq_s32_f32(f), vdupq_n_s32(kBcqByteCentre))), 0);
  }
  EDGEQ_MEMBER static float32x4_t round_scale(float32x4_t f) {
    const uint32x4_t rounding = vdupq_n_u32(kBcqScaleRounding);
    return vreinterpretq_f32_u32(vbicq_u32(vaddq_u32(vreinterpretq_u32_f32(f), rounding), rounding));
  }
};

} // namespace edgeq::kernels
