// SPDX-License-Identifier: Apache-2.0
// The part of ONNX Runtime's C ABI that edgeq uses. ONNX Runtime's wheels carry no headers; the ABI is append-only, so
// the slots below hold for every release from 1.17 (API version 17) on.
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgeq::ort {

inline constexpr std::uint32_t kApiVersion = 17;

struct OrtApi; // a table of function pointers, addressed by slot
struct OrtStatus;
struct OrtSessionOptions;
struct OrtCustomOpDomain;
struct OrtKernelInfo;
struct OrtKernelContext;
struct OrtValue;
struct OrtTensorTypeAndShapeInfo;
struct OrtShapeInferContext;
struct OrtOpAttr;

struct OrtApiBase {
  const OrtApi* (*GetApi)(std::uint32_t version);
  const char* (*GetVersionString)();
};

enum class ErrorCode : int { ok = 0, fail = 1, invalid_argument = 2, runtime_exception = 6 };
enum class ElementType : int { undefined = 0, float32 = 1, uint8 = 2, uint16 = 4, int32 = 6, int64 = 7, float16 = 10 };
enum class Characteristic : int { required = 0, optional = 1 };
enum class MemoryType : int { default_memory = 0 };
enum class AttributeType : int { int64 = 1 };

/// A function of OrtApi: its index in the table and its signature.
template <class Signature> struct Slot {
  std::size_t index;
};

using TaskFunction = void (*)(void* user, std::size_t index);

inline constexpr Slot<OrtStatus*(ErrorCode, const char*)> CreateStatus{0};
inline constexpr Slot<const char*(const OrtStatus*)> GetErrorMessage{2};
inline constexpr Slot<OrtStatus*(const char*, OrtCustomOpDomain**)> CreateCustomOpDomain{26};
struct OrtCustomOp;
inline constexpr Slot<OrtStatus*(OrtCustomOpDomain*, const OrtCustomOp*)> CustomOpDomainAdd{27};
inline constexpr Slot<OrtStatus*(OrtSessionOptions*, OrtCustomOpDomain*)> AddCustomOpDomain{28};
inline constexpr Slot<OrtStatus*(OrtValue*, void**)> GetTensorMutableData{51};
inline constexpr Slot<OrtStatus*(OrtTensorTypeAndShapeInfo**)> CreateTensorTypeAndShapeInfo{57};
inline constexpr Slot<OrtStatus*(OrtTensorTypeAndShapeInfo*, ElementType)> SetTensorElementType{58};
inline constexpr Slot<OrtStatus*(OrtTensorTypeAndShapeInfo*, const std::int64_t*, std::size_t)> SetDimensions{59};
inline constexpr Slot<OrtStatus*(const OrtTensorTypeAndShapeInfo*, ElementType*)> GetTensorElementType{60};
inline constexpr Slot<OrtStatus*(const OrtTensorTypeAndShapeInfo*, std::size_t*)> GetDimensionsCount{61};
inline constexpr Slot<OrtStatus*(const OrtTensorTypeAndShapeInfo*, std::int64_t*, std::size_t)> GetDimensions{62};
inline constexpr Slot<OrtStatus*(const OrtTensorTypeAndShapeInfo*, const char**, std::size_t)> GetSymbolicDimensions{
    63};
inline constexpr Slot<OrtStatus*(const OrtValue*, OrtTensorTypeAndShapeInfo**)> GetTensorTypeAndShape{65};
inline constexpr Slot<OrtStatus*(const OrtKernelInfo*, const char*, float*)> KernelInfoGetAttributeFloat{85};
inline constexpr Slot<OrtStatus*(const OrtKernelInfo*, const char*, std::int64_t*)> KernelInfoGetAttributeInt64{86};
inline constexpr Slot<OrtStatus*(const OrtKernelInfo*, const char*, char*, std::size_t*)> KernelInfoGetAttributeString{
    87};
inline constexpr Slot<OrtStatus*(const OrtKernelContext*, std::size_t*)> KernelContextGetInputCount{88};
inline constexpr Slot<OrtStatus*(const OrtKernelContext*, std::size_t, const OrtValue**)> KernelContextGetInput{90};
inline constexpr Slot<OrtStatus*(OrtKernelContext*, std::size_t, const std::int64_t*, std::size_t, OrtValue**)>
    KernelContextGetOutput{91};
inline constexpr Slot<void(OrtStatus*)> ReleaseStatus{93};
inline constexpr Slot<void(OrtTensorTypeAndShapeInfo*)> ReleaseTensorTypeAndShapeInfo{99};
inline constexpr Slot<OrtStatus*(const OrtKernelInfo*, std::size_t*)> KernelInfoGetInputCount{230};
inline constexpr Slot<OrtStatus*(const OrtKernelInfo*, std::size_t*)> KernelInfoGetOutputCount{231};
inline constexpr Slot<OrtStatus*(const OrtKernelInfo*, std::size_t, char*, std::size_t*)> KernelInfoGetInputName{232};
inline constexpr Slot<OrtStatus*(const OrtKernelInfo*, std::size_t, char*, std::size_t*)> KernelInfoGetOutputName{233};
inline constexpr Slot<OrtStatus*(const OrtKernelInfo*, char*, std::size_t*)> KernelInfoGetNodeName{244};
inline constexpr Slot<OrtStatus*(const OrtKernelInfo*, std::size_t, int*, const OrtValue**)>
    KernelInfoGetConstantInputTensor{249};
inline constexpr Slot<OrtStatus*(const OrtShapeInferContext*, std::size_t, OrtTensorTypeAndShapeInfo**)>
    ShapeInferContextGetInputTypeShape{268};
inline constexpr Slot<OrtStatus*(const OrtShapeInferContext*, const char*, const OrtOpAttr**)>
    ShapeInferContextGetAttribute{269};
inline constexpr Slot<OrtStatus*(const OrtShapeInferContext*, std::size_t, const OrtTensorTypeAndShapeInfo*)>
    ShapeInferContextSetOutputTypeShape{270};
inline constexpr Slot<OrtStatus*(OrtTensorTypeAndShapeInfo*, const char**, std::size_t)> SetSymbolicDimensions{271};
inline constexpr Slot<OrtStatus*(const OrtOpAttr*, AttributeType, void*, std::size_t, std::size_t*)> ReadOpAttr{272};
inline constexpr Slot<OrtStatus*(const OrtKernelContext*, TaskFunction, std::size_t, std::size_t, void*)>
    KernelContextParallelFor{274};

/// A custom operator as ONNX Runtime sees it. Members after `version` are read only up to what `version` promises.
struct OrtCustomOp {
  std::uint32_t version;
  void* (*CreateKernel)(const OrtCustomOp*, const OrtApi*, const OrtKernelInfo*);
  const char* (*GetName)(const OrtCustomOp*);
  const char* (*GetExecutionProviderType)(const OrtCustomOp*);
  ElementType (*GetInputType)(const OrtCustomOp*, std::size_t);
  std::size_t (*GetInputTypeCount)(const OrtCustomOp*);
  ElementType (*GetOutputType)(const OrtCustomOp*, std::size_t);
  std::size_t (*GetOutputTypeCount)(const OrtCustomOp*);
  void (*KernelCompute)(void*, OrtKernelContext*);
  void (*KernelDestroy)(void*);
  Characteristic (*GetInputCharacteristic)(const OrtCustomOp*, std::size_t);
  Characteristic (*GetOutputCharacteristic)(const OrtCustomOp*, std::size_t);
  MemoryType (*GetInputMemoryType)(const OrtCustomOp*, std::size_t);
  int (*GetVariadicInputMinArity)(const OrtCustomOp*);
  int (*GetVariadicInputHomogeneity)(const OrtCustomOp*);
  int (*GetVariadicOutputMinArity)(const OrtCustomOp*);
  int (*GetVariadicOutputHomogeneity)(const OrtCustomOp*);
  OrtStatus* (*CreateKernelV2)(const OrtCustomOp*, const OrtApi*, const OrtKernelInfo*, void**);
  OrtStatus* (*KernelComputeV2)(void*, OrtKernelContext*);
  OrtStatus* (*InferOutputShapeFn)(const OrtCustomOp*, OrtShapeInferContext*);
  int (*GetStartVersion)(const OrtCustomOp*);
  int (*GetEndVersion)(const OrtCustomOp*);
  std::size_t (*GetMayInplace)(int**, int**);
  void (*ReleaseMayInplace)(int*, int*);
  std::size_t (*GetAliasMap)(int**, int**);
  void (*ReleaseAliasMap)(int*, int*);
};
static_assert(sizeof(void*) != 8 || sizeof(OrtCustomOp) == 208, "OrtCustomOp of ONNX Runtime 1.21 has 208 bytes");

} // namespace edgeq::ort
