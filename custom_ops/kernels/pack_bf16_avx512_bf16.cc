// SPDX-License-Identifier: Apache-2.0
#include "avx512.h"
#include "pack_bf16_driver.h"

namespace edgeq::kernels {
namespace {

struct Avx512Bf16 {
  static constexpr std::size_t kRun = kBf16Run;

  static void run(const float* x, std::size_t count, std::uint16_t* out) {
    const auto valid = static_cast<std::uint32_t>((std::uint64_t{1} << count) - 1);
    const __m512 low = _mm512_maskz_loadu_ps(static_cast<__mmask16>(valid), x);
    const __m512 high = _mm512_maskz_loadu_ps(static_cast<__mmask16>(valid >> 16), x + 16);
    const auto rounded = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
    const __m512i order = _mm512_set4_epi32(0x0f0e0b0a, 0x0d0c0908, 0x07060302, 0x05040100); // 0, 2, 1, 3
    _mm512_storeu_si512(out, _mm512_shuffle_epi8(rounded, order));
  }
};

} // namespace

void pack_bf16_avx512_bf16(const float* x, const Bf16Panels& panels, std::size_t first, std::size_t last) {
  pack_bf16_panels<Avx512Bf16>(x, panels, first, last);
}

} // namespace edgeq::kernels
