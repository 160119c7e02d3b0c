// SPDX-License-Identifier: Apache-2.0
// The register block of prompts with 512-bit vpdpbusd: seven tokens by 32 rows, their sums in registers.
#pragma once

#include "matmul_u8_block.h"
#include "vector_avx512.h"

namespace edgeq::kernels {
namespace {

struct Vnni512 : Vector512 {
  /// acc += u · s per group of four bytes. In assembly, as GCC 12 copies and spills the intrinsic's accumulators.
  EDGEQ_MEMBER static void dot(__m512i& acc, __m512i u, __m512i s) {
    asm("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(u), "v"(s));
  }
};

template <bool Zeros> using U8BlockVnni512 = U8Kernel<U8DotBlock<Vnni512, Zeros>, 7>;

} // namespace
} // namespace edgeq::kernels
