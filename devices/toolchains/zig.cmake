# SPDX-License-Identifier: Apache-2.0
# Compiles with Zig's C++ compiler (PyPI package ziglang), which brings the C library of every target along. EDGEQ_ZIG
# is its executable; the including file sets EDGEQ_ZIG_TARGET.
set(CMAKE_CXX_COMPILER ${EDGEQ_ZIG} c++ -target ${EDGEQ_ZIG_TARGET})
set(CMAKE_CXX_ARCHIVE_CREATE "${EDGEQ_ZIG} ar qc <TARGET> <OBJECTS>")
set(CMAKE_CXX_ARCHIVE_APPEND "${EDGEQ_ZIG} ar q <TARGET> <OBJECTS>")
set(CMAKE_CXX_ARCHIVE_FINISH "${EDGEQ_ZIG} ranlib <TARGET>")
