// SPDX-License-Identifier: Apache-2.0
// Y = X · Wᵀ + bias with packed `uniform` weights: the kernels of every instruction set, by one interface.
//
// A kernel is a pure function: it allocates nothing, starts no threads, and writes only the outputs of the panels or
// tiles that it was given. Names: operation, output type, activation type, weight format, tokens × rows of the
// register block, instruction set.
#pragma once

#include "a8_panels.h"
#include "bf16_panels.h"
#include "f32_panels.h"
#include "isa.h"
#include "uniform_layout.h"

namespace edgeq::kernels {

/// Quantizes the tokens of panels [first, last). `x` is [tokens, k]. Per token and activation block:
/// scale = max|x| / 127, code = x / scale rounded half to even; all zero where max|x| is zero or below 127 times the
/// smallest float.
using QuantizeA8 = void (*)(const float* x, const Grouping& inputs, const A8Panels& panels, std::size_t first,
                            std::size_t last);

/// A product with int8 activations. With block b of group g, weight scale s, zero point z, activation scale t:
/// y[n] = bias[n] + Σ_b (s[n,g]·Σ_k (q[n,k] − z[n,g])·x[k]) · t[b], the inner sums exact integers, their products with
/// s rounded to float32, the outer sum a chain of fused multiply-adds in order of b: every instruction set gives the
/// same bits. With dint, s is the stored scale times dint_unit() and q − z the weight in units.
struct MatmulA8 {
  UniformLayout layout;
  const std::uint8_t* weights;
  A8Panels x;
  const float* bias; // [n], or null
  float* y;          // [tokens, n]
};
using MatmulA8Function = void (*)(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile);

/// A product with float activations: weights are decoded to float32, s·(q − z), and the products summed in
/// float32; order and rounding of the sum differ between instruction sets.
struct MatmulF32 {
  UniformLayout layout;
  const std::uint8_t* weights;
  const float* x; // [tokens, k]
  std::size_t tokens;
  const float* bias; // [n], or null
  float* y;          // [tokens, n]
};
using MatmulF32Function = void (*)(const MatmulF32& product, std::size_t first_tile, std::size_t last_tile);

/// The same for the tokens of a prompt.
struct MatmulF32Prompt {
  UniformLayout layout;
  const std::uint8_t* weights;
  F32Panels x;
  const float* bias; // [n], or null
  float* y;          // [tokens, n]
};
using MatmulF32PromptFunction = void (*)(const MatmulF32Prompt& product, std::size_t first_tile, std::size_t last_tile);

/// A product with activations rounded to bfloat16: with block b of group g and weight scale s,
/// y[n] = bias[n] + Σ_b s[n,g]·Σ_k (q[n,k] − z[n,g])·x[k]. Weights counted from their zero points are exact in
/// bfloat16, their products with x are in float32; sums are of float32, in an order that differs between instruction
/// sets.
struct MatmulBf16 {
  UniformLayout layout;
  const std::uint8_t* weights;
  Bf16Panels x;
  const float* bias; // [n], or null
  float* y;          // [tokens, n]
};
using MatmulBf16Function = void (*)(const MatmulBf16& product, std::size_t first_tile, std::size_t last_tile);

/// Where there is one, a kernel for more than `few_tokens` tokens rounded to bfloat16.
struct Bf16Kernels {
  std::size_t few_tokens = SIZE_MAX;
  std::size_t panel_tokens = 0;
  void (*pack)(const float* x, const Bf16Panels& panels, std::size_t first, std::size_t last) = nullptr;
  MatmulBf16Function matmul = nullptr;
  std::size_t run = kBf16Run; // of Bf16Panels
};

struct DintGemmKernels {
  std::size_t panel_tokens; // of A8Panels
  QuantizeA8 quantize_a8;
  MatmulA8Function matmul_a8;
  MatmulF32Function matmul_f32;
  // Where there is one, a kernel for more than `few_tokens` tokens; see panels_for().
  std::size_t few_tokens = SIZE_MAX;
  MatmulA8Function matmul_a8_prompt = nullptr;
  // Where there is one, a kernel for panels of float activations, for more than `f32_few_tokens` tokens.
  std::size_t f32_panel_tokens = 0;
  MatmulF32PromptFunction matmul_f32_prompt = nullptr;
  std::size_t f32_few_tokens = 4;
  // Where there is one, a kernel for one token.
  MatmulA8Function matmul_a8_token = nullptr;
  bool by_token = false; // of the panels of matmul_a8_prompt
  Bf16Kernels bf16 = {};
  bool pairs = false; // matmul_a8_prompt sums products in 16 bits: dint_from_zero()

  bool is_prompt(std::size_t tokens) const { return matmul_a8_prompt != nullptr && tokens > few_tokens; }
  bool is_f32_prompt(std::size_t tokens) const { return matmul_f32_prompt != nullptr && tokens > f32_few_tokens; }
  MatmulA8Function matmul_a8_for(std::size_t tokens) const {
    if (tokens == 1 && matmul_a8_token != nullptr)
      return matmul_a8_token;
    return is_prompt(tokens) ? matmul_a8_prompt : matmul_a8;
  }
};

/// Panels as the kernel for their number of tokens wants them.
A8Panels panels_for(const DintGemmKernels& kernels, const UniformLayout& layout, A8Panels panels);

/// The kernels of an instruction set; only for one of available_isas().
const DintGemmKernels& dint_gemm_kernels(Isa isa);

void quantize_a8_generic(const float*, const Grouping&, const A8Panels&, std::size_t, std::size_t);
void matmul_f32_a8_uniform_4x32_generic(const MatmulA8&, std::size_t, std::size_t);
void matmul_f32_f32_uniform_1x32_generic(const MatmulF32&, std::size_t, std::size_t);
#if defined(__x86_64__)
void matmul_f32_a8_uniform_3x16_avx2(const MatmulA8&, std::size_t, std::size_t);
void matmul_f32_a8_uniform_4x16_avx_vnni(const MatmulA8&, std::size_t, std::size_t);
void matmul_f32_a8_uniform_6x16_avx_vnni(const MatmulA8&, std::size_t, std::size_t);
void matmul_f32_a8_uniform_6x32_avx512(const MatmulA8&, std::size_t, std::size_t);
void quantize_a8_avx2(const float*, const Grouping&, const A8Panels&, std::size_t, std::size_t);
void matmul_f32_a8_uniform_4x16_avx2(const MatmulA8&, std::size_t, std::size_t);
void matmul_f32_f32_uniform_6x16_avx2(const MatmulF32&, std::size_t, std::size_t);
void matmul_f32_f32_uniform_prompt_6x16_avx2(const MatmulF32Prompt&, std::size_t, std::size_t);
void quantize_a8_avx512(const float*, const Grouping&, const A8Panels&, std::size_t, std::size_t);
void matmul_f32_a8_uniform_1x64_avx512_vnni(const MatmulA8&, std::size_t, std::size_t);
void matmul_f32_a8_uniform_1x64_avx512_vbmi(const MatmulA8&, std::size_t, std::size_t);
void matmul_f32_a8_uniform_6x32_avx512_vbmi(const MatmulA8&, std::size_t, std::size_t);
void matmul_f32_a8_uniform_6x32_avx512_vnni(const MatmulA8&, std::size_t, std::size_t);
void matmul_f32_a8_uniform_7x32_avx512_vnni(const MatmulA8&, std::size_t, std::size_t);
void matmul_f32_bf16_uniform_12x32_avx512_bf16(const MatmulBf16&, std::size_t, std::size_t);
void matmul_f32_bf16_uniform_16x32_amx(const MatmulBf16&, std::size_t, std::size_t);
void matmul_f32_a8_uniform_16x32_amx(const MatmulA8&, std::size_t, std::size_t);
void matmul_f32_f32_uniform_4x32_avx512(const MatmulF32&, std::size_t, std::size_t);
void matmul_f32_f32_uniform_12x32_avx512(const MatmulF32Prompt&, std::size_t, std::size_t);

/// `kernels` with those for bfloat16 prompts of a CPU with AVX-512 BF16.
constexpr DintGemmKernels with_bf16(DintGemmKernels kernels) {
  kernels.bf16 = {4, 12, pack_bf16_avx512_bf16, matmul_f32_bf16_uniform_12x32_avx512_bf16};
  return kernels;
}

/// `kernels` with those for prompts of a CPU with AMX: `prompt` for int8 activations.
constexpr DintGemmKernels with_amx(DintGemmKernels kernels, MatmulA8Function prompt) {
  kernels.panel_tokens = 16;
  kernels.matmul_a8_prompt = prompt;
  kernels.by_token = true;
  kernels.bf16 = {4, 16, pack_bf16_avx512_bf16, matmul_f32_bf16_uniform_16x32_amx};
  return kernels;
}
#endif

} // namespace edgeq::kernels
