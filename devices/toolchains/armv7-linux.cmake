# SPDX-License-Identifier: Apache-2.0
# 32-bit ARM Linux (hard float) with glibc 2.28 or newer: only the portable kernels. As aarch64-linux.cmake.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR armv7)
if(EDGEQ_ZIG)
  set(EDGEQ_ZIG_TARGET arm-linux-gnueabihf.2.28)
  include(${CMAKE_CURRENT_LIST_DIR}/zig.cmake)
else()
  set(CMAKE_CXX_COMPILER arm-linux-gnueabihf-g++)
  set(CMAKE_CXX_FLAGS_INIT -Wno-psabi) # notes on calls from before GCC 7
endif()
set(EDGEQ_QEMU qemu-arm)
if(NOT EDGEQ_SYSROOT) # where Debian's cross compiler has it
  set(EDGEQ_SYSROOT /usr/arm-linux-gnueabihf)
endif()
include(${CMAKE_CURRENT_LIST_DIR}/emulator.cmake)
