// SPDX-License-Identifier: Apache-2.0
#include "decompress.h"

#include "matmul_nibble.h"

namespace edgeq::kernels {

const Decoder& rans_decoder(Isa isa) {
  static constexpr Decoder generic{1, decode_rans_generic};
#if defined(__x86_64__)
  static constexpr Decoder avx2{4, decode_rans_avx2}, avx512{kMostBlocksAtOnce, decode_rans_avx512};
  return isa < Isa::avx2 ? generic : isa < Isa::avx512 ? avx2 : avx512;
#elif defined(__aarch64__)
  static constexpr Decoder neon{1, decode_rans_neon};
  return isa == Isa::generic ? generic : neon;
#else
  (void)isa;
  return generic;
#endif
}

const Decoder& nibble_decoder(Isa isa) {
  static constexpr Decoder generic{1, decode_nibble_generic};
#if defined(__x86_64__)
  static constexpr Decoder avx2{1, decode_nibble_avx2}, vbmi{1, decode_nibble_avx512_vbmi};
  return isa < Isa::avx2 ? generic : isa < Isa::avx512_vbmi ? avx2 : vbmi;
#elif defined(__aarch64__)
  static constexpr Decoder neon{1, decode_nibble_neon};
  return isa == Isa::generic ? generic : neon;
#else
  (void)isa;
  return generic;
#endif
}

MatmulA8NibbleFunction matmul_a8_nibble_kernel(Isa isa) {
#if defined(__x86_64__)
  if (isa >= Isa::avx512_vbmi)
    return matmul_f32_a8_nibble_1x64_avx512_vbmi;
#else
  (void)isa;
#endif
  return nullptr;
}

} // namespace edgeq::kernels
