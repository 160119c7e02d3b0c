# SPDX-License-Identifier: Apache-2.0
"""Two processes under torchrun learn what one learns with twice the batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from edgeq.training.train import train
from tests.training.conftest import settings

OPTIONS = ["--scheme", "w3g32", "--steps", "4", "--length", "16", "--lr", "0.001", "--accumulate", "2"]


def test_two_processes_learn_what_one_does(tiny: Path, text: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "edgeq.cli.app", "train", str(tiny), "--text", str(text), "-o", str(tmp_path / "two")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    done = subprocess.run([*command, *OPTIONS, "--batch", "2"], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("4 steps") == 1  # only one process speaks
    train(tiny, text, tmp_path / "one", settings(scheme="w3g32", steps=4, batch=4, accumulate=2))
    two, one = (load_file(tmp_path / name / "model.safetensors") for name in ("two", "one"))
    start = load_file(tiny / "model.safetensors")
    for name, value in one.items():
        moved = (value - start[name]).abs().max()
        assert moved > 1e-5
        # Adam's first steps divide gradients by their own size: where they are tiny, rounding decides the direction.
        difference = (two[name] - value).abs()
        assert difference.mean() < 0.02 * moved, name


def test_only_torchrun_makes_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    from edgeq.training.distributed import Processes

    monkeypatch.delenv("WORLD_SIZE", raising=False)
    processes = Processes()
    values = [torch.ones(2)]
    with processes.joined():
        processes.average(values)
        assert (processes.any(True), processes.any(False), processes.from_first(5)) == (True, False, 5)
    assert (processes.count, processes.first, values[0].tolist()) == (1, True, [1, 1])
