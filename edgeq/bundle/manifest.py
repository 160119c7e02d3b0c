# SPDX-License-Identifier: Apache-2.0
"""``edgeq.json``: what a bundle holds, how each layer is quantized, and where it came from."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgeq.errors import EdgeqError

MANIFEST_NAME = "edgeq.json"

NonNegative = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(gt=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileRecord(_Strict):
    """Size in bytes and SHA-256 of one file."""

    size: NonNegative
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class CorrectionRecord(_Strict):
    """A float16 matrix whose product is added to that of a quantized one.

    Attributes:
        kind: ``low_rank`` (two factors) or ``sparse`` (single weights in compressed rows).
        size: Stored bytes.
        rank: Of the factors.
        entries: Weights stored.
    """

    kind: Literal["low_rank", "sparse"]
    size: NonNegative
    rank: Positive | None = None
    entries: NonNegative | None = None


class LayerRecord(_Strict):
    """One weight matrix ``[rows, columns]`` and how it is stored.

    Attributes:
        name: Module or initializer name in the source model.
        operators: Operator types that read it (two for a tied embedding and head).
        scheme: Its scheme string; ``fp32`` where it was kept.
        size: Stored bytes, those of corrections included.
        corrections: What is added to its product.
    """

    name: str
    operators: list[str]
    scheme: str
    rows: Positive
    columns: Positive
    size: NonNegative
    corrections: list[CorrectionRecord] = []


class Source(_Strict):
    """The original model."""

    name: str
    architecture: str
    parameters: NonNegative
    fingerprint: Annotated[str, Field(description="SHA-256 over the weight files' headers and sizes")]


class CalibrationRecord(_Strict):
    """What a model was calibrated on.

    Attributes:
        source: Name of the file.
        fingerprint: SHA-256 of the token ids.
        samples: Windows.
        length: Tokens per window.
        seed: What the windows were drawn with.
    """

    source: str
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    samples: Positive
    length: Positive
    seed: int


class OperatorLibrary(_Strict):
    """The operators the graph needs; empty ``libraries`` with no operators means stock ONNX Runtime is enough."""

    domain: Literal["com.edgeq"] = "com.edgeq"
    version: Literal[1] = 1
    libraries: dict[str, str] = Field(description="platform -> path inside the bundle")


class Manifest(_Strict):
    """The whole of ``edgeq.json``.

    Attributes:
        kind: ``decoder`` (token by token, with a KV cache), ``encoder`` (hidden states) or ``graph`` (any other model).
        scheme: Default scheme of the export.
        method: Quantization method and its options.
        calibration: What it was calibrated on, if the method was given anything.
        model: The ONNX file's name.
        files: Every other file of the bundle, by relative path.
        versions: Library versions at export.
    """

    schema_version: Literal[1] = 1
    edgeq_version: str
    kind: Literal["decoder", "encoder", "graph"]
    scheme: str
    method: str
    calibration: CalibrationRecord | None = None
    model: str = "model.onnx"
    source: Source
    operators: OperatorLibrary
    layers: list[LayerRecord]
    files: dict[str, FileRecord]
    versions: dict[str, str]

    @property
    def bits_per_weight(self) -> float:
        """Stored bits per weight over all recorded matrices, scales included."""
        weights = sum(layer.rows * layer.columns for layer in self.layers)
        return 8 * sum(layer.size for layer in self.layers) / weights if weights else 0.0


def read_manifest(directory: Path) -> Manifest:
    """Reads and checks ``edgeq.json``.

    Raises:
        EdgeqError: The file is missing, is not JSON, or a field is missing, unknown or wrong.
    """
    path = directory / MANIFEST_NAME
    if not path.is_file():
        raise EdgeqError(
            "not a bundle",
            file=directory,
            found=f"no {MANIFEST_NAME}",
            remedy="make one with: edgeq export MODEL -o OUT",
        )
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "JSON"
        raise EdgeqError(
            first["msg"], file=path, field=field, found=repr(first["input"])[:80], remedy="export the bundle again"
        ) from error


def manifest_hash(directory: Path) -> str:
    """SHA-256 of ``edgeq.json``, which holds those of all other files: the identity of a bundle."""
    return hashlib.sha256((directory / MANIFEST_NAME).read_bytes()).hexdigest()
