// SPDX-License-Identifier: Apache-2.0
// One token by 32 rows of a codebook: levels are looked up and multiplied in registers by 512-bit vpdpbusd.
#pragma once

#include "codebook_avx512.h"
#include "codebook_decode_tile.h"
#include "codebook_dispatch.h"
#include "matmul_a8_driver.h"
#include "u8_block_avx512_vnni.h"

namespace edgeq::kernels {
namespace {

using V = CodebookVector512;

/// Looks up 3-bit codes in the halves of a table; the codes lie in the lower bits of `code`.
struct ShuffledHalves {
  using Lines = CodebookLines<V, 3, kCodebookCentre>;
  __m512i first, last;

  EDGEQ_MEMBER explicit ShuffledHalves(const std::uint8_t* levels) { Lines::load_tables(levels, first, last); }
  EDGEQ_MEMBER __m512i bytes(const std::uint8_t* line, int f) const { return Lines::bytes3(line, f, first, last); }
};

/// Looks up 2-bit codes.
struct ShuffledTable {
  using Lines = CodebookLines<V, 2, kCodebookCentre>;
  __m512i table;

  EDGEQ_MEMBER explicit ShuffledTable(const std::uint8_t* levels) : table(Lines::load_table(levels)) {}
  EDGEQ_MEMBER __m512i bytes(const std::uint8_t* line, int f) const { return Lines::bytes2(line, f, table); }
};

/// 2 and 3 bits: a 32-bit lane belongs to a row. Table(levels) is the table of 16 rows, bytes(line, f) its levels for
/// field f of a chunk.
template <int Bits, class Table> struct Products {
  using Fields = CodebookFields<Bits>;
  static constexpr int kFields = CodebookLines<V, Bits, kCodebookCentre>::kFields;

  /// The sums of one activation block, 16 rows each.
  EDGEQ_MEMBER static void run(const CodebookGroup& group, std::size_t count, const std::int8_t* x,
                               __m512i (&sums)[2]) {
    const Table tables[2] = {Table(group.levels), Table(group.levels + (kUniformBlockRows << Bits))};
    __m512i acc[2][2] = {{V::all(0), V::all(0)}, {V::all(0), V::all(0)}};
    const std::uint8_t* lines = group.codes;
    for (const std::int8_t* end = x + count; x != end; x += Fields::kChunkInputs, lines += 2 * Fields::kChunkBytes) {
      prefetch_stream(lines, 2 * Fields::kChunkBytes);
      EDGEQ_UNROLL for (int f = 0; f < kFields; ++f) {
        const __m512i activations = V::broadcast4(x + 4 * f);
        EDGEQ_UNROLL for (int b = 0; b < 2; ++b)
            Vnni512::dot(acc[b][f % 2], tables[b].bytes(lines + b * Fields::kChunkBytes, f), activations);
      }
    }
    EDGEQ_UNROLL for (int b = 0; b < 2; ++b) sums[b] = V::add(acc[b][0], acc[b][1]);
  }
};

/// 4 bits: a 128-bit lane of a line belongs to one row and meets 16 activations; its four sums are added at the end.
template <class Table> struct Products<4, Table> {
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

template <int Bits, class Table> struct CodebookToken {
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
      Products<Bits, Table>::run(group, end - k, x, sums);
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
} // namespace edgeq::kernels
