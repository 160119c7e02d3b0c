# SPDX-License-Identifier: Apache-2.0
# 64-bit ARM Linux with glibc 2.28 or newer. With -DEDGEQ_ZIG=<executable of Zig> by Zig, else by the system's g++.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
if(EDGEQ_ZIG)
  set(EDGEQ_ZIG_TARGET aarch64-linux-gnu.2.28)
  include(${CMAKE_CURRENT_LIST_DIR}/zig.cmake)
else()
  set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
endif()
set(EDGEQ_QEMU qemu-aarch64)
if(NOT EDGEQ_SYSROOT) # where Debian's cross compiler has it
  set(EDGEQ_SYSROOT /usr/aarch64-linux-gnu)
endif()
include(${CMAKE_CURRENT_LIST_DIR}/emulator.cmake)
