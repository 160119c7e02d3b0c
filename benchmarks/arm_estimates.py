# SPDX-License-Identifier: Apache-2.0
"""Static estimates of the ARM kernels: cycles per weight of their inner loops, by llvm-mca's models of the cores.

`python benchmarks/arm_estimates.py` compiles the kernels to assembly with the cross compiler (see
`edgeq_ops.cross_build`), finds the loop of each that multiplies or looks up, and asks llvm-mca how many cycles an
iteration takes. Such an estimate knows the core's pipelines; it assumes that all data is in the first-level cache and
knows neither memory, nor branches, nor what is outside of the loop (scales, the end of a group).
"""

from __future__ import annotations

import argparse
import itertools
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
KERNELS = ROOT / "custom_ops" / "kernels"
# LLVM describes no Cortex-A76 of its own; the Neoverse-N1 is its sibling, with the same pipelines.
CORES = {
    "neon": {"Cortex-A55": "cortex-a55", "Cortex-A72": "cortex-a72", "Cortex-A76, N1": "neoverse-n1"},
    "dotprod": {"Cortex-A55": "cortex-a55", "Cortex-A76, N1": "neoverse-n1"},
    "i8mm": {"Neoverse-N2": "neoverse-n2"},
    "bf16": {"Neoverse-N2": "neoverse-n2"},
}
FLAGS = {
    "neon": "-march=armv8-a",
    "dotprod": "-march=armv8.2-a+dotprod",
    "i8mm": "-march=armv8.2-a+dotprod+i8mm",
    "bf16": "-march=armv8.2-a+dotprod+i8mm+bf16",
}
FORMATS = {  # bits, zero points, denominator of dint
    "2 bits": "2, false, 0",
    "3 bits": "3, false, 0",
    "4 bits": "4, false, 0",
    "4 bits dint": "4, false, 2",
    "8 bits": "8, false, 0",
}
# Weights times tokens that an instruction handles; a lookup takes 4 inputs of 16 rows, of 16-bit tables in two halves.
PRODUCTS = {"sdot": 16, "smmla": 32, "smlal": 8, "smlal2": 8, "smull": 8, "smull2": 8, "fmla": 4, "bfmmla": 16}


class Kernel(NamedTuple):
    """A template instance to look at: `call` with `parameters`, which header or source `include` defines."""

    label: str
    tokens: int
    isa: str
    include: str
    call: str
    parameters: str = "const A8Block& block"
    weights: dict[str, float] = PRODUCTS


def uniform_kernels() -> list[Kernel]:
    found = []
    blocks = {"neon": ("MultiplyNeon", {1: 4, 4: 2}), "dotprod": ("MultiplyDotprod", {1: 8, 6: 4})}
    for isa, (multiply, sizes) in {**blocks, "i8mm": ("MultiplyI8mm", {8: 2})}.items():
        for tokens, quarters in sizes.items():
            for label, factors in FORMATS.items():
                call = f"NeonRegisterBlock<{multiply}, NeonFactors<{factors}>, {tokens}, {quarters}>::run(block)"
                found.append(Kernel(f"DintGemm {label}", tokens, isa, f"multiply_a8_{isa}.h", call))
    return found


def other_kernels() -> list[Kernel]:
    source, arguments = "matmul_f32_lut_bcq_4x64_neon.cc", "(planes, block, tile, tables, sums)"
    parameters = (
        "std::size_t planes, const BcqBlock& block, const std::uint8_t* tile, const BlockTables& tables, float* sums"
    )
    lookups = [
        Kernel(f"LutGemm, {bits}-bit tables, per plane", tokens, "neon", source, call + arguments, parameters, weights)
        for bits, tokens, call, weights in (
            (8, 1, "look_up<1, 4, false>", {"tbl": 64}),
            (8, 4, "look_up<4, 2, false>", {"tbl": 64}),
            (16, 1, "look_up<1, 4, true>", {"tbl": 32}),
        )
    ]
    floats = "const float* w, std::size_t count, const float* x, std::size_t stride, float* y"
    call = "multiply_tokens<8>(w, count, x, stride, y)"
    float_kernel = Kernel("float activations, decoded", 8, "neon", "f32_block_neon.h", call, floats)
    call = "Bf16Registers<8>::run(block)"
    bf16 = Kernel("bfloat16 activations, decoded", 8, "bf16", "bf16_block_bf16.h", call, "const Bf16Block& block")
    return [*lookups, float_kernel, bf16]


def tool(*names: str) -> str:
    """The first of these programs that is there."""
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    sys.exit(f"none of {', '.join(names)} was found")


def assembly(kernels: list[Kernel], directory: Path) -> str:
    """The assembly of a source with a function ``estimate_<number>`` per kernel; all have one ISA and include."""
    source = directory / "estimates.cc"
    functions = [
        f'extern "C" __attribute__((flatten, used)) void estimate_{number}({kernel.parameters}) {{ {kernel.call}; }}'
        for number, kernel in enumerate(kernels)
    ]
    lines = [f'#include "kernels/{kernels[0].include}"', "namespace edgeq::kernels {", *functions, "}"]
    source.write_text("\n".join(lines))
    options = ["-std=c++17", "-O3", "-DNDEBUG", "-fPIC", "-ffp-contract=off", FLAGS[kernels[0].isa]]
    output = source.with_suffix(".s")
    command = [tool("aarch64-linux-gnu-g++"), *options, "-I", str(KERNELS.parent), "-S", "-o", str(output), str(source)]
    subprocess.run(command, check=True)
    return output.read_text()


def function_lines(text: str, number: int) -> list[str]:
    """The lines of function ``estimate_<number>``."""
    body = re.search(rf"^estimate_{number}:\n(.*?)\.cfi_endproc", text, re.DOTALL | re.MULTILINE)
    assert body is not None
    return [line.strip() for line in body[1].splitlines()]


def inner_loops(lines: list[str]) -> list[list[str]]:
    """Bodies of the loops without a loop inside: from a label to a branch back to it."""
    places = {line[:-1]: number for number, line in enumerate(lines) if line.startswith(".L") and line.endswith(":")}
    found: list[tuple[int, int]] = []
    for number, line in enumerate(lines):
        branch = re.match(r"(?:b\.?\w+|cbn?z|tbn?z)\s.*?(\.L\w+)$", line)
        if branch and places.get(branch[1], number) < number:
            found.append((places[branch[1]], number))
    inner = [a for a in found if not any(a != b and a[0] <= b[0] and b[1] <= a[1] for b in found)]
    return [[line for line in lines[start : end + 1] if line and line[0] not in ".#/"] for start, end in inner]


def weight_of(loop: list[str], weights: dict[str, float]) -> float:
    return sum(weights.get(line.split()[0], 0) for line in loop)


def cycles(loop: list[str], core: str) -> float:
    mca = tool(*(f"llvm-mca{suffix}" for suffix in ("-22", "-21", "-20", "-19", "", "-16", "-15", "-14")))
    iterations = 200
    command = [mca, "-mtriple=aarch64", f"-mcpu={core}", "-mattr=+dotprod,+i8mm,+bf16", f"-iterations={iterations}"]
    done = subprocess.run(command, input="\n".join(loop), capture_output=True, text=True, check=True)
    total = re.search(r"Total Cycles:\s+(\d+)", done.stdout)
    assert total is not None
    return int(total[1]) / iterations


def estimate(kernel: Kernel, lines: list[str]) -> tuple[float, dict[str, float]]:
    """Instructions per weight and token, and cycles per weight and token on each core, of the kernel's main loop."""
    loop = max(inner_loops(lines), key=lambda candidate: weight_of(candidate, kernel.weights))
    weight = weight_of(loop, kernel.weights)
    return len(loop) / weight, {name: cycles(loop, core) / weight for name, core in CORES[kernel.isa].items()}


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    columns = list(dict.fromkeys(name for cores in CORES.values() for name in cores))
    print("Cycles per 64 weights and token, estimated, and instructions:\n")
    print(f"| operator | ISA | tokens | instructions | {' | '.join(columns)} |")
    print("|---" * (4 + len(columns)) + "|")
    kernels = uniform_kernels() + other_kernels()
    for _, group in itertools.groupby(kernels, key=lambda kernel: kernel.include):
        print_rows(list(group), columns)


def print_rows(kernels: list[Kernel], columns: list[str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        text = assembly(kernels, Path(directory))
    for number, kernel in enumerate(kernels):
        instructions, values = estimate(kernel, function_lines(text, number))
        cells = [f"{64 * values[name]:.2f}" if name in values else "" for name in columns]
        count = f"{64 * instructions:.1f}"
        print(f"| {kernel.label} | {kernel.isa} | {kernel.tokens} | {count} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
