// SPDX-License-Identifier: Apache-2.0
// Up to four tokens by 32 rows: codes become floats in registers, by one look-up in a table of 16 floats, and are
// multiplied at once; scales and zero points wait for the end of a block.
#include "dint_gemm.h"
#include "uniform_dispatch.h"
#include "uniform_lines.h"
#include "vector_avx512.h"

namespace edgeq::kernels {
namespace {

constexpr std::size_t kStreams = 2; // tiles that are read in turns: the memory likes several streams
constexpr std::size_t kAhead = 2048;

/// Steps of each code, steps of the code above it, and 1 for codes that a zero point moves; indices are taken modulo
/// 2^Bits.
template <int Bits, bool ZeroPoint, int Dint> struct StepTable {
  alignas(64) float steps[16] = {};
  alignas(64) float upper[16] = {}; // 2 bits
  alignas(64) float moved[16] = {};
  constexpr StepTable() {
    for (int i = 0; i < 16; ++i) {
      const int code = i % (1 << (Bits == 8 ? 4 : Bits)), zero = ZeroPoint ? 0 : implied_zero_point(Bits, Dint);
      steps[i] = Dint ? dint_unit(Dint) * static_cast<float>(dint_units(code, Bits, zero, Dint))
                      : static_cast<float>(code - zero);
      upper[i] = static_cast<float>(i / 4 - zero);
      moved[i] = Dint && code >= (1 << Bits) - 2 ? 0.0F : 1.0F;
    }
  }
};

/// The activations of a block.
struct Inputs {
  const float* x; // [token][stride]
  std::size_t stride;
  std::size_t count;
};

template <int Bits, bool ZeroPoint, int Dint, int Tokens> struct RegisterBlock {
  using Lines = UniformLines<Vector512, Bits, ZeroPoint, Dint>;
  using Fields = UniformFields<Bits>;
  static constexpr StepTable<Bits, ZeroPoint, Dint> kTable{};
  static constexpr bool kMoved = ZeroPoint && Dint; // some codes only are moved by the zero point
  // 2 bits, one token: an index of two codes looks up the sum of their products.
  static constexpr bool kPairs = Bits == 2 && Tokens == 1;
  static constexpr int kChains = Tokens == 1 ? 4 : Tokens == 2 ? 2 : 1;

  /// The index of input `j` of the lanes of `line`, in their lower bits.
  EDGEQ_MEMBER static __m512i index(__m512i line, int f, int j) {
    const int bit = 8 * j + (Bits == 3 ? 3 * (f % 2) : Bits == 8 ? 0 : Bits * f);
    return bit == 0 ? line : _mm512_srli_epi32(line, static_cast<unsigned>(bit));
  }

  /// Code less zero point of 16 rows, 8 bits.
  EDGEQ_MEMBER static __m512 wide_step(__m512i line, int j, __m512 zero) {
    constexpr int kZero = -128; // makes a byte zero
    const __m512i select = _mm512_broadcast_i32x4(
        _mm_setr_epi8(static_cast<char>(j), kZero, kZero, kZero, static_cast<char>(4 + j), kZero, kZero, kZero,
                      static_cast<char>(8 + j), kZero, kZero, kZero, static_cast<char>(12 + j), kZero, kZero, kZero));
    return _mm512_sub_ps(_mm512_cvtepi32_ps(_mm512_shuffle_epi8(line, select)), zero);
  }

  /// Adds the products of a chunk's inputs, two fields at a time.
  EDGEQ_MEMBER static void add_pairs(const std::uint8_t* codes, const float* x, __m512 (&acc)[Tokens][2][kChains]) {
    const __m512 steps = _mm512_load_ps(kTable.steps), upper = _mm512_load_ps(kTable.upper);
    const __m512i lines[2] = {Lines::field_line(codes, 0), Lines::field_line(codes + Fields::kChunkBytes, 0)};
    EDGEQ_UNROLL for (int f = 0; f < Lines::kFields; f += 2) EDGEQ_UNROLL for (int j = 0; j < 4; ++j) {
      const __m512 products =
          _mm512_fmadd_ps(upper, _mm512_set1_ps(x[4 * f + 4 + j]), _mm512_mul_ps(steps, _mm512_set1_ps(x[4 * f + j])));
      EDGEQ_UNROLL for (int b = 0; b < 2; ++b) acc[0][b][j % kChains] =
          _mm512_add_ps(acc[0][b][j % kChains], _mm512_permutexvar_ps(index(lines[b], f, j), products));
    }
  }

  /// Adds the products of a block's inputs to sums, [token][32 rows].
  static void add(const std::uint8_t* codes, const std::uint8_t* trailer, const Inputs& inputs, float* sums) {
    __m512 acc[Tokens][2][kChains], moved[Tokens][2], zeros[2];
    EDGEQ_UNROLL for (int b = 0; b < 2; ++b) {
      zeros[b] = ZeroPoint ? _mm512_cvtepi32_ps(load_bytes_as_int32(trailer + 64 + 16 * b)) : _mm512_set1_ps(128.0F);
      EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) {
        moved[t][b] = _mm512_setzero_ps();
        EDGEQ_UNROLL for (int c = 0; c < kChains; ++c) acc[t][b][c] = _mm512_setzero_ps();
      }
    }
    const __m512 steps = _mm512_load_ps(kTable.steps), moves = _mm512_load_ps(kTable.moved);
    const float* x = inputs.x;
    for (const float* end = x + inputs.count; x < end; x += Fields::kChunkInputs, codes += 2 * Fields::kChunkBytes) {
      EDGEQ_UNROLL for (std::size_t byte = 0; byte < 2 * Fields::kChunkBytes; byte += 64)
          __builtin_prefetch(codes + kAhead + byte);
      if constexpr (kPairs) {
        add_pairs(codes, x, acc);
        continue;
      }
      EDGEQ_UNROLL for (int f = 0; f < Lines::kFields; ++f) {
        const __m512i lines[2] = {Lines::field_line(codes, f), Lines::field_line(codes + Fields::kChunkBytes, f)};
        EDGEQ_UNROLL for (int j = 0; j < 4; ++j) EDGEQ_UNROLL for (int b = 0; b < 2; ++b) {
          const __m512i code = index(lines[b], f, j);
          const __m512 step = Bits == 8 ? wide_step(lines[b], j, zeros[b]) : _mm512_permutexvar_ps(code, steps);
          EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) {
            const __m512 activation = _mm512_set1_ps(x[static_cast<std::size_t>(t) * inputs.stride + 4 * f + j]);
            acc[t][b][j % kChains] = _mm512_fmadd_ps(step, activation, acc[t][b][j % kChains]);
            if (kMoved)
              moved[t][b] = _mm512_fmadd_ps(_mm512_permutexvar_ps(code, moves), activation, moved[t][b]);
          }
        }
      }
    }
    EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) {
      const __m512 sum = ZeroPoint && Bits != 8 && !kMoved ? sum_of(inputs, t) : _mm512_setzero_ps();
      EDGEQ_UNROLL for (int b = 0; b < 2; ++b) {
        EDGEQ_UNROLL for (int c = 1; c < kChains; ++c) acc[t][b][0] = _mm512_add_ps(acc[t][b][0], acc[t][b][c]);
        if (ZeroPoint && Bits != 8)
          acc[t][b][0] = _mm512_fnmadd_ps(zeros[b], kMoved ? moved[t][b] : sum, acc[t][b][0]);
        float* y = sums + 32 * t + 16 * b;
        _mm512_storeu_ps(y, _mm512_fmadd_ps(load_halfs(trailer + 32 * b), acc[t][b][0], _mm512_loadu_ps(y)));
      }
    }
  }

  /// The sum of a token's activations, in every lane.
  EDGEQ_MEMBER static __m512 sum_of(const Inputs& inputs, int token) {
    const float* x = inputs.x + static_cast<std::size_t>(token) * inputs.stride;
    __m512 even = _mm512_setzero_ps(), odd = even;
    for (std::size_t k = 0; k < inputs.count; k += 32) {
      even = _mm512_add_ps(even, _mm512_loadu_ps(x + k));
      odd = _mm512_add_ps(odd, _mm512_loadu_ps(x + k + 16));
    }
    return _mm512_set1_ps(_mm512_reduce_add_ps(_mm512_add_ps(even, odd)));
  }
};

/// Tokens tokens from `x` on times `count` tiles.
template <class Block, int Tokens>
void multiply_tiles(const MatmulF32& product, std::size_t token, std::size_t tile, std::size_t count) {
  const UniformLayout layout = product.layout;
  const Grouping& inputs = layout.inputs;
  const float* x = product.x + token * inputs.k;
  const std::uint8_t* weights = product.weights + tile * layout.tile_bytes();
  alignas(64) float sums[kStreams][Tokens * kUniformTileRows] = {};
  alignas(64) float padded[Tokens * kActivationBlock] = {};
  for (std::size_t k = 0, end = 0; k < inputs.padded_k; k = end) {
    end = inputs.block_end(k);
    Inputs block{x + k, inputs.k, end - k};
    if (end > inputs.k) { // zeros where weights are padding
      for (std::size_t t = 0; t < Tokens; ++t)
        __builtin_memcpy(padded + t * kActivationBlock, x + t * inputs.k + k, (inputs.k - k) * sizeof(float));
      block = {padded, kActivationBlock, end - k};
    }
    const std::size_t codes = layout.code_offset(k), trailer = layout.trailer_offset(k / inputs.group_size);
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint8_t* start = weights + i * layout.tile_bytes();
      Block::add(start + codes, start + trailer, block, sums[i]);
    }
  }
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t row = (tile + i) * kUniformTileRows, rows = smaller(kUniformTileRows, layout.n - row);
    for (std::size_t t = 0; t < Tokens; ++t)
      for (std::size_t r = 0; r < rows; ++r)
        product.y[(token + t) * layout.n + row + r] =
            sums[i][t * kUniformTileRows + r] + (product.bias == nullptr ? 0.0F : product.bias[row + r]);
  }
}

template <int Bits, bool ZeroPoint, int Dint> struct Avx512 {
  template <int Tokens>
  static void run(const MatmulF32& product, std::size_t token, std::size_t tile, std::size_t count) {
    multiply_tiles<RegisterBlock<Bits, ZeroPoint, Dint, Tokens>, Tokens>(product, token, tile, count);
  }

  static void tiles(const MatmulF32& product, std::size_t first, std::size_t last) {
    using Function = void (*)(const MatmulF32&, std::size_t, std::size_t, std::size_t);
    static constexpr Function kFunctions[] = {run<1>, run<2>, run<3>, run<4>};
    for (std::size_t tile = first; tile < last; tile += kStreams)
      for (std::size_t token = 0; token < product.tokens; token += 4)
        kFunctions[smaller(4, product.tokens - token) - 1](product, token, tile, smaller(kStreams, last - tile));
  }
};

} // namespace

void matmul_f32_f32_uniform_4x32_avx512(const MatmulF32& product, std::size_t first_tile, std::size_t last_tile) {
  for_format<Avx512>(product.layout, [&](auto kernel) __attribute__((always_inline)) {
    decltype(kernel)::tiles(product, first_tile, last_tile);
  });
}

} // namespace edgeq::kernels
