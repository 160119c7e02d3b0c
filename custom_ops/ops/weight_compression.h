// SPDX-License-Identifier: Apache-2.0
// Weights that the model holds compressed (docs/formats.md, compressed), as attribute `weight_compression` says.
#pragma once

#include "packed_weight.h"
#include "weights.h"

#include "kernels/compressed_weight.h"

namespace edgeq::ops {

enum class WeightCompression {
  none, ///< the packed weight itself
  load, ///< decoded once, when the kernel is created
  use,  ///< stays compressed in memory; decoded tile by tile, right before it is multiplied
};

/// Optional attribute `weight_compression`. Throws Error for an unknown value and for formats that are not compressed.
WeightCompression read_weight_compression(const ort::KernelInfo& info, const kernels::UniformLayout& layout);

/// Throws Error where attribute `weight_compression` asks for what format `format` does not have.
void refuse_weight_compression(const ort::KernelInfo& info, const char* format);

/// The constant compressed weight at an input, every size and checksum of it verified by decoding it once.
kernels::CompressedWeight compressed_weight(const ort::KernelInfo& info, const kernels::UniformLayout& layout,
                                            std::size_t input, const std::string& name);

/// The same, decoded. Operators of a process that have the same weight share the memory; the system may drop the pages
/// of the compressed one.
PackedWeight decoded_weight(const ort::KernelInfo& info, const kernels::UniformLayout& layout, std::size_t input,
                            const std::string& name);

} // namespace edgeq::ops
