// SPDX-License-Identifier: Apache-2.0
#include "kernel_info_op.h"

#include "packed_weight.h"

#include "kernels/isa.h"

#include <cstring>

namespace edgeq::ops {

KernelInfoOp::KernelInfoOp(const ort::KernelInfo&) {
  json_ = "{\"selected\": \"" + std::string(kernels::isa_name(kernels::selected_isa())) + "\", \"available\": [";
  const char* separator = "";
  for (kernels::Isa isa : kernels::available_isas()) {
    json_ += separator + ("\"" + std::string(kernels::isa_name(isa)) + "\"");
    separator = ", ";
  }
  const WeightPlacement placement = weight_placement();
  json_ += std::string("], \"weights\": \"") + (placement.huge_pages ? "huge-pages" : "mapped") +
           "\", \"weights_obstacle\": \"" + placement.obstacle + "\"}";
}

void KernelInfoOp::compute(const ort::KernelContext& context) const {
  std::memcpy(context.output(0, {static_cast<std::int64_t>(json_.size())}), json_.data(), json_.size());
}

} // namespace edgeq::ops
