# SPDX-License-Identifier: Apache-2.0
"""A session that an application closes while the process ends."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import onnxruntime
import pytest

import edgeq_ops
from edgeq.formats.uniform import UniformFormat
from tests.custom_ops.graphs import dint_gemm_model, random_uniform

ROOT = Path(__file__).resolve().parents[2]
# What is freed is overwritten at once (GNU C library; others ignore it).
OVERWRITING = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0:glibc.malloc.perturb=165"}


def runtime_library() -> Path:
    libraries = sorted((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*"))
    if not libraries:
        pytest.skip("this release of onnxruntime has no libonnxruntime.so")
    return libraries[0]


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_a_global_session_is_closed_after_static_objects_of_the_library(tmp_path: Path) -> None:
    program, model = tmp_path / "closed_at_exit", tmp_path / "model.onnx"
    runtime = runtime_library()
    source = Path(__file__).with_name("closed_at_exit.cc")
    subprocess.run(["g++", "-std=c++17", f"-I{ROOT}", "-o", str(program), str(source), "-ldl"], check=True)
    form = UniformFormat(4, 32)
    model.write_bytes(dint_gemm_model(form, random_uniform(form, 64, 64), 8))
    command = [str(program), str(runtime), str(edgeq_ops.library_path()), str(model)]
    done = subprocess.run(command, env=os.environ | OVERWRITING, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "closed\n"), done.stderr
