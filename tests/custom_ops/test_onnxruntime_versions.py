# SPDX-License-Identifier: Apache-2.0
"""One operator library serves every ONNX Runtime from 1.17 on: the oldest, one in between, and the newest pinned."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

import edgeq_ops
from edgeq.formats.uniform import UniformFormat
from tests.custom_ops.graphs import dint_gemm_attributes, one_node_model, open_session, random_uniform

# Version and the NumPy that its wheel was built for.
WHEELS = {"1.17.3": "numpy<2", "1.20.1": "numpy", "1.31.1": "numpy"}
PROGRAM = """
import sys, numpy as np, onnxruntime as ort
model, library, x, y, version = sys.argv[1:]
assert ort.__version__ == version, ort.__version__
options = ort.SessionOptions(); options.intra_op_num_threads = 2
options.register_custom_ops_library(library)
session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
assert session.get_outputs()[0].shape == ["batch", 70], session.get_outputs()[0].shape
np.save(y, session.run(None, {"X": np.load(x)})[0])
try:
    session.run(None, {"X": np.zeros((1, 7), np.float32)})
except Exception as error:
    assert "input X: found shape [1, 7], wanted [..., 1024]" in str(error), error
else:
    raise AssertionError("a wrong width passed")
"""


def python_path(version: str, numpy: str) -> str:
    """Where Python finds that ONNX Runtime: here, or in a cache. Skips where the registry has none for us."""
    if ort.__version__ == version:
        return ""
    cache = Path(os.environ.get("EDGEQ_TEST_CACHE") or Path.home() / ".cache" / "edgeq-tests")
    target = cache / f"onnxruntime-{version}-py{sys.version_info.major}{sys.version_info.minor}"
    if (target / "complete").is_file():
        return str(target)
    # Without the packages that only its tools import.
    packages = [f"onnxruntime=={version}", numpy]
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "--target",
        str(target),
    ]
    result = subprocess.run([*command, *packages], check=False, capture_output=True, text=True)
    if result.returncode != 0:
        pytest.skip(f"pip cannot install onnxruntime {version}: {result.stderr.strip().splitlines()[-1:]}")
    (target / "complete").touch()
    return str(target)


@pytest.mark.parametrize("version", WHEELS)
def test_one_library_for_all(version: str, tmp_path: Path) -> None:
    directory = python_path(version, WHEELS[version])
    form = UniformFormat(3, 128, symmetric=False)
    packed = form.pack(random_uniform(form, 70, 1024))
    model = one_node_model(
        "DintGemm", {"X": ["batch", "features"]}, {"W": packed}, dint_gemm_attributes(form, 70, 1024, 8)
    )
    x = np.random.default_rng(0).standard_normal((9, 1024), np.float32)
    (tmp_path / "model.onnx").write_bytes(model)
    np.save(tmp_path / "x.npy", x)
    names = ["model.onnx", "x.npy", "y.npy"]
    model_path, x_path, y_path = (str(tmp_path / name) for name in names)
    command = [sys.executable, "-c", PROGRAM, model_path, str(edgeq_ops.library_path()), x_path, y_path, version]
    environment = os.environ | {"PYTHONPATH": directory}
    result = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), open_session(model).run(None, {"X": x})[0])
