// SPDX-License-Identifier: Apache-2.0
// One token by 32 rows: levels are looked up with byte shuffles and multiplied in registers by vpdpbusd. At 4 bits a
// 128-bit lane of a line belongs to one row, which meets 16 activations; the four sums of a lane are added at the end.
#include "codebook_avx512.h"
#include "codebook_decode_tile.h"
#include "codebook_dispatch.h"
#include "matmul_a8_driver.h"
#include "u8_block_avx512_vnni.h"

namespace edgeq::kernels {
namespace {

using V = CodebookVector512;

template <int Bits> struct Products {
  using Lines = CodebookLines<V, Bits, kCodebookCentre>;
  using Fields = CodebookFields<Bits>;
  static constexpr std::size_t kBlockLevels = kUniformBlockRows << Bits; // bytes

  /// The sums of one activation block, 16 rows each.
  EDGEQ_MEMBER static void run(const CodebookGroup& group, std::size_t count, const std::int8_t* x,
                               __m512i (&sums)[2]) {
    __m512i first[2], last[2];
    EDGEQ_UNROLL for (int b = 0; b < 2; ++b) {
      if constexpr (Bits == 3)
        Lines::load_tables(group.levels + b * kBlockLevels, first[b], last[b]);
      else
        first[b] = last[b] = Lines::load_table(group.levels + b * kBlockLevels);
    }
    __m512i acc[2][2] = {{V::all(0), V::all(0)}, {V::all(0), V::all(0)}};
    const std::uint8_t* lines = group.codes;
    for (const std::int8_t* end = x + count; x != end; x += Fields::kChunkInputs, lines += 2 * Fields::kChunkBytes) {
      prefetch_stream(lines, 2 * Fields::kChunkBytes);
      EDGEQ_UNROLL for (int f = 0; f < Lines::kFields; ++f) {
        const __m512i activations = V::broadcast4(x + 4 * f);
        EDGEQ_UNROLL for (int b = 0; b < 2; ++b) {
          const std::uint8_t* chunk = lines + b * Fields::kChunkBytes;
          Vnni512::dot(acc[b][f % 2],
                       Bits == 3 ? Lines::bytes3(chunk, f, first[b], last[b]) : Lines::bytes2(chunk, f, first[b]),
                       activations);
        }
      }
    }
    EDGEQ_UNROLL for (int b = 0; b < 2; ++b) sums[b] = V::add(acc[b][0], acc[b][1]);
  }
};

template <> struct Products<4> {
  using Lines = CodebookLines<V, 4, kCodebookCentre>;

  EDGEQ_MEMBER static void run(const CodebookGroup& group, std::size_t count, const std::int8_t* x,
                               __m512i (&sums)[2]) {
    __m512i tables[2][4], acc[2][4];
    EDGEQ_UNROLL for (int i = 0; i < 8; ++i) {
      tables[i / 4][i % 4] = Lines::load_table(group.levels + 64 * i);
      acc[i / 4][i % 4] = V::all(0);
    }
    const std::uint8_t* lines = group.codes;
    for (const std::int8_t* end = x + count; x != end; x += 32, lines += 512) {
      prefetch_stream(lines, 512);
      const __m512i lower = V::broadcast16(x), upper = V::broadcast16(x + 16);
      EDGEQ_UNROLL for (int i = 0; i < 8; ++i) {
        const __m512i line = V::load(lines + 64 * i), table = tables[i / 4][i % 4];
        Vnni512::dot(acc[i / 4][i % 4], Lines::bytes4(line, 0, table), lower);
        Vnni512::dot(acc[i / 4][i % 4], Lines::bytes4(line, 1, table), upper);
      }
    }
    EDGEQ_UNROLL for (int b = 0; b < 2; ++b) sums[b] = V::transposed_sum(acc[b]);
  }
};

template <int Bits> struct Token {
  static constexpr std::size_t kTokens = 1;

  static void run(const A8Block& block, std::size_t) {
    const UniformLayout layout = *block.layout;
    const std::int8_t* x = block.codes;
    __m512 y[2] = {V::load_floats(block.y), V::load_floats(block.y + 16)};
    std::size_t index = 0;
    for (std::size_t k = block.begin, end = 0; k < block.end; k = end, ++index) {
      end = layout.inputs.block_end(k);
      const CodebookGroup group(layout, block.tile, k);
      __m512i sums[2];
      Products<Bits>::run(group, end - k, x, sums);
      x += end - k;
      EDGEQ_UNROLL for (int b = 0; b < 2; ++b) {
        const __m512i centred = V::subtract(sums[b], V::all(kCodebookCentre * block.sums[index]));
        const __m512 product = V::multiply(V::to_floats(centred), V::load_halfs(group.scales + 32 * b));
        y[b] = V::multiply_add(product, V::broadcast(block.scales + index), y[b]);
      }
    }
    V::store_floats(block.y, y[0]);
    V::store_floats(block.y + 16, y[1]);
  }
};

} // namespace

void matmul_f32_a8_codebook_1x32_avx512_vnni(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  for_codebook<Token>(product.layout, [&](auto kernel) __attribute__((always_inline)) {
    matmul_a8_tiles<decltype(kernel)>(product, first_tile, last_tile);
  });
}

} // namespace edgeq::kernels
