// SPDX-License-Identifier: Apache-2.0
// What the operators with packed weights have in common: attributes, sizes, shapes, the division of work.
#pragma once

#include "kernels/grouping.h"
#include "ort/custom_op.h"

#include <algorithm>
#include <limits>

namespace edgeq::ops {

inline constexpr std::int64_t kMaxFeatures = std::numeric_limits<std::int32_t>::max();

/// Attributes K, N and group_size.
struct WeightShape {
  std::size_t n;
  kernels::Grouping inputs;
};

/// Reads and checks K, N and group_size.
WeightShape read_weight_shape(const ort::KernelInfo& info);

/// The constant bytes at an input. They lie in the model's memory map.
struct Bytes {
  const std::uint8_t* data;
  std::size_t size;
};
Bytes constant_bytes(const ort::KernelInfo& info, std::size_t input, const std::string& name);

/// The constant packed weight at an input, which must have exactly `bytes` bytes. It lies in the model's memory map.
const std::uint8_t* packed_weight(const ort::KernelInfo& info, std::size_t bytes, std::size_t input = 1,
                                  const std::string& name = "W");

/// Checks that X is [..., k]; returns the number of tokens, the product of the leading dimensions.
std::size_t token_count(const ort::Tensor& x, std::size_t k);

/// The floats of a constant tensor: where they lie, or a copy, as external data need not lie at a multiple of 4 bytes.
class ConstantFloats {
public:
  ConstantFloats() = default;
  ConstantFloats(const void* data, std::size_t count);

  const float* data() const { return copy_.empty() ? data_ : copy_.data(); } // null without a tensor

private:
  const float* data_ = nullptr;
  std::vector<float> copy_;
};

/// An optional bias, which must be [n]. A constant one is checked and found once, when the kernel is created.
class Bias {
public:
  Bias() = default;
  Bias(const ort::KernelInfo& info, std::size_t input, std::string name, std::size_t n);

  /// Its values; null when it is absent.
  const float* data(const ort::KernelContext& context) const;

private:
  const void* check(const ort::Tensor& bias) const;

  std::size_t input_ = 0;
  std::string name_;
  std::size_t n_ = 0;
  ConstantFloats constant_;
  bool computed_ = false;
};

/// The shape of X with its last dimension replaced by n.
ort::Shape output_shape(const ort::Shape& x, std::size_t n);

/// Y is X with the last dimension replaced by attribute N, symbolic names kept. Further outputs are left to the model's
/// own value infos: the ABI does not tell how many outputs a node has.
void infer_matmul_shape(const ort::ShapeInference& inference);

/// Number of chunks into which `items` of equal work are divided: at least `least_work` each, at most 64; one, or even.
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
