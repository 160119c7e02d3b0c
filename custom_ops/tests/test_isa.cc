// SPDX-License-Identifier: Apache-2.0
// Choice of the instruction set, and the environment variable that overrides it.
#include "check.h"

#include "kernels/isa.h"

#include <cstdlib>
#include <cstring>
#include <stdexcept>

using namespace edgeq::kernels;

int main() {
  const std::vector<Isa> available = available_isas();
  CHECK(available.front() == Isa::generic, "the reference runs everywhere");
  if (const char* fastest = std::getenv("EDGEQ_FASTEST_ISA")) // under an emulator, what its CPU has
    CHECK(std::strcmp(isa_name(available.back()), fastest) == 0, isa_name(available.back()));
  unsetenv("EDGEQ_ISA");
  CHECK(selected_isa() == available.back(), "the fastest by default");
  for (Isa isa : available) {
    setenv("EDGEQ_ISA", isa_name(isa), 1);
    CHECK(selected_isa() == isa, isa_name(isa));
  }
  setenv("EDGEQ_ISA", "abacus", 1);
  try {
    selected_isa();
    CHECK(false, "an unknown name is an error");
  } catch (const std::invalid_argument& error) {
    CHECK(std::strstr(error.what(), "abacus") != nullptr && std::strstr(error.what(), "generic") != nullptr,
          error.what());
  }
  return edgeq::tests::report();
}
