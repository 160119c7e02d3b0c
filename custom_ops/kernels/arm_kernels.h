// SPDX-License-Identifier: Apache-2.0
// The kernels of 64-bit ARM's instruction sets.
#pragma once

#include "codebook_gemm.h"
#include "lut_gemm.h"

namespace edgeq::kernels {

/// As dint_gemm_kernels(), codebook_gemm_kernels() and lut_gemm_kernels(), for Isa::neon and above.
const DintGemmKernels& dint_gemm_kernels_arm(Isa isa);
const DintGemmKernels& codebook_gemm_kernels_arm(Isa isa);
const LutGemmKernels& lut_gemm_kernels_arm(Isa isa);

void quantize_a8_neon(const float*, const Grouping&, const A8Panels&, std::size_t, std::size_t);
void matmul_f32_a8_uniform_4x8_neon(const MatmulA8&, std::size_t, std::size_t);
void matmul_f32_a8_uniform_6x16_dotprod(const MatmulA8&, std::size_t, std::size_t);
void matmul_f32_a8_uniform_8x8_i8mm(const MatmulA8&, std::size_t, std::size_t);
void matmul_f32_f32_uniform_8x8_neon(const MatmulF32&, std::size_t, std::size_t);
void pack_bf16_bf16(const float*, const Bf16Panels&, std::size_t, std::size_t);
void matmul_f32_bf16_uniform_8x8_bf16(const MatmulBf16&, std::size_t, std::size_t);

void matmul_f32_a8_codebook_4x8_neon(const MatmulA8&, std::size_t, std::size_t);
void matmul_f32_a8_codebook_6x16_dotprod(const MatmulA8&, std::size_t, std::size_t);
void matmul_f32_a8_codebook_8x8_i8mm(const MatmulA8&, std::size_t, std::size_t);
void matmul_f32_f32_codebook_8x8_neon(const MatmulF32&, std::size_t, std::size_t);

void build_lut_neon(const float*, const Grouping&, std::size_t, std::uint8_t*, LutBlock*);
void matmul_f32_lut_bcq_4x64_neon(const MatmulLut&, std::size_t, std::size_t);
void matmul_f32_a8_bcq_6x16_dotprod(const MatmulBcqA8&, std::size_t, std::size_t);
void matmul_f32_a8_bcq_8x8_i8mm(const MatmulBcqA8&, std::size_t, std::size_t);
void matmul_f32_f32_bcq_8x8_neon(const MatmulBcq&, std::size_t, std::size_t);

} // namespace edgeq::kernels
