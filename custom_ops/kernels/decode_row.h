// SPDX-License-Identifier: Apache-2.0
// One row of a packed weight as float32.
#pragma once

#include "bcq_layout.h"
#include "uniform_layout.h"

namespace edgeq::kernels {

/// Writes row `row` (in [0, layout.n)) to out[0 … k).
void decode_row_f32_uniform_generic(const UniformLayout& layout, const std::uint8_t* weights, std::size_t row,
                                    float* out);
void decode_row_f32_codebook_generic(const UniformLayout& layout, const std::uint8_t* weights, std::size_t row,
                                     float* out);
void decode_row_f32_bcq_generic(const BcqLayout& layout, const std::uint8_t* weights, std::size_t row, float* out);

} // namespace edgeq::kernels
