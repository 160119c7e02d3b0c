# SPDX-License-Identifier: Apache-2.0
"""Our declarations of ONNX Runtime's C ABI against the official header, where one is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEADERS = ("onnxruntime_c_api.h", "onnxruntime/onnxruntime_c_api.h", "onnxruntime/core/session/onnxruntime_c_api.h")
# Where our name is not the official one without underscores.
RENAMED = {
    "KernelInfoGetAttributeInt64": "KernelInfoGetAttribute_int64",
    "KernelInfoGetAttributeString": "KernelInfoGetAttribute_string",
    "KernelInfoGetConstantInputTensor": "KernelInfoGetConstantInput_tensor",
}


def official_header() -> Path:
    for directory in ("/usr/include", "/usr/local/include"):
        for name in HEADERS:
            if (Path(directory) / name).is_file():
                return Path(directory) / name
    pytest.skip("no onnxruntime_c_api.h is installed (Debian: libonnxruntime-dev)")


def our_slots() -> dict[str, int]:
    text = (ROOT / "custom_ops" / "ort" / "abi.h").read_text()
    slots = {name: int(index) for name, index in re.findall(r"\b(\w+)\s*\{(\d+)\};", text)}
    assert len(slots) > 25
    return slots


def test_slots_are_distinct_and_in_order() -> None:
    indices = list(our_slots().values())
    assert indices == sorted(set(indices))


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_slots_and_operator_structure(tmp_path: Path) -> None:
    header = official_header()
    names = re.findall(r"\b(\w+)\s*[,)]", header.read_text())
    official = {name.replace("_", ""): name for name in names} | RENAMED
    lines = ["#include <cstddef>", f'#include "{header}"', '#include "custom_ops/ort/abi.h"']
    for ours, slot in our_slots().items():
        lines.append(
            f'static_assert(offsetof(OrtApi, {official.get(ours, ours)}) == {slot} * sizeof(void*), "{ours}");'
        )
    lines.append("using Ours = edgeq::ort::OrtCustomOp;")
    members = re.findall(r"\(\*(\w+)\)\(const OrtCustomOp", (ROOT / "custom_ops" / "ort" / "abi.h").read_text())
    lines += [f'static_assert(offsetof(OrtCustomOp, {name}) == offsetof(Ours, {name}), "{name}");' for name in members]
    source = tmp_path / "abi.cc"
    source.write_text("\n".join(lines) + "\n")
    subprocess.run(["g++", "-std=c++20", "-fsyntax-only", f"-I{ROOT}", str(source)], check=True)
