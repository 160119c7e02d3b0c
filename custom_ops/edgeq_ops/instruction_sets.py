# SPDX-License-Identifier: Apache-2.0
"""What the kernels can use on this machine: the answer of operator ``KernelInfo``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from edgeq.errors import EdgeqError
from edgeq_ops.library import register

_DOMAIN = b"com.edgeq"


@dataclass(frozen=True)
class InstructionSets:
    """Instruction sets of the operator library on this CPU.

    Attributes:
        selected: The one whose kernels run: the fastest, or what ``EDGEQ_ISA`` names.
        available: Those that this CPU can run, from the slowest to the fastest.
        weights: Where new sessions have their weights: ``mapped``, in the model's file, or ``huge-pages``, in a copy.
        weights_obstacle: Why they are mapped although ``EDGEQ_WEIGHTS`` asks for huge pages, or empty.
    """

    selected: str
    available: tuple[str, ...]
    weights: str = "mapped"
    weights_obstacle: str = ""


def instruction_sets(library: Path | None = None) -> InstructionSets:
    """Asks the operator library, by default `edgeq_ops.library_path`.

    Raises:
        EdgeqError: The library is missing or cannot be loaded, ``EDGEQ_ISA`` names what this CPU cannot run, or
            ``EDGEQ_WEIGHTS`` an unknown placement.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    register(options, library)
    try:
        session = onnxruntime.InferenceSession(_kernel_info_model(), options, providers=["CPUExecutionProvider"])
        answer = json.loads(session.run(None, {})[0].tobytes())
    except Exception as error:  # ONNX Runtime's exceptions share no other base
        raise EdgeqError("the operator library does not work here", found=" ".join(str(error).split())) from error
    return InstructionSets(**(answer | {"available": tuple(answer["available"])}))


def _kernel_info_model() -> bytes:
    """A model of one KernelInfo node. Written by hand: a board has no onnx package. Field numbers are onnx.proto's."""
    node = _field(2, b"info") + _field(3, b"info") + _field(4, b"KernelInfo") + _field(7, _DOMAIN)
    shape = _field(1, _field(2, b"length"))
    output = _field(1, b"info") + _field(2, _field(1, _number(1, 2) + _field(2, shape)))
    graph = _field(1, node) + _field(2, b"kernel_info") + _field(12, output)
    opsets = _field(8, _number(2, 17)) + _field(8, _field(1, _DOMAIN) + _number(2, 1))
    return _number(1, 8) + _field(7, graph) + opsets


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited protocol buffer field of fewer than 128 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content


def _number(number: int, value: int) -> bytes:
    """A varint field below 128."""
    return bytes([number << 3, value])
