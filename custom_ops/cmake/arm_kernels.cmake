# SPDX-License-Identifier: Apache-2.0
# The kernels of 64-bit ARM, one list of sources per instruction set, for target edgeq_kernels.
set(EDGEQ_NEON
  arm_kernels.cc
  build_lut_neon.cc
  decode_nibble_neon.cc
  decode_rans_neon.cc
  matmul_f32_a8_codebook_4x8_neon.cc
  matmul_f32_a8_uniform_4x8_neon.cc
  matmul_f32_f32_bcq_8x8_neon.cc
  matmul_f32_f32_codebook_8x8_neon.cc
  matmul_f32_f32_uniform_8x8_neon.cc
  matmul_f32_lut_bcq_4x64_neon.cc
  quantize_a8_neon.cc)
set(EDGEQ_DOTPROD
  matmul_f32_a8_bcq_6x16_dotprod.cc
  matmul_f32_a8_codebook_6x16_dotprod.cc
  matmul_f32_a8_uniform_6x16_dotprod.cc)
set(EDGEQ_I8MM
  matmul_f32_a8_bcq_8x8_i8mm.cc
  matmul_f32_a8_codebook_8x8_i8mm.cc
  matmul_f32_a8_uniform_8x8_i8mm.cc)
set(EDGEQ_BF16
  matmul_f32_bf16_uniform_8x8_bf16.cc
  pack_bf16_bf16.cc)

if(EDGEQ_ZIG) # does not know -march
  set(dotprod -mcpu=generic+v8_2a+dotprod)
  set(i8mm -mcpu=generic+v8_2a+dotprod+i8mm)
  set(bf16 -mcpu=generic+v8_2a+dotprod+i8mm+bf16)
else()
  set(dotprod -march=armv8.2-a+dotprod)
  set(i8mm -march=armv8.2-a+dotprod+i8mm)
  set(bf16 -march=armv8.2-a+dotprod+i8mm+bf16)
endif()
set_source_files_properties(${EDGEQ_DOTPROD} PROPERTIES COMPILE_OPTIONS "${dotprod}")
set_source_files_properties(${EDGEQ_I8MM} PROPERTIES COMPILE_OPTIONS "${i8mm}")
set_source_files_properties(${EDGEQ_BF16} PROPERTIES COMPILE_OPTIONS "${bf16}")
target_sources(edgeq_kernels PRIVATE ${EDGEQ_NEON} ${EDGEQ_DOTPROD} ${EDGEQ_I8MM} ${EDGEQ_BF16})
