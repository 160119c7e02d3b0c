// SPDX-License-Identifier: Apache-2.0
#include "neon.h"
#include "pack_bf16_driver.h"

namespace edgeq::kernels {
namespace {

struct Bf16 {
  static constexpr std::size_t kRun = kBf16ShortRun;

  static void run(const float* x, std::size_t count, std::uint16_t* out) {
    float run[kRun] = {};
    if (count < kRun) {
      std::memcpy(run, x, count * sizeof(float));
      x = run;
    }
    const uint32x4_t bits = vreinterpretq_u32_f32(vld1q_f32(x));
    const uint32x4_t below = vcltq_u32(vandq_u32(bits, vdupq_n_u32(0x7fffffff)), vdupq_n_u32(0x00800000));
    const uint32x4_t kept = vbicq_u32(bits, vandq_u32(below, vdupq_n_u32(0x7fffffff))); // of the small ones, the sign
    const bfloat16x4_t rounded = vcvt_bf16_f32(vreinterpretq_f32_u32(kept));
    vst1_u16(out, vreinterpret_u16_bf16(rounded));
  }
};

} // namespace

void pack_bf16_bf16(const float* x, const Bf16Panels& panels, std::size_t first, std::size_t last) {
  pack_bf16_panels<Bf16>(x, panels, first, last);
}

} // namespace edgeq::kernels
