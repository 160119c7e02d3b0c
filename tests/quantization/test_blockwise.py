# SPDX-License-Identifier: Apache-2.0
"""Models quantized block by block under calibration, also when a run is killed in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgeq.calibration.data import CalibrationData
from edgeq.checkpoint import Checkpoint
from edgeq.errors import EdgeqError
from edgeq.quantization.blockwise import Calibration
from edgeq.quantization.linear import QuantLinear
from edgeq.quantization.plan import Plan
from edgeq.quantization.quantize import quantize_checkpoint, quantize_module
from edgeq.schemes import Scheme
from tests.quantization.conftest import save_llama

pytestmark = pytest.mark.transformers
DATA = CalibrationData(np.random.default_rng(0).integers(0, 50, (12, 24)), "random", 0)
IDS = torch.arange(12).reshape(1, 12)


def _plan(method: str, scheme: str = "w3g32", **options: Any) -> Plan:
    return Plan.build(Scheme.parse(scheme), method=method, **options)


def _logits(model: Any, ids: Tensor = IDS) -> Tensor:
    with torch.no_grad():
        result: Tensor = model(ids).logits
    return result


def _state(model: nn.Module) -> dict[str, Tensor]:
    return dict(model.state_dict())


def _assert_same(left: dict[str, Tensor], right: dict[str, Tensor]) -> None:
    assert left.keys() == right.keys()
    assert [name for name in left if not torch.equal(left[name], right[name])] == []


@pytest.mark.parametrize("name", ["untied", "tied", "gpt2"])
@pytest.mark.parametrize("method", ["gptq", "awq+gptq"])
@pytest.mark.parametrize("sequential", [True, False])
def test_eight_bits_keep_the_model(name: str, method: str, sequential: bool, request: pytest.FixtureRequest) -> None:
    directory, model = request.getfixturevalue(name)
    quantized = quantize_checkpoint(
        Checkpoint(directory), _plan(method, "w8g32"), None, Calibration(DATA, sequential=sequential)
    )
    wanted, found = _logits(model), _logits(quantized.model)
    assert (found - wanted).norm() / wanted.norm() < 0.02
    assert not [parameter for parameter in quantized.model.parameters() if parameter.is_meta]


def test_calibration_lowers_the_error_on_what_was_read(untied: tuple[Path, nn.Module]) -> None:
    directory, model = untied
    ids = torch.from_numpy(DATA.ids)
    wanted = _logits(model, ids)
    errors = []
    for method in ("rtn", "gptq"):
        plan = _plan(method, clip="minmax", vocabulary=Scheme.parse("fp32"))
        calibration = Calibration(DATA) if method == "gptq" else None
        quantized = quantize_checkpoint(Checkpoint(directory), plan, None, calibration)
        errors.append(float((_logits(quantized.model, ids) - wanted).square().sum()))
    assert errors[1] < 0.8 * errors[0]


def test_rtn_without_statistics_is_the_same_with_and_without_calibration(untied: tuple[Path, nn.Module]) -> None:
    directory, _ = untied
    plan = _plan("rtn", clip="minmax")  # nothing in it depends on the inputs
    plain = quantize_checkpoint(Checkpoint(directory), plan)
    calibrated = quantize_checkpoint(Checkpoint(directory), plan, None, Calibration(DATA))
    _assert_same(_state(plain.model), _state(calibrated.model))
    assert calibrated.records == plain.records
    assert calibrated.calibration is not None
    assert calibrated.calibration.fingerprint == DATA.fingerprint


def test_plans_hold_under_calibration(untied: tuple[Path, nn.Module]) -> None:
    plan = _plan("gptq", layers={"*.mlp.*": "w4g64-bcq"}, skip=["layers.0.*"])
    quantized = quantize_checkpoint(Checkpoint(untied[0]), plan, None, Calibration(DATA))
    schemes = {record.name: record.scheme for record in quantized.records}
    assert schemes["model.layers.1.mlp.up_proj"] == "w4g64-bcq"
    assert isinstance(quantized.model.get_submodule("model.layers.1.mlp.up_proj"), QuantLinear)
    assert isinstance(quantized.model.get_submodule("model.layers.0.mlp.up_proj"), nn.Linear)


def test_activations_on_disk_give_the_same_model(untied: tuple[Path, nn.Module], tmp_path: Path) -> None:
    plan, calibration = _plan("gptq"), Calibration(DATA, work=tmp_path / "work")
    in_memory = quantize_checkpoint(Checkpoint(untied[0]), plan, None, calibration)
    on_disk = quantize_checkpoint(Checkpoint(untied[0]), plan, None, replace(calibration, memory=0))
    _assert_same(_state(in_memory.model), _state(on_disk.model))
    assert list(tmp_path.iterdir()) == []


def test_progress_counts_every_layer(untied: tuple[Path, nn.Module]) -> None:
    calls: list[tuple[str, int, int]] = []
    quantized = quantize_checkpoint(
        Checkpoint(untied[0]), _plan("gptq"), lambda *call: calls.append(call), Calibration(DATA)
    )
    total = len(quantized.records)
    assert calls == [("quantize", done, total) for done in range(total + 1)]


KILLED = """
import os, pickle, signal, sys
from edgeq.quantization.work_directory import WorkDirectory
from tests.quantization import test_blockwise as test

save = WorkDirectory.save
def save_and_die(self, index, tensors):
    save(self, index, tensors)
    if index == 1:
        os.kill(os.getpid(), signal.SIGKILL)
WorkDirectory.save = save_and_die
test.quantize_deep(sys.argv[1], sys.argv[2], sys.argv[3])
"""


def quantize_deep(directory: str, work: str | None, method: str) -> dict[str, Tensor]:
    torch.set_num_threads(1)
    calibration = Calibration(DATA, work=Path(work) if work else None)
    return _state(quantize_checkpoint(Checkpoint(Path(directory)), _plan(method), None, calibration).model)


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("deep")
    save_llama(directory, num_hidden_layers=4, attention_bias=True)
    return directory


@pytest.mark.parametrize("method", ["awq+outliers+gptq+lorc"])
def test_a_killed_run_continues_to_the_same_bytes(method: str, deep: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, deep, work, method], env=environment, capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert sorted(path.name for path in work.glob("block-*")) == ["block-0000.safetensors", "block-0001.safetensors"]
    seen = []
    original = Checkpoint.tensor

    def tensor(self: Checkpoint, name: str) -> Tensor:
        seen.append(name)
        return original(self, name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoint, "tensor", tensor)
        resumed = quantize_deep(str(deep), str(work), method)
    assert not any("layers.1." in name for name in seen)
    assert any("layers.2." in name for name in seen)
    _assert_same(resumed, quantize_deep(str(deep), None, method))
    assert not work.exists()


DIFFERENT: dict[str, dict[str, Any]] = {
    "method": {"plan": _plan("awq+gptq")},
    "scheme of lm_head": {"plan": _plan("gptq", "w4g32")},
    "calibration": {"calibration": Calibration(replace(DATA, ids=DATA.ids[::-1].copy()))},
    "samples": {"calibration": Calibration(replace(DATA, ids=DATA.ids[:4]))},
    "seed": {"calibration": Calibration(replace(DATA, seed=7))},
    "sequential": {"calibration": Calibration(DATA, sequential=False)},
}


@pytest.mark.parametrize("field", [*DIFFERENT, "model", "torch"])
def test_another_run_is_refused_by_the_field_that_differs(
    field: str, untied: tuple[Path, nn.Module], tmp_path: Path
) -> None:
    directory, work = untied[0], tmp_path / "work"
    arguments = {"plan": _plan("gptq"), "calibration": Calibration(DATA)} | DIFFERENT.get(field, {})
    _interrupt(directory, work)
    if field in ("model", "torch"):
        state = json.loads((work / "run.json").read_text())
        (work / "run.json").write_text(json.dumps(state | {field: "another"}))
    if field == "samples":  # its windows differ too
        state = json.loads((work / "run.json").read_text())
        different = arguments["calibration"].data.fingerprint
        (work / "run.json").write_text(json.dumps(state | {"calibration": different, "length": 24}))
    calibration = replace(arguments["calibration"], work=work)
    with pytest.raises(EdgeqError, match=f"{field}: unfinished run with other settings") as caught:
        quantize_checkpoint(Checkpoint(directory), arguments["plan"], None, calibration)
    assert "--work-dir" in str(caught.value)


def _interrupt(directory: Path, work: Path) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if done > 2 * total // 3:  # in the second of two blocks
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quantize_checkpoint(Checkpoint(directory), _plan("gptq"), stop, Calibration(DATA, work=work))


def test_a_damaged_block_is_named(untied: tuple[Path, nn.Module], tmp_path: Path) -> None:
    work = tmp_path / "work"
    _interrupt(untied[0], work)
    (work / "block-0000.safetensors").write_bytes(b"nothing")
    with pytest.raises(EdgeqError, match=r"block-0000.safetensors: damaged block"):
        quantize_checkpoint(Checkpoint(untied[0]), _plan("gptq"), None, Calibration(DATA, work=work))


def test_a_run_without_a_finished_block_gives_way(untied: tuple[Path, nn.Module], tmp_path: Path) -> None:
    work = tmp_path / "work"
    _interrupt(untied[0], work)
    for block in work.glob("block-*"):
        block.unlink()
    quantize_checkpoint(Checkpoint(untied[0]), _plan("gptq", "w4g32"), None, Calibration(DATA, work=work))
    assert not work.exists()


def test_a_run_that_fails_before_its_first_block_leaves_nothing(untied: tuple[Path, nn.Module], tmp_path: Path) -> None:
    plan = Plan.build(Scheme.parse("w3"), method="gptq", options={"gptq.beta": 1e9})
    with pytest.raises(EdgeqError, match=r"q_proj: scale does not fit float16.*--skip"):
        quantize_checkpoint(Checkpoint(untied[0]), plan, None, Calibration(DATA, work=tmp_path / "work"))
    assert list(tmp_path.iterdir()) == []


def test_an_option_at_fault_is_named_beside_the_layer(untied: tuple[Path, nn.Module]) -> None:
    plan = Plan.build(Scheme.parse("w3-bcq"), method="gptq", options={"gptq.gamma": 0.8})
    with pytest.raises(EdgeqError, match=r"q_proj: gamma: no steps") as caught:
        quantize_checkpoint(Checkpoint(untied[0]), plan, None, Calibration(DATA))
    assert "--skip" not in str(caught.value)


def test_two_runs_do_not_share_a_work_directory(untied: tuple[Path, nn.Module], tmp_path: Path) -> None:
    calibration = Calibration(DATA, work=tmp_path / "work")
    inner: list[str] = []

    def start_another(stage: str, done: int, total: int) -> None:
        if done == total:
            with pytest.raises(EdgeqError) as caught:
                quantize_checkpoint(Checkpoint(untied[0]), _plan("gptq"), None, calibration)
            inner.append(str(caught.value))

    outer = quantize_checkpoint(Checkpoint(untied[0]), _plan("gptq"), start_another, calibration)
    assert outer.records
    assert "work: another run is using the work directory; wait until it ends, or" in inner[0]
    assert not list(tmp_path.iterdir())


def test_a_directory_of_something_else_is_left_alone(untied: tuple[Path, nn.Module], tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(EdgeqError, match="not a work directory"):
        quantize_checkpoint(Checkpoint(untied[0]), _plan("gptq"), None, Calibration(DATA, work=tmp_path))
    assert (tmp_path / "mine.txt").exists()


def test_methods_that_need_calibration_say_so(untied: tuple[Path, nn.Module]) -> None:
    directory, model = untied
    with pytest.raises(EdgeqError, match="--method: method needs calibration, found gptq; add --calibration FILE"):
        quantize_checkpoint(Checkpoint(directory), _plan("gptq"))
    with pytest.raises(EdgeqError, match="method needs calibration"):
        quantize_module(model, _plan("gptq"))


def test_methods_leave_the_checkpoint_as_it_was(untied: tuple[Path, nn.Module]) -> None:
    """Weights read again later are not those that a method rescaled."""
    checkpoint = Checkpoint(untied[0])
    before = {name: checkpoint.tensor(name).clone() for name in checkpoint.files}
    quantize_checkpoint(checkpoint, _plan("awq"), None, Calibration(DATA))
    _assert_same({name: checkpoint.tensor(name) for name in checkpoint.files}, before)
