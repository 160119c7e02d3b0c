// SPDX-License-Identifier: Apache-2.0
#include "build_lut_blocks.h"
#include "constants.h"
#include "neon.h"

namespace edgeq::kernels {
namespace {

/// The 16 sums of a run, four entries to a vector: the signs of x[0] and x[1] change inside it, those of x[2] and x[3]
/// from vector to vector. Products with ±1 are exact, so fused sums round like plain ones.
struct SignedSums {
  float32x4_t entries[4];

  EDGEQ_MEMBER explicit SignedSums(const float* x) {
    const float32x4_t alternate = {-1, 1, -1, 1}, halves = {-1, -1, 1, 1};
    const float32x4_t inner = vfmaq_n_f32(vmulq_n_f32(alternate, x[0]), halves, x[1]);
    const float32x4_t third = vdupq_n_f32(x[2]), fourth = vdupq_n_f32(x[3]);
    const float32x4_t minus = vsubq_f32(inner, third), plus = vaddq_f32(inner, third);
    entries[0] = vsubq_f32(minus, fourth);
    entries[1] = vsubq_f32(plus, fourth);
    entries[2] = vaddq_f32(minus, fourth);
    entries[3] = vaddq_f32(plus, fourth);
  }
};

LutScale measure(const float* x, std::size_t size, std::size_t table_bits) {
  float32x4_t largest = vdupq_n_f32(0), sum[4] = {largest, largest, largest, largest};
  for (std::size_t k = 0; k < size; k += 4) { // the other half of the entries are these with the other sign
    const SignedSums run(x + k);
    largest = vmaxq_f32(largest, vmaxq_f32(vabsq_f32(run.entries[2]), vabsq_f32(run.entries[3])));
  }
  for (std::size_t k = 0; k < size; k += 16)
    EDGEQ_UNROLL
  for (int i = 0; i < 4; ++i)
    sum[i] = vaddq_f32(sum[i], vld1q_f32(x + k + 4 * i));
  float lanes[16];
  EDGEQ_UNROLL
  for (int i = 0; i < 4; ++i)
    vst1q_f32(lanes + 4 * i, sum[i]);
  return lut_scale(vmaxvq_f32(largest), add_lanes(lanes), table_bits);
}

/// Sixteen entries of at most 16 bits as their low and their high bytes.
EDGEQ_INLINE void store(const int32x4_t (&entry)[4], std::size_t table_bits, std::uint8_t* low) {
  const int16x8_t words[2] = {vuzp1q_s16(vreinterpretq_s16_s32(entry[0]), vreinterpretq_s16_s32(entry[1])),
                              vuzp1q_s16(vreinterpretq_s16_s32(entry[2]), vreinterpretq_s16_s32(entry[3]))};
  const uint8x16_t first = vreinterpretq_u8_s16(words[0]), second = vreinterpretq_u8_s16(words[1]);
  const uint8x16_t sign = vdupq_n_u8(128); // adds 2^(table_bits - 1)
  if (table_bits == 8)
    return vst1q_u8(low, veorq_u8(vuzp1q_u8(first, second), sign));
  vst1q_u8(low, vuzp1q_u8(first, second));
  vst1q_u8(low + 64, veorq_u8(vuzp2q_u8(first, second), sign));
}

void build_block(const float* x, std::size_t size, std::size_t table_bits, std::uint8_t* entries, LutBlock* block) {
  const LutScale scale = measure(x, size, table_bits);
  *block = scale.block;
  for (std::size_t run = 0; run < size / 4; ++run) {
    const SignedSums sums(x + 4 * run);
    int32x4_t entry[4];
    EDGEQ_UNROLL
    for (int i = 0; i < 4; ++i) // NaN times zero, where a block is not finite, converts to 0
      entry[i] = vcvtnq_s32_f32(vmulq_n_f32(sums.entries[i], scale.factor));
    store(entry, table_bits, entries + run_offset(run, table_bits));
  }
}

} // namespace

void build_lut_neon(const float* x, const Grouping& inputs, std::size_t table_bits, std::uint8_t* entries,
                    LutBlock* blocks) {
  build_blocks(x, inputs, table_bits, entries, blocks,
               [&](const float* block_x, std::size_t size, std::uint8_t* block_entries, LutBlock* block) {
                 build_block(block_x, size, table_bits, block_entries, block);
               });
}

} // namespace edgeq::kernels
