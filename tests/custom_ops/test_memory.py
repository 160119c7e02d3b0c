# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from edgeq.formats.uniform import UniformFormat
from tests.custom_ops.graphs import dint_gemm_model, random_uniform

# Bytes of anonymous and file-backed memory before a session, after loading it, and after a call.
PROGRAM = """
import json, sys, numpy as np, onnxruntime as ort, edgeq_ops
def memory():
    fields = dict(line.split(":", 1) for line in open("/proc/self/status"))
    anonymous, mapped, shared = (int(fields[f"Rss{name}"].split()[0]) * 1024 for name in ("Anon", "File", "Shmem"))
    return anonymous, mapped + shared  # files of a tmpfs are shared memory
options = ort.SessionOptions(); options.intra_op_num_threads = 1; edgeq_ops.register(options)
seen = [memory()]
session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
seen.append(memory())
session.run(None, {"X": np.ones((1, 4096), np.float32)})
seen.append(memory())
print(json.dumps(seen))
"""


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="reads /proc/self/status")
def test_weights_are_used_where_they_lie(tmp_path: Path) -> None:
    form = UniformFormat(8, 128)
    model = onnx.load_from_string(dint_gemm_model(form, random_uniform(form, 8192, 4096), 8))
    onnx.save_model(model, tmp_path / "model.onnx", save_as_external_data=True, location="data", size_threshold=1024)
    weight = (tmp_path / "data").stat().st_size
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "model.onnx")]
    seen = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert weight > 30e6
    (before, _), (loaded, loaded_file), (called, called_file) = seen
    assert loaded - before < weight / 8
    assert called - before < weight / 8
    assert called_file - loaded_file > weight / 2  # the call reads the mapped file itself
