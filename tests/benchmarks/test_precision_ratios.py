# SPDX-License-Identifier: Apache-2.0
"""The script's float16 bundle computes the same, and its table has a row per bundle."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from tests.tiny_decoder import KV_HEADS, LAYERS, WIDTH, TinyDecoder

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import precision_ratios

    return precision_ratios


def logits(bundle: Path) -> np.ndarray:
    ids = np.arange(6, dtype=np.int64)[None]
    empty = np.zeros((1, KV_HEADS, 0, WIDTH), np.float32)
    feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids), "position_ids": ids}
    feeds |= {f"past_key_values.{layer}.{part}": empty for layer in range(LAYERS) for part in ("key", "value")}
    session = ort.InferenceSession(bundle / "model.onnx", providers=["CPUExecutionProvider"])
    return session.run(["logits"], feeds)[0]


def test_a_float16_bundle_computes_the_same(
    script: ModuleType,
    tiny_decoder: TinyDecoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    half = tmp_path / "half"
    lock = str(tmp_path / "edgeq.lock")
    monkeypatch.setattr("edgeq_devices.transports.local.SHARED_LOCK", lock)
    arguments = [str(tiny_decoder.directory), "-t", "1", "-p", "8", "-n", "4", "-r", "1", "--half", str(half)]
    monkeypatch.setattr(sys, "argv", ["precision_ratios.py", *arguments])
    assert script.main() == 0
    graph = onnx.load(half / "model.onnx").graph
    assert sum(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in graph.initializer) >= 4 * LAYERS + 2
    np.testing.assert_allclose(logits(half), logits(tiny_decoder.directory), atol=1e-2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:4]] == [tiny_decoder.directory.name, "half"]
    assert [cell.strip() for cell in lines[0].split("|")][4:8] == ["pp8", "ratio", "tg4", "ratio"]
    assert lines[2].split("|")[5].strip() == "1.00"
