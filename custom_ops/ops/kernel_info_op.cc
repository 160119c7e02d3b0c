// SPDX-License-Identifier: Apache-2.0
#include "kernel_info_op.h"

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
  json_ += "]}";
}

void KernelInfoOp::compute(const ort::KernelContext& context) const {
  std::memcpy(context.output(0, {static_cast<std::int64_t>(json_.size())}), json_.data(), json_.size());
}

} // namespace edgeq::ops
