// SPDX-License-Identifier: Apache-2.0
// Tiles of the `codebook` format as bytes. V is a vector of rows, 32-bit lanes, with
//   shuffle(table, index): bytes of `table` in each 128-bit lane; merge(code, mask, rows): (code & mask) | rows;
//   choose(v, bit, a, b): bytes of a where v has the bit, else of b; transpose(v): the 4 x 4 lanes of each 128 bits.
#pragma once

#include "codebook_fields.h"
#include "decoded_tile.h"

namespace edgeq::kernels {
namespace {

/// Looks up the levels of 4·V::kRows bytes at a time; bytes are levels plus `Centre`, 0 or 128.
template <class V, int Bits, int Centre> struct CodebookLines {
  using Integers = typename V::Integers;
  static constexpr int kFields = Bits == 3 ? 8 : 4; // of 2 and 3 bits

  EDGEQ_MEMBER static Integers load_table(const std::uint8_t* levels) {
    return Centre == 0 ? V::load(levels) : V::exclusive_or(V::load(levels), V::all_bytes(Centre));
  }

  /// Where a row's levels begin in the table of its 128-bit lane, for every byte of the row.
  EDGEQ_MEMBER static Integers row_offsets() { return V::repeat16(0x0c0c0c0c08080808, 0x0404040400000000); }

  /// 3 bits: tables of the first and the last four levels of each row, from 2 · V::kRows · 4 bytes.
  EDGEQ_MEMBER static void load_tables(const std::uint8_t* levels, Integers& first, Integers& last) {
    V::split_pairs(levels, first, last);
    if (Centre != 0) {
      first = V::exclusive_or(first, V::all_bytes(Centre));
      last = V::exclusive_or(last, V::all_bytes(Centre));
    }
  }

  /// The line of a chunk with field `f`, 2 or 3 bits; of 3 bits the fourth is (A>>6) | (B>>6)<<2 | (C>>6)<<4.
  EDGEQ_MEMBER static Integers field_line(const std::uint8_t* line, int f) {
    if (Bits == 2 || f / 2 != 3)
      return V::load(line + (Bits == 3 ? 64 * (f / 2) : 0));
    const Integers a = V::shift_right(V::load(line), 6), b = V::shift_right(V::load(line + 64), 4);
    const Integers c = V::shift_right(V::load(line + 128), 2);
    return V::select(V::all_bytes(0x03), a, V::select(V::all_bytes(0x0c), b, c));
  }

  /// The bytes of field `f`; the code in the lower bits, what is above them is another field's.
  EDGEQ_MEMBER static Integers shifted(const std::uint8_t* line, int f) {
    const int shift = Bits == 3 ? 3 * (f % 2) : 2 * f;
    const Integers whole = field_line(line, f);
    return shift == 0 ? whole : V::shift_right(whole, shift);
  }

  EDGEQ_MEMBER static Integers bytes2(const std::uint8_t* line, int f, Integers table) {
    return V::shuffle(table, V::merge(shifted(line, f), V::all_bytes(3), row_offsets()));
  }

  EDGEQ_MEMBER static Integers bytes3(const std::uint8_t* line, int f, Integers first, Integers last) {
    const Integers code = shifted(line, f), index = V::merge(code, V::all_bytes(3), row_offsets());
    return V::choose(code, 4, V::shuffle(last, index), V::shuffle(first, index));
  }

  /// 4 bits: the levels of half a chunk's line, lower (0) or upper (1) nibbles.
  EDGEQ_MEMBER static Integers bytes4(Integers line, int half, Integers table) {
    return V::shuffle(table, V::both(half == 0 ? line : V::shift_right(line, 4), V::all_bytes(15)));
  }
};

template <class V, int Bits, int Centre> struct CodebookTileDecoder {
  using Integers = typename V::Integers;
  using Lines = CodebookLines<V, Bits, Centre>;
  using Fields = CodebookFields<Bits>;
  static constexpr bool kZeros = false;

  /// Decodes inputs [begin, end) of a tile, which lie on boundaries of activation blocks.
  static void run(const UniformLayout& layout, const std::uint8_t* tile, std::size_t begin, std::size_t end,
                  DecodedTile& out) {
    std::uint8_t* bytes = out.bytes;
    std::size_t index = 0;
    for (std::size_t k = begin, stop = 0; k < end; k = stop, ++index) {
      stop = layout.inputs.block_end(k);
      const CodebookGroup group(layout, tile, k);
      out.counts[index] = stop - k;
      for (std::size_t rows = 0; rows < kDecodedRows; rows += V::kRows) {
        const auto scale = V::load_halfs(group.scales + 2 * rows);
        V::store_floats(out.scales[index] + rows, scale);
        V::store_floats(out.shifts[index] + rows, V::multiply(scale, V::all_floats(-kIntegerFloat)));
        decode_rows(group, rows, stop - k, bytes + 4 * rows);
      }
      bytes += (stop - k) * kDecodedRows;
    }
    out.blocks = index;
  }

private:
  EDGEQ_MEMBER static void decode_rows(const CodebookGroup& group, std::size_t row, std::size_t count,
                                       std::uint8_t* out) {
    const std::size_t in_block = row % kUniformBlockRows, block = row / kUniformBlockRows;
    const std::uint8_t* levels = group.levels + (block * kUniformBlockRows << Bits);
    const std::uint8_t* lines = group.codes + block * Fields::kChunkBytes + 4 * in_block;
    if constexpr (Bits == 4)
      decode_rows4(levels + 4 * in_block, lines, count, out);
    else
      decode_rows23(levels + (in_block << Bits), lines, count, out);
  }

  EDGEQ_MEMBER static void decode_rows4(const std::uint8_t* levels, const std::uint8_t* lines, std::size_t count,
                                        std::uint8_t* out) {
    Integers tables[4];
    EDGEQ_UNROLL for (int v = 0; v < 4; ++v) tables[v] = Lines::load_table(levels + 64 * v);
    for (std::size_t k = 0; k < count; k += Fields::kChunkInputs, lines += 2 * Fields::kChunkBytes)
      EDGEQ_UNROLL for (int half = 0; half < 2; ++half) {
        Integers bytes[4];
        EDGEQ_UNROLL for (int v = 0; v < 4; ++v) bytes[v] = Lines::bytes4(V::load(lines + 64 * v), half, tables[v]);
        V::transpose(bytes); // from 16 inputs of a row side by side to four of every row
        EDGEQ_UNROLL for (int j = 0; j < 4; ++j, out += 4 * kDecodedRows) V::store(out, bytes[j]);
      }
  }

  EDGEQ_MEMBER static void decode_rows23(const std::uint8_t* levels, const std::uint8_t* lines, std::size_t count,
                                         std::uint8_t* out) {
    Integers first, last;
    if constexpr (Bits == 3)
      Lines::load_tables(levels, first, last);
    else
      first = last = Lines::load_table(levels);
    for (std::size_t k = 0; k < count; k += Fields::kChunkInputs, lines += 2 * Fields::kChunkBytes)
      EDGEQ_UNROLL for (int f = 0; f < Lines::kFields; ++f, out += 4 * kDecodedRows)
          V::store(out, Bits == 3 ? Lines::bytes3(lines, f, first, last) : Lines::bytes2(lines, f, first));
  }
};

} // namespace
} // namespace edgeq::kernels
