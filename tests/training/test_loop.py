# SPDX-License-Identifier: Apache-2.0
"""Training: it lowers the loss, and what was interrupted goes on as if it had not been."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from edgeq.errors import EdgeqError
from edgeq.training import train as module
from edgeq.training.data import TokenStream, Windows
from edgeq.training.loop import StepReport
from edgeq.training.schedule import factor
from edgeq.training.train import train
from tests.training.conftest import settings

FILES = ("model.safetensors", "quantizers.safetensors")


def same(left: Path, right: Path) -> bool:
    return all((left / name).read_bytes() == (right / name).read_bytes() for name in FILES)


class Cut(Exception):
    """A crash in the middle of a training."""


def test_interrupted_trainings_give_the_same_weights(tiny: Path, text: Path, tmp_path: Path) -> None:
    def crash(report: StepReport) -> None:
        if report.step == 4:
            raise Cut

    chosen = settings(scheme="w2a8g32-asym", gradient="sigmoid", loss="mix", accumulate=2)
    whole = train(tiny, text, tmp_path / "whole", chosen, validation=text)
    assert whole.complete
    with pytest.raises(Cut):
        train(tiny, text, tmp_path / "cut", chosen, validation=text, save_every=3, report=crash)
    assert not (tmp_path / "cut").exists()
    steps: list[int] = []
    train(tiny, text, tmp_path / "cut", chosen, validation=text, save_every=3, report=lambda r: steps.append(r.step))
    assert steps == [4, 5, 6]
    assert same(tmp_path / "whole", tmp_path / "cut")
    assert json.loads((tmp_path / "whole" / "training.json").read_text())["record"]["steps"] == 6
    assert not list(tmp_path.glob(".*"))  # nothing is left of the states


def test_other_settings_do_not_continue(tiny: Path, text: Path, tmp_path: Path) -> None:
    def crash(report: StepReport) -> None:
        if report.step == 2:
            raise Cut

    with pytest.raises(Cut):
        train(tiny, text, tmp_path / "out", settings(), save_every=1, report=crash)
    with pytest.raises(
        EdgeqError, match=r"learning_rate: unfinished run with other settings, found 0\.001, wanted 0\.5"
    ):
        train(tiny, text, tmp_path / "out", settings(learning_rate=0.5))


def test_training_lowers_the_loss_and_moves_gamma(tiny: Path, text: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "short.npy", np.load(text)[:70])
    chosen = settings(scheme="w3g32", steps=30, gamma="channel", learning_rate=3e-3, gamma_rate=1e-2)
    train(tiny, tmp_path / "short.npy", tmp_path / "out", chosen)
    document = json.loads((tmp_path / "out" / "training.json").read_text())
    losses = document["losses"]
    assert np.mean(losses[-5:]) < 0.85 * np.mean(losses[:3])
    start = tmp_path / "start"
    train(tiny, text, start, settings(scheme="w3g32", steps=1, gamma="off", init_options={"rtn.gamma": "auto"}))
    name = "model.layers.0.mlp.up_proj.scales"
    assert not torch.equal(load_file(start / FILES[1])[name], load_file(tmp_path / "out" / FILES[1])[name])


def test_scales_without_gamma_stay(tiny: Path, text: Path, tmp_path: Path) -> None:
    for steps in (1, 5):
        train(tiny, text, tmp_path / str(steps), settings(steps=steps, gamma="off"))
    assert (tmp_path / "1" / FILES[1]).read_bytes() == (tmp_path / "5" / FILES[1]).read_bytes()
    scale = load_file(tmp_path / "1" / FILES[1])["model.layers.0.mlp.up_proj.scales"]
    weight = load_file(tiny / FILES[0])["model.layers.0.mlp.up_proj.weight"]
    whole = weight.reshape(len(weight), -1, 32).abs().amax(2)  # γ = 1: max|w| / (2^(2−1) − 1)
    torch.testing.assert_close(scale.float().abs(), whole, rtol=1e-3, atol=0)


def test_patience_ends_a_training_and_keeps_the_best(tiny: Path, text: Path, tmp_path: Path) -> None:
    idle = settings(steps=40, learning_rate=1e-12, gamma_rate=1e-12, patience=2)
    outcome = train(tiny, text, tmp_path / "out", idle, validation=text)
    document = json.loads((tmp_path / "out" / "training.json").read_text())
    best = min(document["evaluations"], key=lambda entry: entry[1])
    assert outcome.steps == best[0] + 4 == 6
    assert outcome.final_loss == best[1]


def test_a_start_from_gptq_rounds_to_its_codes(tiny: Path, text: Path) -> None:
    from edgeq.checkpoint import Checkpoint
    from edgeq.training import start
    from edgeq.training.data import read_stream

    checkpoint = Checkpoint(tiny)
    windows = Windows(read_stream(checkpoint, text, 16), 16, 0)
    chosen = settings(init="gptq", scheme="w3g32")
    packed: list[object] = []
    quantize = start.quantize_checkpoint

    def remember(*arguments: object) -> object:
        packed.append(quantize(*arguments))  # type: ignore[arg-type]
        return packed[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(start, "quantize_checkpoint", remember)
        student = start.start_student(checkpoint, chosen, windows)
    name = "model.layers.0.mlp.down_proj"
    expected = packed[0].model.get_submodule(name).weight.dequantize()  # type: ignore[attr-defined]
    torch.testing.assert_close(student.quantized()[f"{name}.weight"].detach(), expected, rtol=0, atol=0)
    original = load_file(tiny / FILES[0])[f"{name}.weight"]
    plain = start.start_student(checkpoint, settings(scheme="w3g32"), windows).quantized()[f"{name}.weight"]
    assert not torch.equal(plain, expected)  # plain rounding would not have found them
    moved = student.parameters[f"{name}.weight"].detach()
    assert (moved - original).abs().mean() < (expected - original).abs().mean()


def test_learning_rates() -> None:
    rates = [factor(step, 100, 0.1) for step in range(100)]
    assert rates[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
    assert rates[10] == 1
    assert rates[55] == pytest.approx(0.5)
    assert 0 < rates[99] < 0.001
    assert all(left >= right for left, right in pairwise(rates[10:]))


def test_windows_of_an_epoch_do_not_overlap_and_differ_between_epochs() -> None:
    windows = Windows(TokenStream(np.arange(1000), "ids"), 16, seed=3)
    epoch = windows.batch(0, windows.per_epoch).numpy()
    assert len(np.unique(epoch)) == epoch.size
    assert not np.array_equal(epoch, windows.batch(windows.per_epoch, windows.per_epoch).numpy())
    parts = [windows.batch(position, 5).numpy() for position in range(0, 60, 5)]
    assert np.array_equal(np.concatenate(parts), windows.batch(0, 60).numpy())
    exact = Windows(TokenStream(np.arange(16), "ids"), 16, seed=0)
    assert exact.batch(0, 2).tolist() == [list(range(16))] * 2


def test_bfloat16_is_refused_where_it_is_slow(tiny: Path, text: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "has_bfloat16", lambda: False)
        with pytest.raises(EdgeqError, match="no bfloat16"):
            train(tiny, text, tmp_path / "out", settings(bfloat16=True))
    if module.has_bfloat16():
        assert train(tiny, text, tmp_path / "out", settings(bfloat16=True, steps=2)).complete
