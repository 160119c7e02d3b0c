// SPDX-License-Identifier: Apache-2.0
// The kernels of DintGemm for weights in the `codebook` format, of every instruction set, by the interface of the
// others: weight = scale · level takes the place of scale · (code − zero point).
#pragma once

#include "dint_gemm.h"

namespace edgeq::kernels {

/// The kernels of an instruction set; only for one of available_isas(). Layouts have `codebook` set.
const DintGemmKernels& codebook_gemm_kernels(Isa isa);

void matmul_f32_a8_codebook_4x32_generic(const MatmulA8&, std::size_t, std::size_t);
void matmul_f32_f32_codebook_1x32_generic(const MatmulF32&, std::size_t, std::size_t);
#if defined(__x86_64__)
void matmul_f32_a8_codebook_4x16_avx2(const MatmulA8&, std::size_t, std::size_t);
void matmul_f32_f32_codebook_6x16_avx2(const MatmulF32&, std::size_t, std::size_t);
void matmul_f32_f32_codebook_prompt_6x16_avx2(const MatmulF32Prompt&, std::size_t, std::size_t);
void matmul_f32_f32_codebook_12x32_avx512(const MatmulF32&, std::size_t, std::size_t);
void matmul_f32_f32_codebook_prompt_12x32_avx512(const MatmulF32Prompt&, std::size_t, std::size_t);
void matmul_f32_a8_codebook_6x16_avx_vnni(const MatmulA8&, std::size_t, std::size_t);
void matmul_f32_a8_codebook_1x32_avx512_vbmi(const MatmulA8&, std::size_t, std::size_t);
void matmul_f32_a8_codebook_1x32_avx512_vnni(const MatmulA8&, std::size_t, std::size_t);
void matmul_f32_a8_codebook_7x32_avx512_vnni(const MatmulA8&, std::size_t, std::size_t);
void matmul_f32_a8_codebook_16x32_amx(const MatmulA8&, std::size_t, std::size_t);
#endif

} // namespace edgeq::kernels
