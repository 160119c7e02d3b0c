// SPDX-License-Identifier: Apache-2.0
// Packed size of a binary-coded weight, and its rows as floats.
#pragma once

#include "kernels/bcq_layout.h"

namespace edgeq {

/// Bytes of the whole packed tensor into `bytes`; false if the size does not fit size_t.
bool bcq_packed_bytes(const BcqShape& shape, size_t* bytes);

/// Decodes row `row` (< shape.rows) of the packed tensor into out[shape.inputs].
void bcq_decode_row(const BcqShape& shape, const uint8_t* packed, size_t row, float* out);

} // namespace edgeq
