// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernel_context.h"
#include "kernel_info.h"
#include "shape_inference.h"

#include <array>

namespace edgeq::ort {

/// A formal input or output of an operator.
struct Formal {
  ElementType type;
  Characteristic characteristic = Characteristic::required;
};

/// Presents class Op to ONNX Runtime. Op provides
///   static constexpr const char *name;                     the operator's type
///   static constexpr std::array<Formal, n> inputs, outputs;
///   explicit Op(const KernelInfo &);                       checks everything that is known; throws Error
///   void compute(const KernelContext &) const;             may run on several threads at once; throws Error
///   static void infer_shapes(const ShapeInference &);      may leave an output unanswered
template <class Op> class CustomOp : public OrtCustomOp {
public:
  explicit CustomOp(const Api& api) : OrtCustomOp{}, api_(api) {
    version = kApiVersion;
    GetName = [](const OrtCustomOp*) { return Op::name; };
    GetExecutionProviderType = [](const OrtCustomOp*) -> const char* { return "CPUExecutionProvider"; };
    describe_formals();
    CreateKernelV2 = create;
    KernelComputeV2 = compute;
    KernelDestroy = [](void* kernel) { delete static_cast<Kernel*>(kernel); };
    InferOutputShapeFn = infer;
    GetStartVersion = [](const OrtCustomOp*) { return 1; };
    GetEndVersion = [](const OrtCustomOp*) { return 1; };
  }

private:
  struct Kernel {
    Kernel(const Api& a, const KernelInfo& info, std::string prefix) : api(a), where(std::move(prefix)), op(info) {}
    Api api;
    std::string where; // start of every error message
    Op op;
  };

  void describe_formals() {
    GetInputTypeCount = [](const OrtCustomOp*) { return Op::inputs.size(); };
    GetInputType = [](const OrtCustomOp*, std::size_t i) { return Op::inputs[i].type; };
    GetInputCharacteristic = [](const OrtCustomOp*, std::size_t i) { return Op::inputs[i].characteristic; };
    GetInputMemoryType = [](const OrtCustomOp*, std::size_t) { return MemoryType::default_memory; };
    GetOutputTypeCount = [](const OrtCustomOp*) { return Op::outputs.size(); };
    GetOutputType = [](const OrtCustomOp*, std::size_t i) { return Op::outputs[i].type; };
    GetOutputCharacteristic = [](const OrtCustomOp*, std::size_t i) { return Op::outputs[i].characteristic; };
    GetVariadicInputMinArity = GetVariadicOutputMinArity = [](const OrtCustomOp*) { return 1; };
    GetVariadicInputHomogeneity = GetVariadicOutputHomogeneity = [](const OrtCustomOp*) { return 1; };
  }

  static OrtStatus* create(const OrtCustomOp* op, const OrtApi*, const OrtKernelInfo* raw, void** kernel) {
    const Api& api = static_cast<const CustomOp*>(op)->api_;
    std::string where; // an empty string allocates nothing, so this cannot throw
    return guard(api, where, [&] {
      KernelInfo info(api, raw);
      where = "com.edgeq." + std::string(Op::name) + " node '" + info.node_name() + "': ";
      *kernel = new Kernel(api, info, where);
    });
  }

  static OrtStatus* compute(void* raw, OrtKernelContext* context) {
    const Kernel& kernel = *static_cast<const Kernel*>(raw);
    return guard(kernel.api, kernel.where, [&] { kernel.op.compute(KernelContext(kernel.api, context)); });
  }

  /// Never fails: what is wrong with a node is reported, with its name, when its kernel is created.
  static OrtStatus* infer(const OrtCustomOp* op, OrtShapeInferContext* context) {
    const Api& api = static_cast<const CustomOp*>(op)->api_;
    if (OrtStatus* status = guard(api, "", [&] { Op::infer_shapes(ShapeInference(api, context)); }))
      api.raw(ReleaseStatus, status);
    return nullptr;
  }

  Api api_;
};

} // namespace edgeq::ort
