// SPDX-License-Identifier: Apache-2.0
// Four tokens by 16 rows with vpmaddubsw: unsigned codes times signed activations to 16 bits, as many sums as fit.
// 8-bit codes would not fit, see multiply_bytes().
#include "matmul_a8_driver.h"
#include "matmul_u8_pairs_block.h"
#include "uniform_dispatch.h"
#include "uniform_lines.h"
#include "vector_avx2.h"

namespace edgeq::kernels {
namespace {

constexpr std::size_t kRun = 32; // inputs summed in 16 bits

template <int Tokens> using Sums = __m256i[Tokens][2]; // [token][half of the row block]

EDGEQ_INLINE __m256i widen(__m256i pairs) { return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)); }

/// Adds the products of 32 inputs, codes of at most 4 bits. `zeros` as UniformLines wants them, for both halves.
template <class Lines, bool Dint, int Tokens>
EDGEQ_INLINE void multiply_codes(const std::uint8_t* lines, const __m256i (&zeros)[2], const std::int8_t* x,
                                 Sums<Tokens>& acc) {
  constexpr int kSteps = pair_steps(Dint ? Lines::kLargest : 15);
  __m256i pairs[Tokens][2];
  EDGEQ_UNROLL for (int step = 0; step < 8; ++step) {
    const int chunk = step / Lines::kFields, f = step % Lines::kFields;
    const std::uint8_t* line = lines + chunk * 2 * static_cast<int>(Lines::Fields::kChunkBytes);
    __m256i codes[2];
    EDGEQ_UNROLL for (int h = 0; h < 2; ++h) codes[h] =
        Dint ? Lines::bytes(line + 32 * h, f, zeros[h]) : Lines::codes(line + 32 * h, f);
    EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) {
      const __m256i activations = broadcast4_avx2(x + 4 * (step * Tokens + t));
      EDGEQ_UNROLL for (int h = 0; h < 2; ++h) {
        const __m256i product = _mm256_maddubs_epi16(codes[h], activations);
        pairs[t][h] = step % kSteps == 0 ? product : _mm256_add_epi16(pairs[t][h], product);
        if (step % kSteps == kSteps - 1)
          acc[t][h] = _mm256_add_epi32(acc[t][h], widen(pairs[t][h]));
      }
    }
  }
}

/// The same for bytes, less 128: |w| times x with the sign of w. 2 · 128 · 127 fits into 16 bits, and x, never -128,
/// can be negated.
template <int Tokens>
EDGEQ_INLINE void multiply_bytes(const std::uint8_t* lines, const std::int8_t* x, Sums<Tokens>& acc) {
  for (int step = 0; step < 8; ++step, lines += 128, x += 4 * Tokens) {
    EDGEQ_UNROLL for (int h = 0; h < 2; ++h) {
      const __m256i centred = _mm256_xor_si256(load_half_line(lines + 32 * h), _mm256_set1_epi8(-128));
      const __m256i magnitude = _mm256_abs_epi8(centred);
      EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) {
        const __m256i activations = _mm256_sign_epi8(broadcast4_avx2(x + 4 * t), centred);
        acc[t][h] = _mm256_add_epi32(acc[t][h], widen(_mm256_maddubs_epi16(magnitude, activations)));
      }
    }
  }
}

template <int Bits, bool ZeroPoint, bool Dint, int Tokens> struct RegisterBlock {
  using Lines = UniformLines<Vector256, Bits, ZeroPoint, Dint>;
  static constexpr bool kZeros = ZeroPoint && !Dint; // subtracted from the sums
  // What the codes that the multiplication sees lack: they are centred for bytes, not centred otherwise.
  static constexpr int kOffset = Bits == 8 ? (ZeroPoint ? 128 : 0) : (kZeros ? 0 : -Lines::kCentre);

  /// The row block's lines of one run of inputs: every other chunk.
  EDGEQ_MEMBER static void prefetch_run(const std::uint8_t* lines) {
    constexpr std::size_t kChunk = UniformFields<Bits>::kChunkBytes;
    EDGEQ_UNROLL for (std::size_t i = 0; i < 4 * Bits * kRun; i += 2 * kChunk) prefetch_stream(lines + i, kChunk);
  }

  /// Adds the products of `count` inputs to 16 rows of y, [tokens][32]. `trailer` points at the rows' scales.
  EDGEQ_MEMBER static void add_block(const std::uint8_t* lines, std::size_t count, const std::int8_t* x,
                                     const float* scales, const std::int32_t* sums, const std::uint8_t* trailer,
                                     const std::uint8_t* zeros, float* y) {
    Sums<Tokens> acc;
    EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) acc[t][0] = acc[t][1] = _mm256_set1_epi32(kOffset * sums[t]);
    const __m256i zeros_of[2] = {Lines::zeros(ZeroPoint ? zeros : trailer),
                                 Lines::zeros(ZeroPoint ? zeros + 8 : trailer)};
    for (std::size_t k = 0; k < count; k += kRun, lines += 4 * Bits * kRun, x += Tokens * kRun) {
      if (Tokens == 1)
        prefetch_run(lines);
      if constexpr (Bits == 8)
        multiply_bytes<Tokens>(lines, x, acc);
      else
        multiply_codes<Lines, Dint, Tokens>(lines, zeros_of, x, acc);
    }
    EDGEQ_UNROLL for (int h = 0; h < 2; ++h) {
      const __m256 scale = _mm256_mul_ps(load_8_halfs(trailer + 16 * h), _mm256_set1_ps(Dint ? 0.5F : 1.0F));
      const __m256 zero = kZeros ? _mm256_cvtepi32_ps(load_8_bytes_as_int32(zeros + 8 * h)) : _mm256_setzero_ps();
      EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) {
        float* rows = y + 32 * t + 8 * h;
        __m256 product = _mm256_cvtepi32_ps(acc[t][h]);
        if (kZeros)
          product = _mm256_fnmadd_ps(zero, _mm256_set1_ps(static_cast<float>(sums[t])), product);
        product = _mm256_mul_ps(product, scale);
        _mm256_storeu_ps(rows, _mm256_fmadd_ps(product, _mm256_set1_ps(scales[t]), _mm256_loadu_ps(rows)));
      }
    }
  }

  static void run(const A8Block& block) {
    const UniformLayout layout = *block.layout;
    const std::uint8_t* codes = block.tile + layout.code_offset(block.begin);
    const std::int8_t* x = block.codes;
    const float* scales = block.scales;
    const std::int32_t* sums = block.sums;
    for (std::size_t k = block.begin; k < block.end;) {
      const std::size_t group_end = layout.inputs.group_end(k / layout.inputs.group_size);
      const std::uint8_t* trailer = codes + layout.code_bytes(group_end - k);
      for (const std::size_t stop = smaller(group_end, block.end); k < stop; scales += Tokens, sums += Tokens) {
        const std::size_t count = smaller(kActivationBlock, stop - k);
        // The second row block's lines come from the first-level cache.
        for (std::size_t b = 0; b < 2; ++b)
          add_block(codes + b * UniformFields<Bits>::kChunkBytes, count, x, scales, sums, trailer + 32 * b,
                    trailer + 64 + 16 * b, block.y + 16 * b);
        k += count;
        codes += 4 * Bits * count;
        x += Tokens * count;
      }
      codes = trailer + layout.trailer_bytes();
    }
  }
};

template <int Bits, bool ZeroPoint, bool Dint> struct Avx2 {
  static constexpr std::size_t kTokens = 4;

  static void run(const A8Block& block, std::size_t tokens) {
    switch (tokens) {
    case 1:
      return RegisterBlock<Bits, ZeroPoint, Dint, 1>::run(block);
    case 2:
      return RegisterBlock<Bits, ZeroPoint, Dint, 2>::run(block);
    case 3:
      return RegisterBlock<Bits, ZeroPoint, Dint, 3>::run(block);
    default:
      return RegisterBlock<Bits, ZeroPoint, Dint, 4>::run(block);
    }
  }
};

} // namespace

void matmul_f32_a8_uniform_4x16_avx2(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  for_format<Avx2>(product.layout, [&](auto kernel) __attribute__((always_inline)) {
    matmul_a8_tiles<decltype(kernel)>(product, first_tile, last_tile);
  });
}

} // namespace edgeq::kernels
