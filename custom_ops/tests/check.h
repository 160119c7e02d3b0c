// SPDX-License-Identifier: Apache-2.0
// The smallest test harness: CHECK survives NDEBUG, says what failed for which case, and counts.
#pragma once

#include <cstdio>
#include <string>

namespace edgeq::tests {

inline int failures = 0;
inline int checks = 0;

inline void check(bool passed, const char* condition, const char* file, int line, const std::string& context) {
  ++checks;
  if (passed)
    return;
  if (++failures <= 20)
    std::fprintf(stderr, "%s:%d: %s failed %s\n", file, line, condition, context.c_str());
}

/// The test program's exit status: 0 when there were checks and all passed.
inline int report() {
  std::printf("%d checks, %d failures\n", checks, failures);
  return checks > 0 && failures == 0 ? 0 : 1;
}

} // namespace edgeq::tests

#define CHECK(condition, context) ::edgeq::tests::check((condition), #condition, __FILE__, __LINE__, (context))
