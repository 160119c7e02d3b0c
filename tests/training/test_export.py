# SPDX-License-Identifier: Apache-2.0
"""From trained quantizers to packed weights: the same codes, or a clear refusal."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from edgeq.checkpoint import Checkpoint
from edgeq.errors import EdgeqError
from edgeq.estimating import estimate
from edgeq.exporting import export
from edgeq.quantization.quantize import quantize_checkpoint
from edgeq.recipe import build_recipe
from edgeq.training import result
from edgeq.training.student import Student
from edgeq.training.train import train
from tests.quantization.conftest import save_llama
from tests.training.conftest import settings


def trained(
    model: Path, text: Path, output: Path, monkeypatch: pytest.MonkeyPatch, **changes: object
) -> dict[str, torch.Tensor]:
    """Trains; returns the matrices that the trained quantizers made."""
    seen: list[Student] = []
    fill = result._fill
    monkeypatch.setattr(
        result, "_fill", lambda directory, student, *rest: (seen.append(student), fill(directory, student, *rest))
    )
    train(model, text, output, settings(**changes))
    return {name: value.detach() for name, value in seen[0].quantized().items()}


@pytest.mark.parametrize("scheme", ["w2g32", "w3-asym", "w4", "w8g64-asym", "w4a8tag32"])
def test_codes_are_those_of_the_trained_quantizer(
    tiny: Path, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    matrices = trained(tiny, text, tmp_path / "out", monkeypatch, scheme=scheme, steps=3, learning_rate=1e-2)
    recipe = build_recipe(model=str(tmp_path / "out"), method="qat", scheme=scheme)
    quantized = quantize_checkpoint(Checkpoint(tmp_path / "out"), recipe.plan())
    assert len(matrices) == 15
    for name, matrix in matrices.items():
        packed = quantized.model.get_submodule(name.removesuffix(".weight")).weight  # type: ignore[union-attr]
        assert torch.equal(packed.dequantize(), matrix), name  # type: ignore[operator,union-attr]
    assert quantized.training is not None
    assert (quantized.training.steps, quantized.training.tokens) == (3, 3 * 4 * 16)
    assert quantized.method == "qat"


def test_groups_that_do_not_divide_a_row(text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """96 inputs in groups of 64; untied head, kept in float32 as is one layer."""
    save_llama(tmp_path / "model", tie_word_embeddings=False, num_hidden_layers=1)
    chosen = {"scheme": "w3g64", "vocabulary": "fp32", "layers": {"down_proj": "w4g64-asym"}, "skip": ["up_proj"]}
    matrices = trained(tmp_path / "model", text, tmp_path / "out", monkeypatch, **chosen)
    recipe = build_recipe(model=str(tmp_path / "out"), method="qat", **chosen)
    model = quantize_checkpoint(Checkpoint(tmp_path / "out"), recipe.plan()).model
    assert "model.layers.0.mlp.up_proj.weight" not in matrices
    for name, matrix in matrices.items():
        assert torch.equal(model.get_submodule(name.removesuffix(".weight")).weight.dequantize(), matrix)  # type: ignore[operator,union-attr]


def test_schemes_come_from_the_checkpoint_and_no_others_do(
    tiny: Path, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    trained(tiny, text, out, monkeypatch, scheme="w3g32", layers={"down_proj": "w4g32"}, steps=1)
    estimate(build_recipe(model=str(out)))
    assert "only --method qat packs what was trained" in caplog.text
    layers = estimate(build_recipe(model=str(out), method="qat")).layers
    schemes = {record.name.rpartition(".")[2]: record.scheme for record in layers}
    assert (schemes["up_proj"], schemes["down_proj"], schemes["embed_tokens"]) == ("w3g32", "w4g32", "w8g32")
    with pytest.raises(EdgeqError, match=r"q_proj: trained under another scheme, found w3g32, wanted w4g32"):
        export(out, tmp_path / "bundle", scheme="w4g32", method="qat")
    with pytest.raises(EdgeqError, match="trained quantizers are complete, found qat with --calibration"):
        export(out, tmp_path / "bundle", method="qat", calibration=text)
    with pytest.raises(
        EdgeqError, match=r"quantizers\.safetensors: --method qat: checkpoint has no trained quantizers"
    ):
        export(tiny, tmp_path / "bundle", method="qat")
    (out / "quantizers.safetensors").write_bytes(b"nothing")
    with pytest.raises(EdgeqError, match="damaged quantizers"):
        export(out, tmp_path / "bundle", method="qat")


def test_the_checkpoint_is_one_for_transformers(tiny: Path, text: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(tiny, tmp_path / "model"))
    (source / "training.json").write_text("{}")  # of the original's own training
    (source / "tokenizer_config.json").write_text('{"bos_token": "<s>"}')
    (source / "generation_config.json").write_text('{"eos_token_id": 7}')
    train(source, text, tmp_path / "out", settings(steps=1))
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} >= {"config.json", "model.safetensors", "tokenizer_config.json"}
    assert (out / "training.json").stat().st_size > 100
    model = AutoModelForCausalLM.from_pretrained(out)
    assert model.generation_config.eos_token_id == 7
    assert model.dtype == torch.float32
    assert model.lm_head.weight is model.model.embed_tokens.weight


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scheme": "w3g32-bcq"}, "format cannot be trained, found bcq, wanted uniform"),
        ({"scheme": "w4a8s"}, "static activations cannot be trained"),
        ({"scheme": "w4-auto"}, "nothing chooses formats in training"),
        ({"scheme": "fp32"}, "nothing to train"),
        ({"layers": {"nosuch": "w4"}}, "pattern matches no layer"),
        ({"length": 4096}, "--length: out of range, found 4096"),
        ({"scheme": "w9"}, "unsupported bits"),
    ],
)
def test_refusals(tiny: Path, text: Path, tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(EdgeqError, match=message):
        train(tiny, text, tmp_path / "out", settings(**changes))
    assert not list(tmp_path.iterdir())


def test_settings_out_of_range() -> None:
    with pytest.raises(EdgeqError, match=r"--lr: .* greater than 0"):
        settings(learning_rate=-1)
    with pytest.raises(EdgeqError, match=r"--gradient: "):
        settings(gradient="none")
