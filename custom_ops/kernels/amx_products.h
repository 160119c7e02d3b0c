// SPDX-License-Identifier: Apache-2.0
// Products of bytes in tile registers, one activation block after the other. Included by one source per kernel.
#pragma once

#include "amx.h"
#include "decoded_tile.h"

namespace edgeq::kernels {
namespace {

/// Products of Tokens tokens and 16 rows for activation blocks of Count inputs: all blocks of the first 16 rows of a
/// decoded tile, then all of the others. Sums alternate between tile registers 0 and 1; operands, in 4 and 6 or 5 and
/// 7, are loaded one tile product ahead.
template <int Tokens, int Count> class AmxProducts {
public:
  static constexpr int kInputs = Count % 64 == 0 ? 64 : 32; // of a tile product

  EDGEQ_MEMBER AmxProducts(const DecodedTile& tile, const std::int8_t* x)
      : w_(tile.bytes), x_(x), second_w_(tile.bytes + 64), first_x_(x), run_(tile.blocks * kSteps), until_wrap_(run_),
        left_(2 * tile.blocks) {
    asm("" : "+r"(unit_)); // a register for all strides, instead of a constant to be loaded for each tile
    load<0>();
  }

  /// The next block to tile register Sums, which is that of every second block.
  template <int Sums> EDGEQ_MEMBER void multiply() {
    clear_tile<Sums>();
    constexpr int kFirst = kSteps == 2 ? 0 : Sums;
    load<1 - kFirst>();
    multiply_bytes<Sums, 4 + kFirst, 6 + kFirst>();
    if constexpr (kSteps == 2) {
      load<0>();
      multiply_bytes<Sums, 5, 7>();
    }
    --left_;
  }

  EDGEQ_MEMBER bool left() const { return left_ != 0; }

  template <int Sums> EDGEQ_MEMBER void store(std::int32_t (&sums)[2][16][16]) const {
    store_tile<Sums, 64 / kUnit>(sums[Sums], unit_);
  }

private:
  static constexpr int kSteps = Count / kInputs;
  static constexpr int kUnit = 32;
  static_assert(Count == 32 || Count == 64 || Count == 128, "one or two tile products of equal size");

  /// Operands of a tile product; after the last one those of any.
  template <int Parity> EDGEQ_MEMBER void load() {
    load_tile<4 + Parity, Count / kUnit>(x_, unit_);
    load_tile<6 + Parity, 4 * kDecodedRows / kUnit>(w_, unit_);
    w_ += kInputs * kDecodedRows;
    x_ += kSteps == 1 ? Count * Tokens : Parity == 0 ? kInputs : Count * Tokens - kInputs;
    if (--until_wrap_ == 0)
      w_ = second_w_, x_ = first_x_, until_wrap_ = run_;
  }

  std::size_t unit_ = kUnit;
  const std::uint8_t* w_;
  const std::int8_t* x_;
  const std::uint8_t* second_w_;
  const std::int8_t* first_x_;
  std::size_t run_, until_wrap_; // tile products of 16 rows
  std::size_t left_;             // blocks
};

} // namespace
} // namespace edgeq::kernels
