# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from edgeq.calibration.fisher import fisher_diagonals
from edgeq.errors import EdgeqError


def _llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2
    )
    model: LlamaForCausalLM = LlamaForCausalLM(config).eval().requires_grad_(False)
    return model


def _ids(windows: int = 3) -> torch.Tensor:
    return torch.randint(0, 50, (windows, 12), generator=torch.Generator().manual_seed(1))


def test_it_is_the_mean_of_squared_gradients() -> None:
    model, ids, name = _llama(), _ids(), "model.layers.1.mlp.down_proj"
    found = fisher_diagonals(model, ids, [name, "model.layers.0.self_attn.q_proj"])
    weight = model.get_submodule(name).get_parameter("weight").requires_grad_(True)
    expected = torch.zeros_like(weight)
    for window in ids:
        loss = model(input_ids=window.unsqueeze(0), labels=window.unsqueeze(0)).loss
        expected += torch.autograd.grad(loss, weight)[0].square() / len(ids)
    torch.testing.assert_close(found[name], expected)
    assert set(found) == {name, "model.layers.0.self_attn.q_proj"}


def test_it_predicts_what_noise_costs() -> None:
    """The gradient of one weight, by a finite difference of the loss in float64."""
    model, ids, name = _llama().double(), _ids(1), "model.layers.0.mlp.up_proj"
    found = fisher_diagonals(model, ids, [name])[name]
    weight = model.get_submodule(name).get_parameter("weight")
    row, column = divmod(int(found.argmax()), found.shape[1])
    losses = []
    for step in (1e-3, -2e-3):
        weight.data[row, column] += step
        losses.append(float(nn.functional.cross_entropy(model(input_ids=ids).logits[0, :-1], ids[0, 1:])))
    assert ((losses[0] - losses[1]) / 2e-3) ** 2 == pytest.approx(float(found[row, column]), rel=1e-2)


def test_models_are_left_as_they_were() -> None:
    model, name = _llama(), "model.layers.0.mlp.up_proj"
    steps: list[tuple[int, int]] = []
    fisher_diagonals(model, _ids(), [name], lambda _, done, total: steps.append((done, total)))
    assert steps == [(1, 3), (2, 3), (3, 3)]
    weight = model.get_submodule(name).get_parameter("weight")
    assert weight.grad is None
    assert not weight.requires_grad


def test_transposed_layers_keep_their_own_shape() -> None:
    torch.manual_seed(0)
    model: nn.Module = GPT2LMHeadModel(GPT2Config(vocab_size=50, n_embd=16, n_layer=1, n_head=2, n_positions=16)).eval()
    assert fisher_diagonals(model, _ids(), ["transformer.h.0.attn.c_attn"])["transformer.h.0.attn.c_attn"].shape == (
        16,
        48,
    )


def test_encoders_have_no_loss() -> None:
    config = BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24)
    with pytest.raises(EdgeqError, match="no loss to differentiate, found BertModel"):
        fisher_diagonals(BertModel(config), _ids(), [])
