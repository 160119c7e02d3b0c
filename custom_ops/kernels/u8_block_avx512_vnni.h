// SPDX-License-Identifier: Apache-2.0
// The register block of prompts with 512-bit vpdpbusd: 12 tokens by 32 rows.
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

template <bool Zeros> struct U8BlockVnni512 {
  static constexpr std::size_t kTokens = 12;

  template <int Tokens> static void run_tokens(const U8Block& block) {
    U8RegisterBlock<Vnni512, Tokens, Zeros>::run(block, 0);
  }

  static void run(const U8Block& block, std::size_t tokens) {
    using Function = void (*)(const U8Block&);
    static constexpr Function kFunctions[kTokens] = {run_tokens<1>, run_tokens<2>,  run_tokens<3>,  run_tokens<4>,
                                                     run_tokens<5>, run_tokens<6>,  run_tokens<7>,  run_tokens<8>,
                                                     run_tokens<9>, run_tokens<10>, run_tokens<11>, run_tokens<12>};
    kFunctions[tokens - 1](block);
  }
};

} // namespace
} // namespace edgeq::kernels
