// SPDX-License-Identifier: Apache-2.0
// Pieces that the kernels for 64-bit ARM share.
#pragma once

#include "compiler.h"

#include <arm_neon.h>
#include <cstring>

namespace edgeq::kernels {

EDGEQ_INLINE float32x4_t load_4_halfs(const std::uint8_t* halfs) {
  return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(halfs)));
}

EDGEQ_INLINE uint32x4_t load_4_bytes_as_uint32(const std::uint8_t* bytes) {
  std::uint32_t four = 0;
  std::memcpy(&four, bytes, sizeof four);
  return vmovl_u16(vget_low_u16(vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four)))));
}

} // namespace edgeq::kernels
