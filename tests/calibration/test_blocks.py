# SPDX-License-Identifier: Apache-2.0
"""Blocks run one after the other do what the model does, in every architecture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from edgeq.calibration.activations import allocate
from edgeq.calibration.blocks import BlockRunner, find_blocks
from edgeq.calibration.observe import collect, input_groups
from tests.export.tiny_models import CONFIGS, VOCABULARY, tiny_model

pytestmark = pytest.mark.transformers
ENCODERS = ("bert", "distilbert", "electra", "mpnet", "roberta")
LLAMA_GROUPS = [
    ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    ["self_attn.o_proj"],
    ["mlp.gate_proj", "mlp.up_proj"],
    ["mlp.down_proj"],
]


def tiny_encoder(model_type: str) -> Any:
    torch.manual_seed(0)
    sizes = {"vocab_size": VOCABULARY, "hidden_size": 32, "dim": 32, "intermediate_size": 48, "hidden_dim": 48}
    heads = {"num_hidden_layers": 2, "n_layers": 2, "num_attention_heads": 4, "n_heads": 4}
    accepted = AutoConfig.for_model(model_type).to_dict().keys()
    config = AutoConfig.for_model(model_type, **{k: v for k, v in (sizes | heads).items() if k in accepted})
    return AutoModel.from_config(config).eval()


def any_model(name: str) -> Any:
    return tiny_model(name) if name in CONFIGS else tiny_encoder(name)


def start(model: nn.Module, samples: int = 5, length: int = 24) -> BlockRunner:
    ids = torch.randint(3, VOCABULARY, (samples, length), generator=torch.Generator().manual_seed(1))
    return BlockRunner.start(model, find_blocks(model), ids, lambda shape: torch.empty(*shape))


@pytest.mark.parametrize("name", [*CONFIGS, *ENCODERS])
def test_streaming_equals_the_whole_model(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeq.calibration.blocks.TOKENS_PER_BATCH", 2 * 24)  # the last of three batches is smaller
    model = any_model(name)
    names = find_blocks(model)
    outputs: list[Tensor] = []
    last = model.get_submodule(names[-1])
    handle = last.register_forward_hook(lambda _, __, output: outputs.append(output))
    ids = torch.randint(3, VOCABULARY, (5, 24), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        model(input_ids=ids)
    handle.remove()
    runner = start(model)
    for block in names:
        runner.advance(model.get_submodule(block), block)
    wanted = outputs[0][0] if isinstance(outputs[0], tuple) else outputs[0]
    torch.testing.assert_close(runner.hidden, wanted, rtol=1e-4, atol=1e-4)


def test_layers_that_read_the_same_inputs_are_one_group() -> None:
    model = tiny_model("llama")
    layers = [layer for group in LLAMA_GROUPS for layer in group]
    name = find_blocks(model)[0]
    assert input_groups(start(model), model.get_submodule(name), name, sorted(layers)) == LLAMA_GROUPS


def test_statistics_are_those_of_the_layers_inputs() -> None:
    model = tiny_model("llama")
    name = find_blocks(model)[0]
    block = model.get_submodule(name)
    inputs: list[Tensor] = []
    handle = block.mlp.down_proj.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    runner = start(model)
    with torch.no_grad():
        runner.run(block, name, runner.hidden)
    handle.remove()
    direct = inputs[0].reshape(-1, inputs[0].shape[-1]).double()
    (found,) = collect(runner, block, name, [["mlp.down_proj"]])
    torch.testing.assert_close(found.gram, direct.T @ direct, rtol=1e-5, atol=1e-5)
    assert found.tokens == 5 * 24
    torch.testing.assert_close(found.absmax, direct.abs().amax(0).float())
    torch.testing.assert_close(found.mean_abs, direct.abs().mean(0).float())


def test_activations_in_a_file_equal_those_in_memory(tmp_path: Path) -> None:
    model = tiny_model("llama")
    names = find_blocks(model)
    ids = torch.randint(3, VOCABULARY, (5, 24), generator=torch.Generator().manual_seed(1))
    hidden = []
    for budget in (10**9, 0):
        runner = BlockRunner.start(model, names, ids, lambda shape, budget=budget: allocate(shape, budget, tmp_path))
        for name in names:
            runner.advance(model.get_submodule(name), name)
        hidden.append(runner.hidden)
    torch.testing.assert_close(hidden[0], hidden[1], rtol=0, atol=0)
    assert list(tmp_path.iterdir()) == []
