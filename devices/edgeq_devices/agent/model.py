# SPDX-License-Identifier: Apache-2.0
"""Runs a bundle's graph with NumPy and ONNX Runtime alone; names and shapes come with the job.

Keys and values lie in one set of buffers, bound as past and as present, as in edgeq's own runtime.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from edgeq.errors import EdgeqError
from edgeq_devices.job import DecoderGraph, Job
from edgeq_devices.measure import Tokens
from edgeq_devices.worker import LoadedModel
from edgeq_ops.instruction_sets import instruction_sets

CHUNK = 64  # prompt tokens per run, as in edgeq's runtime
KEEP = "num_logits_to_keep"
_TYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,  # two codes of 4 bits to a byte
}


class Decoder:
    """A decoder bundle; see :class:`edgeq_devices.measure.Model`."""

    def __init__(self, job: Job, graph: DecoderGraph) -> None:
        self._session, self.instruction_set = open_session(job)
        self.vocabulary, self.context = job.model.vocabulary, job.model.context
        self._graph, self._length = graph, 0
        self._binding = self._session.io_binding()
        self._arrays: dict[str, NDArray[Any]] = {}
        self._mask = np.ones((1, job.test.context), np.int64)
        self._positions = np.arange(job.test.context, dtype=np.int64)[None]
        self._keeps = KEEP in {tensor.name for tensor in self._session.get_overridable_initializers()}
        self._make_cache(job.test.context)

    def reset(self) -> None:
        """Empties the context."""
        self._length = 0

    def end_profiling(self) -> Path:
        """The file of ONNX Runtime's trace; the caller deletes it."""
        return Path(self._session.end_profiling())

    def advance(self, tokens: Tokens) -> None:
        """Appends tokens; only the logits of the last are computed where the graph can leave the others out."""
        for start in range(0, len(tokens), CHUNK):
            self._step(tokens[start : start + CHUNK])

    def _step(self, tokens: Tokens) -> None:
        past, total = self._length, self._length + len(tokens)
        graph = self._graph
        self._bind(graph.input_ids, np.ascontiguousarray(tokens[None], np.int64))
        self._bind(graph.attention_mask, self._mask[:, :total])
        if graph.position_ids:
            self._bind(graph.position_ids, self._positions[:, past:total])
        if self._keeps:
            self._bind(KEEP, np.array(1, np.int64))
        rows = 1 if self._keeps else len(tokens)
        self._bind(graph.logits, np.empty((1, rows, self.vocabulary), np.float32), output=True)
        self._session.run_with_iobinding(self._binding)
        self._length = total

    def _make_cache(self, capacity: int) -> None:
        graph = self._graph
        types = {tensor.name: tensor.type for tensor in self._session.get_inputs()}
        for layer in range(graph.layers):
            for past, present in ((graph.past_key, graph.present_key), (graph.past_value, graph.present_value)):
                kind = _TYPES[types[past % layer]]
                width = graph.head_size // 2 if kind is np.uint8 else graph.head_size
                buffer = np.zeros((1, graph.kv_heads, capacity, width), kind)
                self._bind(past % layer, buffer)
                self._bind(present % layer, buffer, output=True)

    def _bind(self, name: str, array: NDArray[Any], *, output: bool = False) -> None:
        self._arrays[name] = array  # the binding knows the address alone
        bind = self._binding.bind_output if output else self._binding.bind_input
        bind(name, "cpu", 0, array.dtype.type, list(array.shape), array.ctypes.data)


class Encoder:
    """An encoder bundle, fed with one sentence of token ids at a time; vectors are not pooled."""

    def __init__(self, job: Job) -> None:
        self._session, self.instruction_set = open_session(job)
        self.vocabulary, self.context = job.model.vocabulary, job.model.context
        self._inputs = [tensor.name for tensor in self._session.get_inputs()]

    def reset(self) -> None:
        """Sentences do not depend on each other."""

    def end_profiling(self) -> Path:
        """As of a decoder."""
        return Path(self._session.end_profiling())

    def advance(self, tokens: Tokens) -> None:
        """Computes the hidden states of one sentence."""
        ids = tokens[None]
        feeds = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
            "position_ids": np.arange(ids.shape[1], dtype=np.int64)[None],
        }
        self._session.run(None, {name: feeds[name] for name in self._inputs})


def load(job: Job) -> LoadedModel:
    """Opens the model of a job.

    Raises:
        EdgeqError: The graph or its operators cannot be loaded here.
    """
    return Encoder(job) if job.model.decoder is None else Decoder(job, job.model.decoder)


def open_session(job: Job) -> tuple[ort.InferenceSession, str | None]:
    """The session of a job's graph, and the instruction set that its operators chose; ``None`` without operators.

    Raises:
        EdgeqError: ONNX Runtime refuses the graph or the operators.
    """
    path = Path(job.model.directory) / job.model.file
    try:
        options = session_options(job)
        selected = _register(options, Path(job.model.library)) if job.model.library else None
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the bindings' own exceptions share no base class
        reason = str(error).strip().partition("\n")[0][:400]
        raise EdgeqError("ONNX Runtime refuses the model", file=path, found=reason) from error
    return session, selected


def session_options(job: Job) -> ort.SessionOptions:
    """As edgeq's runtime opens sessions."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = job.threads, 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    if job.operators:
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(tempfile.gettempdir()) / f"edgeq-{os.getpid()}")
    return options


def _register(options: ort.SessionOptions, library: Path) -> str:
    """Loads the operators; the kernels that they chose."""
    options.register_custom_ops_library(str(library))
    return instruction_sets(library).selected
