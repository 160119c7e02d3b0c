# SPDX-License-Identifier: Apache-2.0
"""Where the inputs of a layer can be divided by a scale per channel, the layer's weights taking it up.

The scale goes into what makes the inputs: the normalization before, or the rows of a linear layer with nothing but
products in between. Both leave the block's outputs as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from edgeq.calibration.calls import ModuleCall
from edgeq.calibration.statistics import LayerStatistics
from edgeq.errors import EdgeqError
from edgeq.formats import Format

ActivationQuantizer = Callable[[Tensor], Tensor]
Source = Literal["norm", "offset norm", "linear", "value"]


@dataclass(frozen=True)
class Fold:
    """One place to fold a scale.

    Attributes:
        source: Module that makes the inputs, by its name inside the block.
        layers: The layers that read them, and nothing else does.
        kind: ``norm`` multiplies by its weight, ``offset norm`` by one more than it, ``linear`` has a row per channel,
            ``value`` has one per channel of a key-value head, shared by the query heads of its group.
        last_rows: Whether the channels are the last rows of a fused layer.
        attention: Module whose outputs tell what errors of these layers cost: that of queries, keys and values.
        through: Activation function between source and layers; a positive scale passes ``relu``.
    """

    source: str
    layers: tuple[str, ...]
    kind: Source = "norm"
    last_rows: bool = False
    attention: str = ""
    through: str = ""


_QKV = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")


def _gated(norm: str, feed_forward: str, kind: Source = "norm") -> tuple[Fold, ...]:
    return (
        Fold(norm, _QKV, kind, attention="self_attn"),
        Fold("self_attn.v_proj", ("self_attn.o_proj",), "value"),
        Fold(feed_forward, ("mlp.gate_proj", "mlp.up_proj"), kind),
        Fold("mlp.up_proj", ("mlp.down_proj",), "linear"),
    )


_LLAMA = _gated("input_layernorm", "post_attention_layernorm")
_GEMMA = _gated("input_layernorm", "pre_feedforward_layernorm", "offset norm")
_BERT = (Fold("attention.self.value", ("attention.output.dense",), "value"),)

# In these encoders the norms come after the additions: the residual reads their output too, unscaled, so nothing can be
# folded into them; and a scale does not pass the GELU between the feed-forward layers. What is left is value to output.
FOLDS: dict[str, tuple[Fold, ...]] = {
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    "qwen3": _LLAMA,
    "gemma": _gated("input_layernorm", "post_attention_layernorm", "offset norm"),
    "gemma2": _GEMMA,
    "gemma3_text": _GEMMA,
    "phi3": (
        Fold("input_layernorm", ("self_attn.qkv_proj",), attention="self_attn"),
        Fold("self_attn.qkv_proj", ("self_attn.o_proj",), "value", last_rows=True),
        Fold("post_attention_layernorm", ("mlp.gate_up_proj",)),
        Fold("mlp.gate_up_proj", ("mlp.down_proj",), "linear", last_rows=True),
    ),
    "gpt2": (
        Fold("ln_1", ("attn.c_attn",), attention="attn"),
        Fold("attn.c_attn", ("attn.c_proj",), "value", last_rows=True),
        Fold("ln_2", ("mlp.c_fc",)),
    ),
    "opt": (
        Fold("self_attn_layer_norm", _QKV, attention="self_attn"),
        Fold("self_attn.v_proj", ("self_attn.out_proj",), "value"),
        Fold("final_layer_norm", ("fc1",)),
        Fold("fc1", ("fc2",), "linear", through="relu"),
    ),
    "bert": _BERT,
    "electra": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
    "distilbert": (Fold("attention.v_lin", ("attention.out_lin",), "value"),),
    "mpnet": (Fold("attention.attn.v", ("attention.attn.o",), "value"),),
}


@dataclass
class FoldableBlock:
    """A block, and what is known of its layers' inputs.

    Attributes:
        module: The block, with float weights.
        config: Configuration of the model.
        formats: Number format of each layer that is going to be quantized, by its name inside the block.
        statistics: Inputs of those layers; `apply` keeps them true.
        activations: What rounds the inputs of a layer as its operator does; none where they stay float.
        calls: Calls of the attention modules with the original inputs, by their names inside the block.
    """

    module: nn.Module
    config: Any
    formats: Mapping[str, Format]
    statistics: dict[str, LayerStatistics]
    activations: Mapping[str, ActivationQuantizer] = field(default_factory=dict)
    calls: Mapping[str, ModuleCall] = field(default_factory=dict)

    def folds(self) -> list[Fold]:
        """The places at which a layer to be quantized reads the inputs; errors as in `places`."""
        return [place for place in self.places() if any(layer in self.statistics for layer in place.layers)]

    def places(self) -> list[Fold]:
        """The places of this architecture.

        Raises:
            EdgeqError: The architecture is not in the table.
        """
        if self.config.model_type not in FOLDS:
            raise EdgeqError(
                "nowhere to fold scales", field="model_type", found=self.config.model_type, wanted=", ".join(FOLDS)
            )
        function = getattr(self.config, "activation_function", None)
        places = [place for place in FOLDS[self.config.model_type] if place.through in ("", function)]
        if not getattr(self.config, "do_layer_norm_before", True):  # OPT-350m's norms feed the residual too
            return [place for place in places if place.kind != "norm"]
        return places

    def weight(self, layer: str) -> Tensor:
        """The weight of a layer as ``[N, K]``; a view of the parameter's data."""
        module = self.module.get_submodule(layer)
        weight = module.get_parameter("weight").data
        return weight.T if isinstance(module, Conv1D) else weight

    def as_parameter(self, layer: str, weight: Tensor) -> Tensor:
        """A matrix ``[N, K]`` as the layer's own weight."""
        return weight.T if isinstance(self.module.get_submodule(layer), Conv1D) else weight

    def shared(self, fold: Fold, channels: Tensor) -> Tensor:
        """Values per channel ``[K]``, averaged over channels that must have the same scale."""
        if fold.kind != "value":
            return channels
        repeats, head = self._repeats(len(channels))
        return channels.reshape(-1, repeats, head).mean(1, keepdim=True).expand(-1, repeats, -1).reshape(-1)

    def apply(self, fold: Fold, scale: Tensor) -> None:
        """Multiplies the layers' columns by ``scale`` ``[K]``, and divides what makes their inputs by it."""
        for layer in fold.layers:
            self.weight(layer).mul_(scale)
            if layer in self.statistics:
                self.statistics[layer] = scaled_statistics(self.statistics[layer], scale)
        source: Any = self.module.get_submodule(fold.source)
        if fold.kind in ("linear", "value"):
            if fold.kind == "value":
                repeats, head = self._repeats(len(scale))
                scale = scale.reshape(-1, repeats, head)[:, 0].reshape(-1)
            rows = slice(-len(scale), None) if fold.last_rows else slice(None)
            self.weight(fold.source)[rows].div_(scale[:, None])
            if source.bias is not None:
                source.bias.data[rows].div_(scale)
            return
        offset = 1.0 if fold.kind == "offset norm" else 0.0
        source.weight.data.add_(offset).div_(scale).sub_(offset)
        if getattr(source, "bias", None) is not None:
            source.bias.data.div_(scale)

    def _repeats(self, channels: int) -> tuple[int, int]:
        """Query heads per key-value head, and the width of a head."""
        heads = self.config.num_attention_heads
        return heads // (getattr(self.config, "num_key_value_heads", None) or heads), channels // heads


def scaled_statistics(statistics: LayerStatistics, scale: Tensor) -> LayerStatistics:
    """The statistics of inputs that are divided by ``scale`` ``[K]``."""
    inverse = 1 / scale.double()
    return replace(
        statistics,
        gram=statistics.gram * inverse[:, None] * inverse,
        absmax=statistics.absmax / scale,
        mean_abs=statistics.mean_abs / scale,
        sample=None if statistics.sample is None else statistics.sample / scale,
        memo={},
    )
