// SPDX-License-Identifier: Apache-2.0
// The library's one exported function.
#include "dint_gemm.h"
#include "kernel_info_op.h"
#include "lut_gemm.h"
#include "quant_gather.h"
#include "sparse_gemm.h"

#include "ort/custom_op.h"

#include <map>
#include <memory>
#include <mutex>
#include <tuple>

namespace edgeq::ops {
namespace {

/// The operators as one ONNX Runtime sees them. They must outlive every session that uses them.
class Domain {
public:
  explicit Domain(const ort::Api& api)
      : api_(api), ops_(ort::CustomOp<DintGemm>(api), ort::CustomOp<LutGemm>(api), ort::CustomOp<QuantGather>(api),
                        ort::CustomOp<SparseGemm>(api), ort::CustomOp<KernelInfoOp>(api)) {
    api_.call(ort::CreateCustomOpDomain, "com.edgeq", &domain_);
    std::apply([&](const auto&... op) { (api_.call(ort::CustomOpDomainAdd, domain_, &op), ...); }, ops_);
  }
  Domain(const Domain&) = delete;
  Domain& operator=(const Domain&) = delete;

  void add_to(ort::OrtSessionOptions* options) const { api_.call(ort::AddCustomOpDomain, options, domain_); }

private:
  ort::Api api_;
  std::tuple<ort::CustomOp<DintGemm>, ort::CustomOp<LutGemm>, ort::CustomOp<QuantGather>, ort::CustomOp<SparseGemm>,
             ort::CustomOp<KernelInfoOp>>
      ops_;
  ort::OrtCustomOpDomain* domain_ = nullptr;
};

/// One domain per ONNX Runtime in this process: Python's and an application's own may be different libraries. They are
/// never destroyed: an application's global sessions may be closed after static objects of this library.
const Domain& domain_of(const ort::OrtApi* table) {
  static std::mutex mutex;
  static auto& domains = *new std::map<const ort::OrtApi*, std::unique_ptr<Domain>>;
  const std::lock_guard<std::mutex> lock(mutex);
  std::unique_ptr<Domain>& domain = domains[table];
  if (domain == nullptr)
    domain = std::make_unique<Domain>(ort::Api(table));
  return *domain;
}

} // namespace
} // namespace edgeq::ops

extern "C" __attribute__((visibility("default"))) edgeq::ort::OrtStatus*
RegisterCustomOps(edgeq::ort::OrtSessionOptions* options, const edgeq::ort::OrtApiBase* base) {
  using namespace edgeq;
  const ort::OrtApi* table = base->GetApi(ort::kApiVersion);
  if (table == nullptr) // CreateStatus is in every version of the table
    return ort::Api(base->GetApi(1))
        .status(ort::ErrorCode::fail, "edgeq_ops: found an ONNX Runtime before 1.17, wanted 1.17 or newer");
  return ort::guard(ort::Api(table), "edgeq_ops: ", [&] { ops::domain_of(table).add_to(options); });
}
