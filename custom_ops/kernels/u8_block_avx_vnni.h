// SPDX-License-Identifier: Apache-2.0
// 256-bit vpdpbusd, for the register block of prompts.
#pragma once

#include "vector_avx2.h"

namespace edgeq::kernels {

struct Vnni256 : Vector256 {
  /// acc += u · s per group of four bytes.
  EDGEQ_MEMBER static void dot(__m256i& acc, __m256i u, __m256i s) {
    asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(acc) : "x"(u), "x"(s));
  }
};

} // namespace edgeq::kernels
