// SPDX-License-Identifier: Apache-2.0
// What the machine can do at most: bytes read per second, int8 multiply-accumulates and float32 fused multiply-adds
// per second. Compiled for the machine it runs on by roofline.py.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace {

using Words = std::uint64_t __attribute__((vector_size(64), aligned(64)));
constexpr std::size_t kAhead = 4096; // bytes; hardware prefetchers stop at every page

/// Reads [begin, end), a multiple of 256 bytes.
std::uint64_t read_bytes(const unsigned char* begin, const unsigned char* end) {
  Words a{}, b{}, c{}, d{};
  for (const unsigned char* p = begin; p != end; p += 256) {
    const auto* words = reinterpret_cast<const Words*>(p);
    for (std::size_t line = 0; line < 256; line += 64)
      __builtin_prefetch(p + kAhead + line);
    a ^= words[0], b ^= words[1], c ^= words[2], d ^= words[3];
  }
  a ^= b ^ c ^ d;
  return a[0] ^ a[1] ^ a[2] ^ a[3] ^ a[4] ^ a[5] ^ a[6] ^ a[7];
}

// One step is kChains independent products of a register; the compiler must keep each.
#if defined(__AVX512VNNI__)
using Dot = __m512i;
Dot dot(Dot sum, Dot a, Dot b) { return _mm512_dpbusd_epi32(sum, a, b); }
Dot filled() { return _mm512_set1_epi8(1); }
constexpr const char* kInstruction = "vpdpbusd, 512 bits";
#elif defined(__AVXVNNI__)
using Dot = __m256i;
Dot dot(Dot sum, Dot a, Dot b) { return _mm256_dpbusd_avx_epi32(sum, a, b); }
Dot filled() { return _mm256_set1_epi8(1); }
constexpr const char* kInstruction = "vpdpbusd, 256 bits";
#elif defined(__AVX2__)
using Dot = __m256i;
Dot dot(Dot sum, Dot a, Dot b) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), _mm256_set1_epi16(1)));
}
Dot filled() { return _mm256_set1_epi8(1); }
constexpr const char* kInstruction = "vpmaddubsw and vpmaddwd, 256 bits";
#elif defined(__ARM_FEATURE_DOTPROD)
using Dot = int32x4_t;
Dot dot(Dot sum, Dot a, Dot b) { return vdotq_s32(sum, vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b)); }
Dot filled() { return vreinterpretq_s32_s8(vdupq_n_s8(1)); }
constexpr const char* kInstruction = "sdot, 128 bits";
#else
using Dot = std::int32_t __attribute__((vector_size(16)));
Dot dot(Dot sum, Dot a, Dot b) { return sum + a * b; }
Dot filled() { return Dot{1, 1, 1, 1}; }
constexpr const char* kInstruction = "32-bit multiplication, 128 bits";
#endif
constexpr std::size_t kChains = 12;
constexpr std::size_t kProducts = sizeof(Dot); // int8 products of a step of one chain

std::int32_t multiply_int8(std::size_t steps) {
  Dot sums[kChains] = {}, a = filled(), b = filled();
  for (std::size_t step = 0; step < steps; ++step) {
#pragma GCC unroll 12 // all sums in registers
    for (std::size_t i = 0; i < kChains; ++i)
      sums[i] = dot(sums[i], a, b);
#if defined(__x86_64__)
    asm volatile("" : "+v"(a), "+v"(b)); // neither is known to be the same in the next step
#else
    asm volatile("" : "+w"(a), "+w"(b));
#endif
  }
  std::int32_t result = 0;
  for (const Dot& sum : sums) {
    std::int32_t first = 0;
    std::memcpy(&first, &sum, sizeof first);
    result ^= first;
  }
  return result;
}

#if defined(__AMX_INT8__)
/// Products of tile registers, 16 x 64 by 64 x 16 bytes, four at a time; false where the system refuses them.
bool multiply_tiles(std::size_t steps) {
  struct alignas(64) {
    std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
    std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } config;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  if (syscall(SYS_arch_prctl, kRequestPermission, kTileData) != 0)
    return false;
  _tile_loadconfig(&config);
  for (std::size_t step = 0; step < steps; ++step) {
    _tile_dpbusd(0, 4, 6);
    _tile_dpbusd(1, 4, 7);
    _tile_dpbusd(2, 5, 6);
    _tile_dpbusd(3, 5, 7);
  }
  _tile_release();
  return true;
}
#else
bool multiply_tiles(std::size_t) { return false; }
#endif

template <class Task> void on_threads(std::size_t threads, const Task& task) {
  std::vector<std::thread> others;
  for (std::size_t t = 1; t < threads; ++t)
    others.emplace_back(task, t);
  task(std::size_t{0});
  for (std::thread& other : others)
    other.join();
}

volatile std::uint64_t sink;

} // namespace

extern "C" {

/// Reads `bytes` (a multiple of 256 per thread) once, divided over threads.
void roofline_read(const unsigned char* data, std::size_t bytes, std::size_t threads) {
  const std::size_t share = bytes / threads / 256 * 256;
  on_threads(threads, [&](std::size_t t) { sink = read_bytes(data + t * share, data + (t + 1) * share); });
}

/// Does `steps` steps on every thread; returns the multiply-accumulates of one thread.
double roofline_int8(std::size_t steps, std::size_t threads) {
  on_threads(threads, [&](std::size_t) { sink = static_cast<std::uint64_t>(multiply_int8(steps)); });
  return static_cast<double>(steps * kChains * kProducts);
}

/// The same with matrix units, in steps of 4 products of tiles; 0 where there are none.
double roofline_matrix(std::size_t steps, std::size_t threads) {
  std::atomic<bool> works{true};
  on_threads(threads, [&](std::size_t) {
    if (!multiply_tiles(steps))
      works = false;
  });
  return works ? static_cast<double>(steps * 4 * 16 * 16 * 64) : 0.0;
}

/// The instruction that roofline_int8 uses.
const char* roofline_instruction() { return kInstruction; }
}
