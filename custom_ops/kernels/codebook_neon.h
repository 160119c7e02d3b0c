// SPDX-License-Identifier: Apache-2.0
// What CodebookLines asks of 128-bit vectors: four rows.
#pragma once

#include "neon.h"

namespace edgeq::kernels {

struct CodebookVector128 {
  using Integers = uint8x16_t;
  using Floats = float32x4_t;
  static constexpr std::size_t kRows = 4;

  EDGEQ_MEMBER static uint8x16_t load(const std::uint8_t* bytes) { return vld1q_u8(bytes); }
  EDGEQ_MEMBER static void store(std::uint8_t* bytes, uint8x16_t v) { vst1q_u8(bytes, v); }
  EDGEQ_MEMBER static uint8x16_t all_bytes(int value) { return vdupq_n_u8(static_cast<std::uint8_t>(value)); }
  EDGEQ_MEMBER static uint8x16_t both(uint8x16_t a, uint8x16_t b) { return vandq_u8(a, b); }
  EDGEQ_MEMBER static uint8x16_t exclusive_or(uint8x16_t a, uint8x16_t b) { return veorq_u8(a, b); }
  EDGEQ_MEMBER static uint8x16_t shift_right(uint8x16_t v, int bits) {
    return vshlq_u8(v, vdupq_n_s8(static_cast<std::int8_t>(-bits)));
  }
  EDGEQ_MEMBER static uint8x16_t select(uint8x16_t mask, uint8x16_t a, uint8x16_t b) { return vbslq_u8(mask, a, b); }
  EDGEQ_MEMBER static uint8x16_t shuffle(uint8x16_t table, uint8x16_t index) { return vqtbl1q_u8(table, index); }
  EDGEQ_MEMBER static uint8x16_t merge(uint8x16_t code, uint8x16_t mask, uint8x16_t rows) {
    return vorrq_u8(vandq_u8(code, mask), rows);
  }
  EDGEQ_MEMBER static uint8x16_t choose(uint8x16_t v, int bit, uint8x16_t a, uint8x16_t b) {
    return vbslq_u8(vtstq_u8(v, all_bytes(bit)), a, b);
  }
  EDGEQ_MEMBER static uint8x16_t repeat16(std::int64_t high, std::int64_t low) {
    return vcombine_u8(vcreate_u8(static_cast<std::uint64_t>(low)), vcreate_u8(static_cast<std::uint64_t>(high)));
  }

  /// Even and odd 32-bit lanes of 32 bytes.
  EDGEQ_MEMBER static void split_pairs(const std::uint8_t* bytes, uint8x16_t& even, uint8x16_t& odd) {
    const uint32x4_t a = vreinterpretq_u32_u8(load(bytes)), b = vreinterpretq_u32_u8(load(bytes + 16));
    even = vreinterpretq_u8_u32(vuzp1q_u32(a, b));
    odd = vreinterpretq_u8_u32(vuzp2q_u32(a, b));
  }

  EDGEQ_MEMBER static void transpose(uint8x16_t (&v)[4]) {
    const uint32x4_t r0 = vreinterpretq_u32_u8(v[0]), r1 = vreinterpretq_u32_u8(v[1]);
    const uint32x4_t r2 = vreinterpretq_u32_u8(v[2]), r3 = vreinterpretq_u32_u8(v[3]);
    const uint64x2_t a = vreinterpretq_u64_u32(vzip1q_u32(r0, r1)), b = vreinterpretq_u64_u32(vzip2q_u32(r0, r1));
    const uint64x2_t c = vreinterpretq_u64_u32(vzip1q_u32(r2, r3)), d = vreinterpretq_u64_u32(vzip2q_u32(r2, r3));
    v[0] = vreinterpretq_u8_u64(vzip1q_u64(a, c)), v[1] = vreinterpretq_u8_u64(vzip2q_u64(a, c));
    v[2] = vreinterpretq_u8_u64(vzip1q_u64(b, d)), v[3] = vreinterpretq_u8_u64(vzip2q_u64(b, d));
  }

  EDGEQ_MEMBER static float32x4_t load_halfs(const std::uint8_t* halfs) { return load_4_halfs(halfs); }
  EDGEQ_MEMBER static float32x4_t all_floats(float value) { return vdupq_n_f32(value); }
  EDGEQ_MEMBER static float32x4_t multiply(float32x4_t a, float32x4_t b) { return vmulq_f32(a, b); }
  EDGEQ_MEMBER static void store_floats(float* x, float32x4_t v) { vst1q_f32(x, v); }
};

} // namespace edgeq::kernels
