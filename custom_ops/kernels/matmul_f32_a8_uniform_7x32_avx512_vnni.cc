// SPDX-License-Identifier: Apache-2.0
// Prompts with 512-bit vpdpbusd: seven tokens by 32 rows.
#include "matmul_a8_prompt_driver.h"
#include "uniform_decode_tile.h"
#include "uniform_dispatch.h"
#include "vector_avx512.h"

namespace edgeq::kernels {
namespace {

struct Vnni512 : Vector512 {
  /// In assembly, as GCC 12 copies and spills the intrinsic's accumulators.
  EDGEQ_MEMBER static void dot(__m512i& acc, __m512i u, __m512i s) {
    asm("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(u), "v"(s));
  }
};

template <bool Zeros> struct Block {
  static constexpr std::size_t kTokens = 7;

  template <int Tokens> static void run_tokens(const U8Block& block) {
    U8RegisterBlock<Vnni512, Tokens, Zeros>::run(block, 0);
  }

  static void run(const U8Block& block, std::size_t tokens) {
    using Function = void (*)(const U8Block&);
    static constexpr Function kFunctions[kTokens] = {run_tokens<1>, run_tokens<2>, run_tokens<3>, run_tokens<4>,
                                                     run_tokens<5>, run_tokens<6>, run_tokens<7>};
    kFunctions[tokens - 1](block);
  }
};

template <int Bits, bool ZeroPoint, bool Dint> struct Prompt {
  using Decoder = UniformTileDecoder<Vector512, Bits, ZeroPoint, Dint>;
  using Kernel = Block<Decoder::kZeros>;
};

} // namespace

void matmul_f32_a8_uniform_7x32_avx512_vnni(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  for_format<Prompt>(product.layout, [&](auto prompt) __attribute__((always_inline)) {
    using Kind = decltype(prompt);
    matmul_a8_prompt<typename Kind::Decoder, typename Kind::Kernel>(product, first_tile, last_tile);
  });
}

} // namespace edgeq::kernels
