// SPDX-License-Identifier: Apache-2.0
// The register block of prompts with AMX: 16 tokens by 32 rows, 16 rows after the other. While tile registers multiply
// one activation block, vectors scale the sums of the one two before, and add them in registers: what tile registers
// have just stored can not be loaded at once. Both share the issue slots, so the loop has no more than it must.
#pragma once

#include "amx_products.h"
#include "matmul_u8_block.h"
#include "vector_avx512.h"

namespace edgeq::kernels {
namespace {

/// Fetches lines a few at a time: many at once would keep activations from the first-level cache.
class AheadInTurns {
public:
  EDGEQ_MEMBER AheadInTurns(const U8Ahead& ahead, std::size_t turns)
      : line_(ahead.lines), end_(line_ + 64 * ahead.count), turn_((ahead.count + turns - 1) / turns) {}

  EDGEQ_MEMBER void fetch() {
    for (std::size_t i = 0; i < turn_ && line_ != end_; ++i, line_ += 64)
      __builtin_prefetch(line_, 0, 2);
  }

private:
  const std::uint8_t *line_, *end_;
  std::size_t turn_;
};

/// For U8Block with A8Panels::by_token.
template <bool Zeros> class U8BlockAmx {
public:
  static constexpr std::size_t kTokens = 16;

  void run(const U8Block& block, std::size_t tokens) { run_at_most<16>(block, tokens); }

  EDGEQ_MEMBER void release() const { tiles_.release(); }

private:
  using V = Vector512;

  template <int Tokens> EDGEQ_MEMBER void run_at_most(const U8Block& block, std::size_t tokens) {
    if constexpr (Tokens > 1)
      if (tokens < Tokens)
        return run_at_most<Tokens - 1>(block, tokens);
    switch (common_count(*block.tile)) {
    case 32:
      return run_blocks<Tokens, 32>(block);
    case 64:
      return run_blocks<Tokens, 64>(block);
    case 128:
      return run_blocks<Tokens, 128>(block);
    default:
      return run_uneven<Tokens>(block);
    }
  }

  /// Inputs of every activation block, or 0 where they differ.
  EDGEQ_MEMBER static std::size_t common_count(const DecodedTile& tile) {
    for (std::size_t index = 1; index < tile.blocks; ++index)
      if (tile.counts[index] != tile.counts[0])
        return 0;
    return tile.counts[0];
  }

  /// Activation blocks of Count inputs.
  template <int Tokens, int Count> void run_blocks(const U8Block& block) {
    using Products = AmxProducts<Tokens, Count>;
    tiles_.configure(Tokens, Products::kInputs);
    Products products(*block.tile, block.x);
    AheadInTurns ahead(block.ahead, 2 * block.tile->blocks);
    products.template multiply<0>();
    products.template multiply<1>();
    products.template store<0>(sums_);
    bool odd = false;
    for (std::size_t row = 0; row < kDecodedRows; row += V::kRows) {
      Sums<Tokens> y(block, row);
      for (; y.left(); odd = !odd) {
        if (odd)
          advance<1>(products);
        else
          advance<0>(products);
        ahead.fetch();
        y.add(sums_[odd ? 1 : 0]);
      }
      y.store();
    }
  }

  /// Multiplies a block of parity Odd and stores the sums of the one before, which after the last one are none.
  template <int Odd, class Products> EDGEQ_MEMBER void advance(Products& products) {
    if (products.left())
      products.template multiply<Odd>();
    products.template store<1 - Odd>(sums_);
  }

  /// Blocks of several sizes, one after the other: the last ones of K, and groups such as 160.
  template <int Tokens> void run_uneven(const U8Block& block) {
    const DecodedTile& tile = *block.tile;
    tiles_.configure(Tokens, kInputMultiple);
    for (std::size_t row = 0; row < kDecodedRows; row += V::kRows) {
      const std::uint8_t* w = tile.bytes + 4 * row;
      const std::int8_t* x = block.x;
      Sums<Tokens> y(block, row);
      for (std::size_t index = 0; index < tile.blocks; ++index) {
        const std::size_t count = tile.counts[index];
        clear_tile<0>();
        for (std::size_t k = 0; k < count; k += kInputMultiple, w += kInputMultiple * kDecodedRows) {
          load_tile<4>(x + k, count);
          load_tile<6>(w, 4 * kDecodedRows);
          multiply_bytes<0, 4, 6>();
        }
        x += count * Tokens;
        store_tile<0>(sums_[0], 64);
        y.add(sums_[0]);
      }
      y.store();
    }
    block.ahead.fetch();
  }

  /// The scaled sums of 16 rows, in registers.
  template <int Tokens> class Sums {
  public:
    EDGEQ_MEMBER Sums(const U8Block& block, std::size_t row)
        : y_(block.y + row), scales_(block.scales), starts_(block.starts), tile_(block.tile), row_(row) {
      EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) values_[t] = V::load_floats(y_ + kDecodedRows * t);
    }

    EDGEQ_MEMBER bool left() const { return index_ != tile_->blocks; }

    /// Adds the products of the next activation block.
    EDGEQ_MEMBER void add(const std::int32_t (&sums)[16][16]) {
      const __m512 scale = V::load_floats(tile_->scales[index_] + row_);
      const __m512 shift = V::load_floats(tile_->shifts[index_] + row_);
      EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) {
        const __m512i start = V::broadcast4(starts_ + t);
        __m512i sum = V::load(sums[t]);
        if (Zeros)
          sum = V::subtract(V::add(sum, V::all(kIntegerFloatBits)),
                            V::multiply(V::load(tile_->zeros[index_] + row_), start));
        else
          sum = V::add(sum, start);
        values_[t] = V::multiply_add(V::multiply_add(V::bits_as_floats(sum), scale, shift), V::broadcast(scales_ + t),
                                     values_[t]);
      }
      scales_ += Tokens, starts_ += Tokens, ++index_;
    }

    EDGEQ_MEMBER void store() const {
      EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) V::store_floats(y_ + kDecodedRows * t, values_[t]);
    }

  private:
    __m512 values_[Tokens];
    float* y_;
    const float* scales_;
    const std::int32_t* starts_;
    const DecodedTile* tile_;
    std::size_t row_, index_ = 0; // index of the activation block
  };

  AmxTiles tiles_;
  alignas(64) std::int32_t sums_[2][16][16]; // [block % 2][token][row]
};

template <bool Zeros> EDGEQ_INLINE void finish(const U8BlockAmx<Zeros>& kernel) { kernel.release(); }
template <bool Zeros> EDGEQ_INLINE void fetch_ahead(const U8BlockAmx<Zeros>&, const U8Ahead&) {} // run() has done it

} // namespace
} // namespace edgeq::kernels
