// SPDX-License-Identifier: Apache-2.0
// Weights of a tile decoded for prompts: one unsigned byte each, whatever the format, for the products of int8 kernels.
#pragma once

#include "grouping.h"

namespace edgeq::kernels {

inline constexpr std::size_t kDecodedRows = 32;
inline constexpr std::size_t kDecodedInputs = 512; // with 16 KiB of bytes they stay in the first-level cache
inline constexpr std::size_t kDecodedBlocks = kDecodedInputs / kInputMultiple;

/// A stretch of inputs of 32 rows: weight = scale · (byte − centre), with one centre for the whole format, or, where
/// differences would not fit into a byte, scale · (byte − zero).
struct DecodedTile {
  std::size_t blocks;                                            // activation blocks
  std::size_t counts[kDecodedBlocks];                            // inputs of each
  alignas(64) std::uint8_t bytes[kDecodedInputs * kDecodedRows]; // [k / 4][32][4]
  alignas(64) float scales[kDecodedBlocks][kDecodedRows];        // per activation block
  alignas(64) float shifts[kDecodedBlocks][kDecodedRows];        // -kIntegerFloat · scale
  alignas(64) std::int32_t zeros[kDecodedBlocks][kDecodedRows];
};

/// Integers below 2^22 in magnitude become floats without a conversion: the bits of 1.5 · 2^23 plus n are those of
/// the float 1.5 · 2^23 + n, and fma(that, s, -1.5 · 2^23 · s) is s · n, rounded once, for any float16 s.
inline constexpr float kIntegerFloat = 12582912.0F;
inline constexpr std::int32_t kIntegerFloatBits = 0x4b400000;

} // namespace edgeq::kernels
