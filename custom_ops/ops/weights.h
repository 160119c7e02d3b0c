// SPDX-License-Identifier: Apache-2.0
// What the operators with packed weights have in common: attributes, sizes, shapes, the division of work.
#pragma once

#include "kernels/grouping.h"
#include "ort/custom_op.h"

#include <algorithm>

namespace edgeq::ops {

/// Attributes K, N and group_size.
struct WeightShape {
  std::size_t n;
  kernels::Grouping inputs;
};

/// Reads and checks K, N and group_size.
WeightShape read_weight_shape(const ort::KernelInfo& info);

/// The constant packed weight at input 1, which must have exactly `bytes` bytes. It lies in the model's memory map.
const std::uint8_t* packed_weight(const ort::KernelInfo& info, std::size_t bytes);

/// Checks that X is [..., k]; returns the number of tokens, the product of the leading dimensions.
std::size_t token_count(const ort::Tensor& x, std::size_t k);

/// Checks the shape of the bias at input 2 when it is a constant.
void check_constant_bias(const ort::KernelInfo& info, std::size_t n);

/// Checks the optional bias at input 2, which must be [n]; null when it is absent.
const float* bias_data(const ort::KernelContext& context, std::optional<ort::Tensor>& storage, std::size_t n);

/// The shape of X with its last dimension replaced by n.
ort::Shape output_shape(const ort::Shape& x, std::size_t n);

/// Y is X with the last dimension replaced by attribute N, symbolic names kept.
void infer_matmul_shape(const ort::ShapeInference& inference);

/// Number of chunks into which `items` of equal work are divided: at least `least_work` each, at most 64.
/// It depends on the work alone, so results do not depend on the number of threads.
std::size_t chunk_count(std::size_t items, double work_per_item, double least_work);

/// Calls body(first, last) for even chunks of [0, items) on the session's threads.
template <class Body>
void for_chunks(const ort::KernelContext& context, std::size_t items, std::size_t chunks, const Body& body) {
  context.parallel_for(chunks, [&](std::size_t chunk) noexcept {
    const std::size_t share = items / chunks, extra = items % chunks;
    const std::size_t first = share * chunk + std::min(chunk, extra);
    body(first, first + share + (chunk < extra ? 1 : 0));
  });
}

} // namespace edgeq::ops
