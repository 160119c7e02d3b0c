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


class CompressionRecord(_Strict):
    """How a packed matrix is compressed once more.

    Attributes:
        codec: ``rans`` (order-0 entropy coder) or ``nibble`` (4 bits for the 15 most frequent codes).
        mode: ``load``: decoded when the model is loaded; ``use``: stays compressed in memory, and every tile is
            decoded right before it is multiplied.
        raw_size: Bytes of the packed matrix.
        entropy: Order-0 entropy of the matrix's codes, in bits per weight.
    """

    codec: Literal["rans", "nibble"]
    mode: Literal["load", "use"]
    raw_size: NonNegative
    entropy: Annotated[float, Field(ge=0, le=8)]


class LayerRecord(_Strict):
    """One weight matrix ``[rows, columns]`` and how it is stored.

    Attributes:
        name: Module or initializer name in the source model.
        operators: Operator types that read it (two for a tied embedding and head).
        scheme: Its scheme string; ``fp32`` where it was kept.
        size: Stored bytes, those of corrections included.
        corrections: What is added to its product.
        compression: How it is compressed; ``None`` where its bytes are those of the format.
    """

    name: str
    operators: list[str]
    scheme: str
    rows: Positive
    columns: Positive
    size: NonNegative
    corrections: list[CorrectionRecord] = []
    compression: CompressionRecord | None = None

    @property
    def raw_size(self) -> int:
        """Stored bytes without compression."""
        if self.compression is None:
            return self.size
        return self.compression.raw_size + sum(correction.size for correction in self.corrections)


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
        length_reason: Why that length, where edgeq chose it.
    """

    source: str
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    samples: Positive
    length: Positive
    seed: int
    length_reason: str | None = None


class TrainingRecord(_Strict):
    """How the weights were trained under their quantizers.

    Attributes:
        source: Name of the text's file.
        fingerprint: SHA-256 of its token ids.
        steps: Of the optimizer.
        tokens: Read in them.
        loss: What was made small: ``kl``, ``ce`` or ``mix``.
        final_loss: At the end, nats per token: of the validation text where there was one, else of the last steps.
        gamma: What shared a trained γ.
        gradient: What stood for the derivative of the quantizer.
    """

    source: str
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    steps: Positive
    tokens: Positive
    loss: str
    final_loss: float
    gamma: str
    gradient: str


class AllocatedLayer(_Strict):
    """What a budget chose for a layer.

    Attributes:
        name: Of the layer.
        scheme: Chosen.
        damage: Predicted change of the loss with this layer alone quantized so, in the unit of the sensitivity.
        optimal_bits: What the closed form gives at the average of the chosen bits, a real number.
    """

    name: str
    scheme: str
    damage: float
    optimal_bits: float


class AllocationRecord(_Strict):
    """How schemes were chosen within a budget.

    Attributes:
        sensitivity: What predicted the damage: ``output``, ``fisher``, ``noise`` or ``kl``.
        algorithm: ``exact`` or ``greedy``.
        candidates: Schemes among which was chosen.
        budget: Limits by name: bits per weight, bytes, seconds, joules.
        used: What the model takes of each limit that decided, and the limit, as text.
        bits_per_weight: Stored bits per weight of the allocated layers.
        predicted_loss_change: In nats per token; ``None`` where the sensitivity predicts no loss.
        layers: The allocated layers.
    """

    sensitivity: str
    algorithm: str
    candidates: list[str]
    budget: dict[str, float]
    used: dict[str, str]
    bits_per_weight: float
    predicted_loss_change: float | None
    layers: list[AllocatedLayer]


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
        allocation: How a budget chose the schemes of the layers, if there was one.
        training: How it was trained under its quantizers, if it was.
        kv_cache: How keys and values of past tokens are kept: ``kv8``, ``kv4``, or ``None``: as floats.
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
    allocation: AllocationRecord | None = None
    training: TrainingRecord | None = None
    kv_cache: Literal["kv8", "kv4"] | None = None
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
