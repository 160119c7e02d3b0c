// SPDX-License-Identifier: Apache-2.0
// Y = X · Wᵀ + bias with binary-coded weights and float activations: the kernels of every instruction set, by one
// interface. Kernels are pure functions; names are as in dint_gemm.h.
//
// Lookup: for every run of 4 inputs the 16 sums ±x0 ±x1 ±x2 ±x3 are tabulated once per token, and a nibble of a plane
// selects one (LUT-GEMM, arXiv 2206.09557; the 4-input tables and the order of the weights: T-MAC, arXiv 2407.00088).
// Entries are integers with one scale per activation block, so the sums of selected entries are exact.
#pragma once

#include "a8_panels.h"
#include "bcq_layout.h"
#include "isa.h"

#include <limits>

namespace edgeq::kernels {

/// Scale of an activation block's entries and the sum of its activations. Where a sum of activations is NaN or
/// infinite both are NaN, and so become the token's outputs.
struct LutBlock {
  float scale;
  float sum;
};

/// The tables of one token: for each 16 inputs [4 runs][16 entries] low bytes, then, with 16-bit entries, as many high
/// bytes. Entry e of a run is the sum of its inputs, input j with a plus where bit j of e is set, divided by the
/// block's scale, rounded half to even; 2^(table_bits-1) is added to it.
constexpr std::size_t lut_bytes(const Grouping& inputs, std::size_t table_bits) {
  return inputs.padded_k * table_bits / 2;
}

/// Builds one token's tables from x[k]: entries[lut_bytes], blocks[inputs.blocks()]. The scale of a block is its
/// largest entry / (2^(table_bits-1) - 1); a block whose entries are all below 1e-33 counts as zero in them, not in
/// its sum. Every instruction set gives the same bits.
using BuildLut = void (*)(const float* x, const Grouping& inputs, std::size_t table_bits, std::uint8_t* entries,
                          LutBlock* blocks);

/// A product by lookup, fastest over ranges of an even number of tiles. With block b, plane p, coefficient α, offset z:
/// y[n] = bias[n] + Σ_b (scale[b] · (Σ_p α[n,p,b]·S[n,p,b]) + z[n,b]·sum[b]), S the exact sum of selected entries; the
/// sums over b and over p are chains of fused multiply-adds in their order: every instruction set gives the same bits.
struct MatmulLut {
  BcqLayout layout;
  const std::uint8_t* weights;
  std::size_t table_bits;      // 8 or 16
  const std::uint8_t* entries; // [tokens][lut_bytes]
  const LutBlock* blocks;      // [tokens][inputs.blocks()]
  std::size_t tokens;
  const float* bias; // [n], or null
  float* y;          // [tokens, n]
  bool prefetch;     // ask for weights ahead of their use
};
using MatmulLutFunction = void (*)(const MatmulLut& product, std::size_t first_tile, std::size_t last_tile);

/// A product by multiplication: weights are decoded to float32 and accumulated with fused multiply-adds; the order of
/// the sum differs between instruction sets.
struct MatmulBcq {
  BcqLayout layout;
  const std::uint8_t* weights;
  const float* x; // panels as pack_panels makes them
  std::size_t tokens;
  const float* bias; // [n], or null
  float* y;          // [tokens, n]
};
using MatmulBcqFunction = void (*)(const MatmulBcq& product, std::size_t first_tile, std::size_t last_tile);

/// Arranges panels [first, last) of x[tokens][k] for MatmulBcq: a panel is [k][panel_tokens], the last one [k][the
/// rest].
void pack_panels(const float* x, std::size_t k, std::size_t tokens, std::size_t panel_tokens, std::size_t first,
                 std::size_t last, float* panels);

/// A product by multiplication with int8 activations: weights are decoded to bytes, scale · (byte − 128) with one scale
/// per row and group (bcq_levels.h). With block b, weight scale s and activation scale t:
/// y[n] = bias[n] + Σ_b (s[n,b]·Σ_k (byte − 128)·x) · t[b], the inner sums exact integers, their products with s
/// rounded to float32, the outer sum a chain of fused multiply-adds in order of b: every instruction set gives the same
/// bits.
struct MatmulBcqA8 {
  BcqLayout layout;
  const std::uint8_t* weights;
  A8Panels x;        // from bcq_panels()
  const float* bias; // [n], or null
  float* y;          // [tokens, n]
};
using MatmulBcqA8Function = void (*)(const MatmulBcqA8& product, std::size_t first_tile, std::size_t last_tile);

/// What the kinds of product cost, in picoseconds per weight, measured on one core of a Xeon (Sapphire Rapids), 2048 by
/// 2048 weights in groups of 128, 8 to 64 tokens, with what prepares the activations. Only their ratios matter: they
/// say which is the fastest for how many tokens.
struct LutGemmCosts {
  double lookup_8;  // per plane and token, 8-bit entries
  double lookup_16; // per plane and token, 16-bit entries
  double decode;    // per weight decoded to float32
  double decode_plane;
  double multiply;                                              // per token, float32
  double decode_a8 = 0;                                         // per weight decoded to bytes
  double decode_a8_code = 0;                                    // and per value that the weight may have
  double multiply_a8 = std::numeric_limits<double>::infinity(); // per token, int8
};

struct LutGemmKernels {
  BuildLut build_lut;
  MatmulLutFunction matmul_lut;
  bool prefetch; // of MatmulLut
  MatmulBcqFunction matmul_bcq;
  std::size_t panel_tokens; // of MatmulBcq
  LutGemmCosts costs;
  // Where multiply_a8 is finite:
  void (*quantize_a8)(const float* x, const Grouping& inputs, const A8Panels& panels, std::size_t first,
                      std::size_t last) = nullptr; // dint_gemm.h
  MatmulBcqA8Function matmul_a8 = nullptr;
  std::size_t a8_panel_tokens = 0; // of MatmulBcqA8
  bool a8_by_token = false;        // of its panels
};

/// `panels` as MatmulBcqA8 wants them.
A8Panels bcq_panels(const LutGemmKernels& kernels, A8Panels panels);

/// The kernels of an instruction set; only for one of available_isas().
const LutGemmKernels& lut_gemm_kernels(Isa isa);

enum class LutGemmProduct {
  lookup,
  multiply_f32, ///< MatmulBcq
  multiply_a8,  ///< MatmulBcqA8, for 8-bit tables
};

/// The fastest kind of product for this many tokens.
LutGemmProduct fastest_product(const LutGemmCosts& costs, std::size_t planes, std::size_t table_bits,
                               std::size_t tokens);

void build_lut_generic(const float*, const Grouping&, std::size_t, std::uint8_t*, LutBlock*);
void matmul_f32_lut_bcq_1x64_generic(const MatmulLut&, std::size_t, std::size_t);
void matmul_f32_f32_bcq_1x64_generic(const MatmulBcq&, std::size_t, std::size_t);
void matmul_f32_a8_bcq_4x64_generic(const MatmulBcqA8&, std::size_t, std::size_t);
#if defined(__x86_64__)
void build_lut_avx2(const float*, const Grouping&, std::size_t, std::uint8_t*, LutBlock*);
void matmul_f32_lut_bcq_4x64_avx2(const MatmulLut&, std::size_t, std::size_t);
void matmul_f32_f32_bcq_6x16_avx2(const MatmulBcq&, std::size_t, std::size_t);
void build_lut_avx512(const float*, const Grouping&, std::size_t, std::uint8_t*, LutBlock*);
void matmul_f32_lut_bcq_8x64_avx512(const MatmulLut&, std::size_t, std::size_t);
void matmul_f32_lut_bcq_8x64_avx512_vbmi(const MatmulLut&, std::size_t, std::size_t);
void matmul_f32_f32_bcq_6x64_avx512(const MatmulBcq&, std::size_t, std::size_t);
void matmul_f32_a8_bcq_6x16_avx_vnni(const MatmulBcqA8&, std::size_t, std::size_t);
void matmul_f32_a8_bcq_7x32_avx512_vnni(const MatmulBcqA8&, std::size_t, std::size_t);
void matmul_f32_a8_bcq_16x32_amx(const MatmulBcqA8&, std::size_t, std::size_t);
#endif

} // namespace edgeq::kernels
