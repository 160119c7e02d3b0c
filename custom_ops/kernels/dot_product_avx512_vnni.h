// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vector_avx512.h"

namespace edgeq::kernels {
namespace {

/// acc += u · s per group of four bytes. In assembly, as GCC 12 copies and spills the intrinsic's accumulators.
EDGEQ_INLINE void dot_product(__m512i& acc, __m512i u, __m512i s) {
  asm("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(u), "v"(s));
}

} // namespace
} // namespace edgeq::kernels
