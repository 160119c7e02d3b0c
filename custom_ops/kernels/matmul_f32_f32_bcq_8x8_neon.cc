// SPDX-License-Identifier: Apache-2.0
#include "matmul_bcq_driver.h"
#include "multiply_f32_neon.h"

namespace edgeq::kernels {
namespace {

/// The bytes of rows 4 · part to 4 · part + 3 of a line, one in each lane.
EDGEQ_INLINE uint32x4_t load_rows(const std::uint8_t* line, int part) {
  const uint32x4_t words = vmovl_u16(vreinterpret_u16_u8(vld1_u8(line + 8 * (part % 8))));
  return part < 8 ? words : vshrq_n_u32(words, 8); // even bytes hold rows 0 to 31, odd ones 32 to 63
}

/// Decodes rows 4 · part to 4 · part + 3 of a block: a row's weight is the one of the code 0 plus 2α of each plane
/// whose bit is set.
template <int kPlanes> void decode_rows(const BcqBlock& block, int part, const std::uint8_t* tile, float* out) {
  const std::uint8_t* coefficients = tile + block.coefficients + 8 * part;
  float32x4_t zero = load_4_halfs(coefficients + 128 * kPlanes);
  uint32x4_t steps[kPlanes];
  EDGEQ_UNROLL
  for (int p = 0; p < kPlanes; ++p) {
    const float32x4_t coefficient = load_4_halfs(coefficients + 128 * p);
    zero = vsubq_f32(zero, coefficient);
    steps[p] = vreinterpretq_u32_f32(vaddq_f32(coefficient, coefficient));
  }
  const std::uint8_t* line = tile + block.lines;
  out += 4 * part;
  for (std::size_t k = 0; k < block.size; k += kBcqRun, line += kPlanes * kBcqTileRows) {
    uint32x4_t codes[kPlanes];
    EDGEQ_UNROLL
    for (int p = 0; p < kPlanes; ++p)
      codes[p] = load_rows(line + 64 * p, part);
    EDGEQ_UNROLL
    for (int bit = 0; bit < 8; ++bit, out += kBcqTileRows) {
      float32x4_t weights = zero;
      EDGEQ_UNROLL
      for (int p = 0; p < kPlanes; ++p) {
        const uint32x4_t set = vtstq_u32(codes[p], vdupq_n_u32(1U << bit));
        weights = vaddq_f32(weights, vreinterpretq_f32_u32(vandq_u32(set, steps[p])));
      }
      vst1q_f32(out, weights);
    }
  }
}

/// `x` is [count][Tokens].
template <int Tokens> void multiply_tokens(const float* weights, std::size_t count, const float* x, float* sums) {
  constexpr int kVectors = Tokens <= 4 ? 4 : 2;
  for (std::size_t row = 0; row < kBcqTileRows; row += 4 * kVectors)
    multiply_rows<Tokens, kVectors, kBcqTileRows>(
        weights + row, count,
        [&](std::size_t k, int t)
            __attribute__((always_inline)) { return x[k * Tokens + static_cast<std::size_t>(t)]; },
        sums + row);
}

struct Kernel {
  static constexpr std::size_t kTokens = 8;

  EDGEQ_MEMBER static void decode(const BcqBlock& block, std::size_t planes, const std::uint8_t* tile, float* out) {
    constexpr void (*by_planes[])(const BcqBlock&, int, const std::uint8_t*, float*) = {decode_rows<1>, decode_rows<2>,
                                                                                        decode_rows<3>, decode_rows<4>};
    for (int part = 0; part < 16; ++part)
      by_planes[planes - 1](block, part, tile, out);
  }

  EDGEQ_MEMBER static void multiply(const float* weights, std::size_t count, const float* x, std::size_t tokens,
                                    float* sums) {
    constexpr void (*by_tokens[])(const float*, std::size_t, const float*, float*) = {
        multiply_tokens<1>, multiply_tokens<2>, multiply_tokens<3>, multiply_tokens<4>,
        multiply_tokens<5>, multiply_tokens<6>, multiply_tokens<7>, multiply_tokens<8>};
    by_tokens[tokens - 1](weights, count, x, sums);
  }
};

} // namespace

void matmul_f32_f32_bcq_8x8_neon(const MatmulBcq& product, std::size_t first_tile, std::size_t last_tile) {
  matmul_bcq_tiles<Kernel>(product, first_tile, last_tile);
}

} // namespace edgeq::kernels
