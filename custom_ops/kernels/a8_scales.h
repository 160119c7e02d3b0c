// SPDX-License-Identifier: Apache-2.0
// What shares a scale when activations are quantized to int8 (docs/operators.md, activation_quantization).
#pragma once

namespace edgeq::kernels {

enum class A8Sharing {
  block,            // an activation block: scale = max|x| / 127
  token,            // a token: the same
  token_asymmetric, // a token: scale = (max x - min x) / 254 with zero among them, and a zero point
  fixed,            // all tokens: a scale that is given
};

/// Code = x / scale, rounded half to even, plus the zero point, from -127 to 127: codes are negated by kernels.
struct A8Scales {
  A8Sharing sharing = A8Sharing::block;
  float fixed = 0;          // the scale, where it is given
  float* offsets = nullptr; // [tokens] scale · zero point, where there is one: x ≈ scale · code − offset
};

} // namespace edgeq::kernels
