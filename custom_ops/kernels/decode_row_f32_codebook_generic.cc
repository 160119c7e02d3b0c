// SPDX-License-Identifier: Apache-2.0
#include "codebook_dispatch.h"
#include "codebook_fields.h"
#include "decode_row.h"
#include "half.h"

namespace edgeq::kernels {
namespace {

template <int Bits> struct Decoder {
  static void run(const UniformLayout& layout, const std::uint8_t* tile, std::size_t row, float* out) {
    const Grouping& inputs = layout.inputs;
    for (std::size_t group = 0; group < inputs.groups; ++group) {
      const std::size_t start = group * inputs.group_size, end = smaller(inputs.group_end(group), inputs.k);
      const CodebookGroup lines(layout, tile, start);
      const float scale = load_half(lines.scales, row);
      for (std::size_t k = start; k < end; ++k)
        out[k] = scale * static_cast<float>(CodebookFields<Bits>::level(lines, row, k - start));
    }
  }
};

} // namespace

void decode_row_f32_codebook_generic(const UniformLayout& layout, const std::uint8_t* weights, std::size_t row,
                                     float* out) {
  const std::uint8_t* tile = weights + row / kUniformTileRows * layout.tile_bytes();
  for_codebook<Decoder>(layout, [&](auto decoder) __attribute__((always_inline)) {
    decltype(decoder)::run(layout, tile, row % kUniformTileRows, out);
  });
}

} // namespace edgeq::kernels
