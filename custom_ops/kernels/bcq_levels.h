// SPDX-License-Identifier: Apache-2.0
// Binary-coded weights as bytes: the 2^planes levels of a row and group are rounded to a common scale of theirs,
// weight ≈ scale · (byte − 128), an error of at most scale / 2, scale = the largest magnitude of a level / 127.
#pragma once

#include "compiler.h"

namespace edgeq::kernels {

inline constexpr int kBcqByteCentre = 128;
inline constexpr float kBcqByteLimit = 127.0F;

/// Scales have 12 significant bits, rounded up, so that their products with integers need no rounding (decoded_tile.h).
inline constexpr std::uint32_t kBcqScaleRounding = 0xfff;

} // namespace edgeq::kernels
