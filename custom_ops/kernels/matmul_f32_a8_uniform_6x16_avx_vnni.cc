// SPDX-License-Identifier: Apache-2.0
// Prompts with 256-bit vpdpbusd.
#include "matmul_a8_prompt_uniform.h"
#include "vector_avx2.h"

namespace edgeq::kernels {
namespace {

struct Vnni256 : Vector256 {
  /// acc += u · s per group of four bytes.
  EDGEQ_MEMBER static void dot(__m256i& acc, __m256i u, __m256i s) {
    asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(acc) : "x"(u), "x"(s));
  }
};

template <class Decoder> using Kernel = U8Kernel<U8DotBlock<Vnni256, Decoder::kZeros>, 6>;

} // namespace

void matmul_f32_a8_uniform_6x16_avx_vnni(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  matmul_a8_prompt_uniform<Vector256, Kernel>(product, first_tile, last_tile);
}

} // namespace edgeq::kernels
