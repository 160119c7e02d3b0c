// SPDX-License-Identifier: Apache-2.0
// The smallest test harness: CHECK survives NDEBUG, says what failed for which case, and counts.
#pragma once

#include <cstdio>
#include <string>

namespace edgeq::tests {

inline int failures = 0;
inline int checks = 0;

inline void pass() { ++checks; }

inline void fail(const char* condition, const char* file, int line, const std::string& context) {
  ++checks;
  if (++failures <= 20)
    std::fprintf(stderr, "%s:%d: %s failed %s\n", file, line, condition, context.c_str());
}

/// The test program's exit status: 0 when there were checks and all passed.
inline int report() {
  std::printf("%d checks, %d failures\n", checks, failures);
  return checks > 0 && failures == 0 ? 0 : 1;
}

} // namespace edgeq::tests

// The context is made only for a failure: making it would take most of the time under an emulator.
#define CHECK(condition, context)                                                                                      \
  ((condition) ? ::edgeq::tests::pass() : ::edgeq::tests::fail(#condition, __FILE__, __LINE__, (context)))
