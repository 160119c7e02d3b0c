// SPDX-License-Identifier: Apache-2.0
// Tiles of every format of DintGemm as bfloat16, through bytes.
#pragma once

#include "bf16_tile_avx512.h"
#include "codebook_avx512.h"
#include "codebook_decode_tile.h"
#include "uniform_decode_tile.h"

namespace edgeq::kernels {
namespace {

template <int Bits, bool ZeroPoint, int Dint> struct Bf16Decoder {
  static void run(const UniformLayout& layout, const std::uint8_t* tile, std::size_t begin, std::size_t end,
                  DecodedTile& bytes, Bf16Tile& out) {
    using Bytes = UniformTileDecoder<Vector512, Bits, ZeroPoint, Dint>;
    Bytes::run(layout, tile, begin, end, bytes);
    bf16_from_bytes<Bytes::kZeros, Bytes::kLargest>(bytes, decoded_centre(Bits, ZeroPoint, Dint), out);
  }
};

template <int Bits> struct Bf16CodebookDecoder {
  static void run(const UniformLayout& layout, const std::uint8_t* tile, std::size_t begin, std::size_t end,
                  DecodedTile& bytes, Bf16Tile& out) {
    CodebookTileDecoder<CodebookVector512, Bits, kCodebookCentre>::run(layout, tile, begin, end, bytes);
    bf16_from_bytes<false, 255>(bytes, kCodebookCentre, out);
  }
};

} // namespace
} // namespace edgeq::kernels
