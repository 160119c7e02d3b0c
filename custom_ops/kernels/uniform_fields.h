// SPDX-License-Identifier: Apache-2.0
// The codes inside a chunk of one row block (docs/formats.md, uniform), in portable C++.
#pragma once

#include "compiler.h"

namespace edgeq::kernels {

template <int Bits> struct UniformFields {
  static constexpr std::size_t kFields = Bits == 3 ? 8 : 8 / Bits; // codes per byte lane of a chunk
  static constexpr std::size_t kChunkInputs = 4 * kFields;
  static constexpr std::size_t kChunkBytes = Bits == 3 ? 192 : 64;

  /// The code of field `field` at byte `byte` of a 64-byte line.
  EDGEQ_MEMBER static int code(const std::uint8_t* chunk, int field, std::size_t byte) {
    if constexpr (Bits == 3) {
      const int a = chunk[byte], b = chunk[byte + 64], c = chunk[byte + 128];
      const int pairs[4] = {a, b, c, a >> 6 | (b >> 6) << 2 | (c >> 6) << 4};
      return pairs[field / 2] >> 3 * (field % 2) & 7;
    } else {
      return chunk[byte] >> Bits * field & ((1 << Bits) - 1);
    }
  }
};

} // namespace edgeq::kernels
