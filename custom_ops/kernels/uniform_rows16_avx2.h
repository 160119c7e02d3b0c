// SPDX-License-Identifier: Apache-2.0
// One to four tokens by 16 rows in vectors of 256 bits. Included by one source per instruction set.
#pragma once

#include "matmul_a8_driver.h"
#include "uniform_dispatch.h"
#include "uniform_lines.h"
#include "vector_avx2.h"

namespace edgeq::kernels {
namespace {

constexpr std::size_t kRun = 32; // inputs multiplied at once

/// Products: the exact sums of one activation block for both halves of the row block; constructed from the sums of the
/// tokens' activations, add_run() adds a run's products. Of `dint` with stored zero points, zeros_of_codes() makes what
/// add_run() takes from Lines::zeros(), and zeros_of_sums() what its sums have too much per activation.
template <template <int, bool, int, int> class Products, int Bits, bool ZeroPoint, int Dint, int Tokens>
struct RegisterBlock {
  using Lines = UniformLines<Vector256, Bits, ZeroPoint, Dint>;
  using Sums = Products<Bits, ZeroPoint, Dint, Tokens>;

  /// What is subtracted from the sums, per activation, where zero points are stored.
  EDGEQ_MEMBER static __m256 zeros_of_sums(const std::uint8_t* zeros) {
    const __m256 zero = _mm256_cvtepi32_ps(load_8_bytes_as_int32(zeros));
    return Dint ? Sums::zeros_of_sums(zero) : zero;
  }

  EDGEQ_MEMBER static __m256i zeros_of_codes(const std::uint8_t* zeros) {
    return ZeroPoint && Dint ? Sums::zeros_of_codes(Lines::zeros(zeros)) : _mm256_setzero_si256();
  }

  /// The row block's lines of one run of inputs: every other chunk.
  EDGEQ_MEMBER static void prefetch_run(const std::uint8_t* lines) {
    constexpr std::size_t kChunk = UniformFields<Bits>::kChunkBytes;
    EDGEQ_UNROLL for (std::size_t i = 0; i < 4 * Bits * kRun; i += 2 * kChunk) prefetch_stream(lines + i, kChunk);
  }

  /// Adds the products of one activation block to the 16 rows of row block b of y, [tokens][32].
  EDGEQ_MEMBER static void add_block(const A8Inputs& inputs, std::size_t b, float* y) {
    const std::uint8_t* lines = inputs.codes + b * UniformFields<Bits>::kChunkBytes;
    const std::uint8_t *trailer = inputs.trailer + 32 * b, *zeros = inputs.trailer + 64 + 16 * b;
    const std::int8_t* x = inputs.x;
    Sums products(inputs.sums);
    const __m256i zeros_of[2] = {zeros_of_codes(zeros), zeros_of_codes(zeros + 8)};
    for (std::size_t k = 0; k < inputs.count; k += kRun, lines += 4 * Bits * kRun, x += Tokens * kRun) {
      prefetch_run(lines);
      products.add_run(lines, zeros_of, x);
    }
    prefetch_stream(trailer, 64);
    EDGEQ_UNROLL for (int h = 0; h < 2; ++h) {
      const __m256 scale = _mm256_mul_ps(load_8_halfs(trailer + 16 * h), _mm256_set1_ps(dint_unit(Dint)));
      const __m256 zero = ZeroPoint ? zeros_of_sums(zeros + 8 * h) : _mm256_setzero_ps();
      EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) {
        float* rows = y + 32 * t + 16 * b + 8 * h;
        __m256 product = _mm256_cvtepi32_ps(products.sum(t, h));
        if (ZeroPoint)
          product = _mm256_fnmadd_ps(zero, _mm256_set1_ps(static_cast<float>(inputs.sums[t])), product);
        product = _mm256_mul_ps(product, scale);
        _mm256_storeu_ps(rows, _mm256_fmadd_ps(product, _mm256_set1_ps(inputs.scales[t]), _mm256_loadu_ps(rows)));
      }
    }
  }

  static void run(const A8Block& block) {
    for_each_activation_block<Tokens>(block, [&](const A8Inputs& inputs) {
      // The second row block's lines come from the first-level cache.
      for (std::size_t b = 0; b < 2; ++b)
        add_block(inputs, b, block.y);
    });
  }
};

template <template <int, bool, int, int> class Products, int Bits, bool ZeroPoint, int Dint> struct FewTokens {
  static constexpr std::size_t kTokens = 4;

  static void run(const A8Block& block, std::size_t tokens) {
    switch (tokens) {
    case 1:
      return RegisterBlock<Products, Bits, ZeroPoint, Dint, 1>::run(block);
    case 2:
      return RegisterBlock<Products, Bits, ZeroPoint, Dint, 2>::run(block);
    case 3:
      return RegisterBlock<Products, Bits, ZeroPoint, Dint, 3>::run(block);
    default:
      return RegisterBlock<Products, Bits, ZeroPoint, Dint, 4>::run(block);
    }
  }
};

} // namespace
} // namespace edgeq::kernels
