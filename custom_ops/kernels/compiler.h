// SPDX-License-Identifier: Apache-2.0
// For kernel sources, which are compiled for one instruction set each. A non-static inline function or template of
// the standard library would be emitted in several of them, and the linker might keep the copy that the CPU at hand
// cannot run. So kernel sources use only EDGEQ_INLINE functions, EDGEQ_MEMBER functions and anonymous namespaces.
#pragma once

#include <cstddef>
#include <cstdint>

#define EDGEQ_INLINE static inline __attribute__((always_inline))
#define EDGEQ_MEMBER inline __attribute__((always_inline))
#if defined(__SANITIZE_ADDRESS__)
#define EDGEQ_UNROLL // unrolled, the sanitizers' checks take minutes to compile
#else
#define EDGEQ_UNROLL _Pragma("GCC unroll 32")
#endif

namespace edgeq::kernels {

EDGEQ_INLINE std::size_t smaller(std::size_t a, std::size_t b) { return a < b ? a : b; }

} // namespace edgeq::kernels
