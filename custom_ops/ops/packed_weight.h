// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "huge_buffer.h"

namespace edgeq::ops {

/// Where operators that read all of a weight in every call have it.
struct WeightPlacement {
  bool huge_pages;      // a copy in HugeBuffer; else where it lies in the model
  std::string obstacle; // why there are no huge pages although they were asked for, or empty
};

/// As the environment variable EDGEQ_WEIGHTS wants it: `mapped`, which is the default, or `huge-pages`, which falls
/// back to `mapped` where the system grants none. Throws std::invalid_argument for another value.
WeightPlacement weight_placement();

/// A packed weight where the kernels read it.
class PackedWeight {
public:
  PackedWeight() = default;
  /// `bytes` at `data`, which lives as long as the session; copied as weight_placement() says.
  PackedWeight(const std::uint8_t* data, std::size_t bytes);
  /// What was written into memory of its own.
  explicit PackedWeight(HugeBuffer memory) : memory_(std::move(memory)), data_(memory_.data()) {}

  const std::uint8_t* data() const { return data_; }

private:
  HugeBuffer memory_; // empty when the weight is used where it lies
  const std::uint8_t* data_ = nullptr;
};

} // namespace edgeq::ops
