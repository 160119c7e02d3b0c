# SPDX-License-Identifier: Apache-2.0
"""Keys and values of past tokens: one set of buffers, bound as past and as present."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from edgeq.bundle.genai_config import Decoder
from edgeq.errors import EdgeqError

# Floats; codes of 8 bits; two codes of 4 bits to a byte.
ELEMENT_TYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
}


class KvCache(Protocol):
    """What the decoder asks of a cache.

    Attributes:
        length: Tokens held.
    """

    length: int

    def reserve(self, capacity: int) -> None:
        """Makes room for ``capacity`` tokens in all; what is held stays."""

    def bind(self, binding: ort.IOBinding) -> None:
        """Binds pasts and presents for the next run."""

    def advance(self, binding: ort.IOBinding, count: int) -> None:
        """Takes over ``count`` tokens that a run has appended."""

    def truncate(self, length: int) -> None:
        """Forgets all but the first ``length`` tokens."""


def bind_array(binding: ort.IOBinding, name: str, array: NDArray[np.generic], *, output: bool = False) -> None:
    """Binds a contiguous array's memory itself; the array must outlive the run."""
    bind = binding.bind_output if output else binding.bind_input
    bind(name, "cpu", 0, array.dtype.type, array.shape, array.__array_interface__["data"][0])


def cache_names(decoder: Decoder) -> list[tuple[str, str]]:
    """Pairs of past and present tensor names, keys and values of all layers."""
    inputs, outputs = decoder.inputs, decoder.outputs
    pairs = ((inputs.past_key_names, outputs.present_key_names), (inputs.past_value_names, outputs.present_value_names))
    return [(past % layer, present % layer) for layer in range(decoder.num_hidden_layers) for past, present in pairs]


def cache_width(head_size: int, onnx_type: str) -> int:
    """Elements of a head in a past tensor: half as many as the head has where a byte holds two."""
    return head_size // 2 if onnx_type == "tensor(uint8)" else head_size


class SharedKvCache:
    """Buffers ``[1, kv_heads, capacity, width]`` that GroupQueryAttention extends in place.

    Args:
        decoder: Names and shape.
        onnx_type: One of `ELEMENT_TYPES`.
    """

    def __init__(self, decoder: Decoder, onnx_type: str) -> None:
        self.length, self.capacity = 0, 0
        self._heads, self._width = decoder.num_key_value_heads, cache_width(decoder.head_size, onnx_type)
        self._names, self._type = cache_names(decoder), ELEMENT_TYPES[onnx_type]
        self._buffers: list[NDArray[np.generic]] = []
        self._bound: ort.IOBinding | None = None

    def reserve(self, capacity: int) -> None:
        """See `KvCache`; pages of the buffers take memory only when they are written."""
        if capacity <= self.capacity:
            return
        shape = (1, self._heads, capacity, self._width)
        grown = [np.zeros(shape, self._type) for _ in self._names]
        for new, old in zip(grown, self._buffers, strict=False):  # the first time there are no old ones
            new[:, :, : self.length] = old[:, :, : self.length]
        self._buffers, self.capacity, self._bound = grown, capacity, None

    def bind(self, binding: ort.IOBinding) -> None:
        """See `KvCache`."""
        if binding is self._bound:
            return
        for (past, present), buffer in zip(self._names, self._buffers, strict=True):
            bind_array(binding, past, buffer)
            bind_array(binding, present, buffer, output=True)
        self._bound = binding

    def advance(self, binding: ort.IOBinding, count: int) -> None:
        """See `KvCache`."""
        self.length += count

    def truncate(self, length: int) -> None:
        """See `KvCache`."""
        self.length = min(length, self.length)


class ConcatKvCache:
    """For graphs that concatenate: each run's presents are the next run's pasts, copied by the graph.

    Args:
        decoder: Names and shape.
        onnx_type: One of `ELEMENT_TYPES`.
    """

    def __init__(self, decoder: Decoder, onnx_type: str) -> None:
        self.length = 0
        self._names = cache_names(decoder)
        width = cache_width(decoder.head_size, onnx_type)
        empty = np.zeros((1, decoder.num_key_value_heads, 0, width), ELEMENT_TYPES[onnx_type])
        self._empty = ort.OrtValue.ortvalue_from_numpy(empty)
        self._values = [self._empty] * len(self._names)

    def reserve(self, capacity: int) -> None:
        """See `KvCache`; nothing to do."""

    def bind(self, binding: ort.IOBinding) -> None:
        """See `KvCache`."""
        for (past, present), value in zip(self._names, self._values, strict=True):
            binding.bind_ortvalue_input(past, value)
            binding.bind_output(present, "cpu")

    def advance(self, binding: ort.IOBinding, count: int) -> None:
        """See `KvCache`."""
        # Outputs come in the order in which they were first bound: the logits, then the presents.
        self._values = binding.get_outputs()[-len(self._names) :]
        self.length += count

    def truncate(self, length: int) -> None:
        """See `KvCache`."""
        if length < self.length:
            kept = [np.ascontiguousarray(value.numpy()[:, :, :length]) for value in self._values]
            self._values = [ort.OrtValue.ortvalue_from_numpy(array) for array in kept]
            self.length = length


def make_cache(decoder: Decoder, onnx_type: str, *, shared: bool) -> SharedKvCache | ConcatKvCache:
    """The cache that suits a graph.

    Args:
        decoder: Names and shape.
        onnx_type: Type of the past tensors as ONNX Runtime names it.
        shared: The graph takes one buffer as past and present (``search.past_present_share_buffer``).

    Raises:
        EdgeqError: The element type is not supported.
    """
    if onnx_type not in ELEMENT_TYPES:
        raise EdgeqError(
            "unsupported KV cache type",
            field=cache_names(decoder)[0][0],
            found=onnx_type,
            wanted=" or ".join(ELEMENT_TYPES),
        )
    kind = SharedKvCache if shared else ConcatKvCache
    return kind(decoder, onnx_type)
