# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import onnxruntime as ort
import pytest

import edgeq_ops
from edgeq.errors import EdgeqError


@pytest.mark.skipif(shutil.which("nm") is None, reason="needs nm of binutils")
def test_one_symbol_is_exported() -> None:
    command = ["nm", "--dynamic", "--defined-only", str(edgeq_ops.library_path())]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert [line.split()[-1] for line in lines] == ["RegisterCustomOps"]


def test_instruction_sets(isa: str) -> None:
    found = edgeq_ops.instruction_sets()
    assert found.selected == isa
    assert isa in found.available
    assert found.available[0] == "generic"


def test_the_fastest_instruction_set_is_selected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEQ_ISA", raising=False)
    found = edgeq_ops.instruction_sets()
    assert found.selected == found.available[-1]


def test_unknown_instruction_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEQ_ISA", "abacus")
    with pytest.raises(EdgeqError, match="EDGEQ_ISA: found 'abacus', wanted one that this CPU can run: generic"):
        edgeq_ops.instruction_sets()


def test_environment_names_another_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    copy = tmp_path / "copy.so"
    shutil.copy(edgeq_ops.library_path(), copy)
    monkeypatch.setenv("EDGEQ_OPS_LIBRARY", str(copy))
    assert edgeq_ops.library_path() == copy
    assert edgeq_ops.instruction_sets().available
    monkeypatch.setenv("EDGEQ_OPS_LIBRARY", str(tmp_path / "none.so"))
    with pytest.raises(EdgeqError, match=r"EDGEQ_OPS_LIBRARY: no such operator library, found .*none\.so"):
        edgeq_ops.library_path()


def test_library_in_the_working_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shutil.copy(edgeq_ops.library_path(), tmp_path / "copy.so")
    monkeypatch.chdir(tmp_path)
    edgeq_ops.register(ort.SessionOptions(), Path("copy.so"))


def test_missing_library(tmp_path: Path) -> None:
    with pytest.raises(EdgeqError, match=r"absent\.so: no such operator library"):
        edgeq_ops.register(ort.SessionOptions(), tmp_path / "absent.so")


@pytest.mark.parametrize("content", [b"", b"not a library", b"\x7fELF\x02\x01\x01" + bytes(200)])
def test_what_is_no_library(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.so"
    path.write_bytes(content)
    with pytest.raises(EdgeqError, match=r"broken\.so: the operator library cannot be loaded"):
        edgeq_ops.register(ort.SessionOptions(), path)


def test_several_registrations_in_one_process() -> None:
    for _ in range(3):
        options = ort.SessionOptions()
        edgeq_ops.register(options)
        del options
    assert edgeq_ops.instruction_sets().available
