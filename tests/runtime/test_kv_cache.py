# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from edgeq.errors import EdgeqError
from edgeq.runtime.kv_cache import ELEMENT_TYPES, SharedKvCache, make_cache
from edgeq.runtime.session import open_session

DECODER: Any = SimpleNamespace(
    num_hidden_layers=2,
    num_key_value_heads=3,
    head_size=8,
    inputs=SimpleNamespace(past_key_names="past.%d.key", past_value_names="past.%d.value"),
    outputs=SimpleNamespace(present_key_names="present.%d.key", present_value_names="present.%d.value"),
)


class Binding:
    """Remembers what was bound."""

    def __init__(self) -> None:
        self.bound: dict[str, tuple[Any, tuple[int, ...], int]] = {}

    def bind_input(
        self, name: str, _device: str, _index: int, dtype: Any, shape: tuple[int, ...], address: int
    ) -> None:
        self.bound[name] = dtype, shape, address

    bind_output = bind_input


@pytest.mark.parametrize(("onnx_type", "width"), [("tensor(float)", 8), ("tensor(int8)", 8), ("tensor(uint8)", 4)])
def test_codes_of_four_bits_lie_two_to_a_byte(onnx_type: str, width: int) -> None:
    cache, binding = make_cache(DECODER, onnx_type, shared=True), Binding()
    assert isinstance(cache, SharedKvCache)
    cache.reserve(5)
    cache.bind(binding)  # type: ignore[arg-type]
    assert len(binding.bound) == 8
    for layer in range(2):
        assert binding.bound[f"past.{layer}.key"] == binding.bound[f"present.{layer}.key"]
        dtype, shape, _ = binding.bound[f"past.{layer}.value"]
        assert (dtype, shape) == (ELEMENT_TYPES[onnx_type], (1, 3, 5, width))
    cache._buffers[0][:, :, :2] = 7
    cache.length = 2
    cache.reserve(9)  # what is held stays
    np.testing.assert_array_equal(cache._buffers[0][0, 0, :, 0], [7, 7, 0, 0, 0, 0, 0, 0, 0])


def test_an_older_onnxruntime_is_refused_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle: Any = SimpleNamespace(manifest=SimpleNamespace(kv_cache="kv4"), directory=Path("bundle"))
    monkeypatch.setattr(ort, "__version__", "1.20.1")
    message = r"no attention on a kv4 cache in this ONNX Runtime, found 1\.20\.1, wanted 1\.31 or newer"
    with pytest.raises(EdgeqError, match=message):
        open_session(bundle)
