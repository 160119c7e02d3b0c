// SPDX-License-Identifier: Apache-2.0
#include "packed_weight.h"

#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace edgeq::ops {

WeightPlacement weight_placement() {
  const char* value = std::getenv("EDGEQ_WEIGHTS");
  const std::string wanted = value == nullptr || *value == '\0' ? "mapped" : value;
  if (wanted != "mapped" && wanted != "huge-pages")
    throw std::invalid_argument("environment variable EDGEQ_WEIGHTS: found '" + wanted +
                                "', wanted mapped or huge-pages");
  std::string obstacle = wanted == "mapped" ? "" : huge_pages_obstacle();
  return {wanted == "huge-pages" && obstacle.empty(), std::move(obstacle)};
}

PackedWeight::PackedWeight(const std::uint8_t* data, std::size_t bytes) : data_(data) {
  if (!weight_placement().huge_pages)
    return;
  memory_ = HugeBuffer(bytes);
  std::memcpy(memory_.data(), data, bytes);
  data_ = memory_.data();
}

} // namespace edgeq::ops
