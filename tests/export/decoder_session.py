# SPDX-License-Identifier: Apache-2.0
"""Steps an exported decoder through ONNX Runtime, as the tests need it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from edgeq.runtime.kv_cache import ELEMENT_TYPES

Array = np.ndarray[Any, np.dtype[Any]]


class DecoderSession:
    """A key-value cache and the attention mask over it.

    Args:
        path: ``model.onnx``.
        batch: Rows.
        capacity: Tokens of one buffer bound as past and as present; 0: new tensors at every step.
        library: The operator library, where the graph needs it.
    """

    def __init__(self, path: Path, batch: int = 1, capacity: int = 0, library: Path | None = None) -> None:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 2
        if library:
            options.register_custom_ops_library(str(library))
        self.session = ort.InferenceSession(path, options)
        self.past = {value.name: value for value in self.session.get_inputs() if value.name.startswith("past")}
        self.capacity, self.batch = capacity, batch
        self.reset()

    def reset(self) -> None:
        """Forgets all tokens."""
        self.mask: Array = np.zeros((self.batch, 0), np.int64)
        self.cache = {
            name: ort.OrtValue.ortvalue_from_numpy(
                np.zeros((self.batch, value.shape[1], self.capacity, value.shape[3]), ELEMENT_TYPES[value.type])
            )
            for name, value in self.past.items()
        }

    def step(self, tokens: Array, mask: Array | None = None, keep: int | None = None) -> Array:
        """Logits ``[batch, new or keep, vocabulary]`` of int64 tokens ``[batch, new]``; ``mask`` is 0 at padding."""
        mask = np.ones_like(tokens) if mask is None else mask
        self.mask = np.concatenate([self.mask, mask], axis=1)
        positions = np.maximum(self.mask.cumsum(1) - 1, 0)[:, -tokens.shape[1] :]
        inputs = {"input_ids": tokens, "attention_mask": self.mask, "position_ids": positions}
        if keep is not None:
            inputs["num_logits_to_keep"] = np.array(keep)
        return self._run(inputs)

    def _run(self, inputs: dict[str, Array]) -> Array:
        binding = self.session.io_binding()
        # Not bind_cpu_input: it knows no inputs with a default value.
        arrays = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
        values = {name: ort.OrtValue.ortvalue_from_numpy(array) for name, array in arrays.items()}
        for name, value in {**values, **self.cache}.items():
            binding.bind_ortvalue_input(name, value)
        for output in self.session.get_outputs():
            past = output.name.replace("present", "past_key_values")
            if self.capacity and past in self.cache:
                binding.bind_ortvalue_output(output.name, self.cache[past])
            else:
                binding.bind_output(output.name)
        self.session.run_with_iobinding(binding)
        outputs = dict(zip((o.name for o in self.session.get_outputs()), binding.get_outputs(), strict=True))
        logits: Array = outputs.pop("logits").numpy()
        if not self.capacity:
            self.cache = {name.replace("present", "past_key_values"): value for name, value in outputs.items()}
        return logits
