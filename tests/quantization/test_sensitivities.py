# SPDX-License-Identifier: Apache-2.0
"""Codebooks by Fisher information, from the checkpoint to the packed layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from edgeq.calibration.data import CalibrationData
from edgeq.checkpoint import Checkpoint
from edgeq.errors import EdgeqError
from edgeq.methods.pipeline import Pipeline
from edgeq.quantization.blockwise import Calibration
from edgeq.quantization.linear import PackedWeight
from edgeq.quantization.plan import Plan
from edgeq.quantization.quantize import quantize_checkpoint
from edgeq.quantization.sensitivities import FILE_NAME, fisher_sensitivities
from edgeq.quantization.skeleton import build_skeleton, find_targets
from edgeq.schemes import Scheme


def _data() -> CalibrationData:
    return CalibrationData(np.random.default_rng(0).integers(0, 50, (4, 16)), "random", 0)


def _packed(directory: Path, options: dict[str, str]) -> dict[str, torch.Tensor]:
    plan = Plan.build(Scheme.parse("w3-codebook"), skip=["embed_tokens", "lm_head"], method="codebook", options=options)
    result = quantize_checkpoint(Checkpoint(directory), plan, None, Calibration(_data()))
    return {name: part.data for name, part in result.model.named_modules() if isinstance(part, PackedWeight)}


def test_fisher_information_changes_the_codebooks(untied: tuple[Path, object]) -> None:
    by_inputs, by_fisher = (_packed(untied[0], {"codebook.importance": kind}) for kind in ("inputs", "fisher"))
    assert by_inputs.keys() == by_fisher.keys()
    assert not any(torch.equal(by_inputs[name], by_fisher[name]) for name in by_inputs)


def test_it_is_kept_on_disk_and_read_again(gpt2: tuple[Path, object], tmp_path: Path) -> None:
    checkpoint, ids = Checkpoint(gpt2[0]), torch.from_numpy(_data().ids)
    targets = [target for target in find_targets(build_skeleton(checkpoint)) if not target.vocabulary]
    first = fisher_sensitivities(checkpoint, ids, targets, tmp_path, None)
    again = fisher_sensitivities(checkpoint, ids * 0, targets, tmp_path, None)  # other windows would change the result
    in_memory = fisher_sensitivities(checkpoint, ids, targets, None, None)
    for target in targets:
        information = first(target)
        assert information is not None
        assert information.shape == (target.rows, target.columns)
        for other in (again, in_memory):
            torch.testing.assert_close(information, other(target), rtol=0, atol=0)


def test_a_damaged_file_is_named(untied: tuple[Path, object], tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"nothing")
    checkpoint = Checkpoint(untied[0])
    target = find_targets(build_skeleton(checkpoint))[1]
    sensitivities = fisher_sensitivities(checkpoint, torch.from_numpy(_data().ids), [target], tmp_path, None)
    with pytest.raises(EdgeqError, match=rf"{FILE_NAME}: damaged file"):
        sensitivities(target)


def test_folded_weights_have_another_fisher_information() -> None:
    with pytest.raises(EdgeqError, match="folds weights after"):
        Pipeline.parse("awq+codebook", {"codebook.importance": "fisher"})
