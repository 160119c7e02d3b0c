# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertForMaskedLM, BertModel

from edgeq.checkpoint import Checkpoint
from edgeq.errors import EdgeqError
from edgeq.quantization.embedding import QuantEmbedding
from edgeq.quantization.linear import QuantLinear
from edgeq.quantization.plan import Plan
from edgeq.quantization.quantize import quantize_checkpoint, quantize_module
from edgeq.schemes import Scheme

pytestmark = pytest.mark.transformers
IDS = torch.arange(12).reshape(1, 12)


def _plan(scheme: str, **options: object) -> Plan:
    return Plan.build(Scheme.parse(scheme), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["untied", "tied", "gpt2"])
def test_fp32_keeps_the_model(name: str, request: pytest.FixtureRequest) -> None:
    directory, model = request.getfixturevalue(name)
    quantized = quantize_checkpoint(Checkpoint(directory), _plan("fp32"))
    with torch.no_grad():
        torch.testing.assert_close(quantized.model(IDS).logits, model(IDS).logits, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["untied", "tied", "gpt2"])
@pytest.mark.parametrize(("scheme", "tolerance"), [("w8g32", 0.02), ("w4g32", 0.3), ("w4g32-bcq", 0.3)])
def test_quantized_logits_are_near(name: str, scheme: str, tolerance: float, request: pytest.FixtureRequest) -> None:
    directory, model = request.getfixturevalue(name)
    quantized = quantize_checkpoint(Checkpoint(directory), _plan(scheme))
    with torch.no_grad():
        wanted, found = model(IDS).logits, quantized.model(IDS).logits
    assert (found - wanted).norm() / wanted.norm() < tolerance


@pytest.mark.parametrize("name", ["untied", "gpt2"])
def test_every_linear_and_the_embedding_are_quantized(name: str, request: pytest.FixtureRequest) -> None:
    directory, _ = request.getfixturevalue(name)
    quantized = quantize_checkpoint(Checkpoint(directory), _plan("w4"))
    assert not [name for name, module in quantized.model.named_modules() if isinstance(module, nn.Linear)]
    assert isinstance(quantized.model.get_input_embeddings(), QuantEmbedding)  # type: ignore[operator]


def test_loading_lazily_and_in_memory_agree(untied: tuple[Path, nn.Module]) -> None:
    directory, model = untied
    lazily = quantize_checkpoint(Checkpoint(directory), _plan("w3g32"))
    loaded = type(model).from_pretrained(directory).eval()  # type: ignore[attr-defined]
    assert quantize_module(loaded, _plan("w3g32")) == lazily.records
    with torch.no_grad():
        torch.testing.assert_close(lazily.model(IDS).logits, loaded(IDS).logits, rtol=0, atol=0)


def test_tied_embedding_and_head_share_one_packed_tensor(tied: tuple[Path, nn.Module]) -> None:
    quantized = quantize_checkpoint(Checkpoint(tied[0]), _plan("w4g32"))
    embedding, head = quantized.model.get_input_embeddings(), quantized.model.get_output_embeddings()  # type: ignore[operator]
    assert embedding.weight is head.weight
    record = next(record for record in quantized.records if record.name == "model.embed_tokens")
    assert record.operators == ["QuantGather", "DintGemm"]
    assert "lm_head" not in {record.name for record in quantized.records}


def test_overrides_and_skips(untied: tuple[Path, nn.Module]) -> None:
    plan = _plan("w4g32", layers={"lm_head": "w8g64", "*.mlp.*": "w3g32-bcq"}, skip=["layers.0.*", "embed_tokens"])
    quantized = quantize_checkpoint(Checkpoint(untied[0]), plan)
    schemes = {record.name: record.scheme for record in quantized.records}
    assert schemes["lm_head"] == "w8g64"
    assert schemes["model.layers.1.mlp.up_proj"] == "w3g32-bcq"
    assert schemes["model.layers.1.self_attn.q_proj"] == "w4g32"
    assert schemes["model.layers.0.mlp.up_proj"] == schemes["model.embed_tokens"] == "fp32"
    kept = quantized.model.get_submodule("model.layers.0.mlp.up_proj")
    assert isinstance(kept, nn.Linear)
    assert not kept.weight.is_meta


def test_records_state_the_stored_bytes(untied: tuple[Path, nn.Module]) -> None:
    quantized = quantize_checkpoint(Checkpoint(untied[0]), _plan("w4g32"))
    for record in quantized.records:
        module = quantized.model.get_submodule(record.name)
        assert record.size == module.weight.data.numel()  # type: ignore[union-attr]


def test_biases_follow_their_layer(gpt2: tuple[Path, nn.Module]) -> None:
    directory, model = gpt2
    quantized = quantize_checkpoint(Checkpoint(directory), _plan("w8"))
    layer = quantized.model.get_submodule("transformer.h.1.mlp.c_fc")
    assert isinstance(layer, QuantLinear)
    assert layer.bias is not None
    torch.testing.assert_close(
        layer.bias, model.get_parameter("transformer.h.1.mlp.c_fc.bias").detach(), rtol=0, atol=0
    )


def test_quantization_is_deterministic(untied: tuple[Path, nn.Module]) -> None:
    first, second = (quantize_checkpoint(Checkpoint(untied[0]), _plan("w2g32-asym")) for _ in range(2))
    state, again = first.model.state_dict(), second.model.state_dict()
    assert all(torch.equal(value, again[name]) for name, value in state.items())


def test_a_pattern_that_matches_nothing_is_refused(untied: tuple[Path, nn.Module]) -> None:
    with pytest.raises(EdgeqError, match="pattern matches no layer, found 'nonsense'"):
        quantize_checkpoint(Checkpoint(untied[0]), _plan("w4", skip=["nonsense"]))


def test_weights_that_are_not_finite_name_their_layer(tmp_path: Path) -> None:
    from tests.quantization.conftest import save_llama

    model = save_llama(tmp_path)
    model.model.layers[1].mlp.up_proj.weight.data[2, 3] = float("nan")
    model.save_pretrained(tmp_path)
    with pytest.raises(EdgeqError, match=r"model\.layers\.1\.mlp\.up_proj: weights are not finite"):
        quantize_checkpoint(Checkpoint(tmp_path), _plan("w4"))


def test_encoders_go_without_their_pooler(tmp_path: Path) -> None:
    config = BertConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)
    for kind in (BertForMaskedLM, BertModel):
        kind(config).save_pretrained(tmp_path)
        quantized = quantize_checkpoint(Checkpoint(tmp_path), Plan.build(Scheme.parse("w8")))
        assert not any("pooler" in record.name for record in quantized.records)
        assert not any(parameter.is_meta for parameter in quantized.model.parameters())


def test_progress_counts_the_layers(untied: tuple[Path, nn.Module]) -> None:
    calls: list[tuple[str, int, int]] = []
    quantized = quantize_checkpoint(Checkpoint(untied[0]), _plan("w4"), lambda *call: calls.append(call))
    total = len(quantized.records)
    assert calls == [("quantize", step, total) for step in range(total + 1)]
