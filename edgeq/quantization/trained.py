# SPDX-License-Identifier: Apache-2.0
"""Quantizers that `edgeq train` left beside a checkpoint: scales and zero points of every quantized layer."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from edgeq.bundle.manifest import TrainingRecord
from edgeq.errors import EdgeqError
from edgeq.methods.pipeline import Pipeline, Step
from edgeq.methods.qat import TrainedOptions
from edgeq.methods.registry import METHODS
from edgeq.quantization.layers import scheme_of
from edgeq.quantization.plan import Plan
from edgeq.quantization.skeleton import Target

QUANTIZERS_NAME = "quantizers.safetensors"
TRAINING_NAME = "training.json"
METHOD = "qat"
_REMEDY = "train it with: edgeq train MODEL --scheme SCHEME --text FILE -o CHECKPOINT"


@dataclass(frozen=True)
class TrainedQuantizers:
    """Quantizers of a checkpoint.

    Attributes:
        path: Their file.
        schemes: Scheme by layer name.
        settings: The fields of a recipe that chose them: scheme, vocabulary, layers, skip.
        tensors: ``LAYER.scales`` float16 ``[N, G]``, ``LAYER.zero_points`` uint8 ``[N, G]`` of asymmetric formats.
    """

    path: Path
    schemes: dict[str, str]
    settings: dict[str, Any]
    tensors: dict[str, Tensor]

    def pipelines(self, targets: Iterable[Target], plan: Plan) -> dict[str, Pipeline]:
        """What quantizes each layer, by name.

        Raises:
            EdgeqError: A layer was trained under another scheme, or not at all.
        """
        found = {}
        for target in targets:
            scheme, trained = str(scheme_of(plan, target)), self.schemes.get(target.name, "fp32")
            if trained != scheme:
                raise EdgeqError(
                    "trained under another scheme",
                    file=self.path,
                    field=target.name,
                    found=trained,
                    wanted=scheme,
                    remedy="leave out --scheme, --vocabulary, --layer and --skip, or train under these",
                )
            if scheme != "fp32":
                found[target.name] = self._pipeline(target.name)
        return found

    def _pipeline(self, name: str) -> Pipeline:
        scales, zeros = self.tensors.get(f"{name}.scales"), self.tensors.get(f"{name}.zero_points")
        if scales is None:
            raise EdgeqError("missing tensor", file=self.path, field=f"{name}.scales", remedy=_REMEDY)
        return Pipeline((Step(METHODS[METHOD], TrainedOptions(scales, zeros)),))


def trained_quantizers(directory: Path, plan: Plan, *, calibrated: bool) -> TrainedQuantizers | None:
    """The quantizers of a checkpoint, if the plan's method is ``qat``.

    Raises:
        EdgeqError: There are none, or the plan has further methods or calibration, which would undo the training.
    """
    methods = str(plan.pipeline).split("+")
    if METHOD not in methods:
        return None
    if len(methods) > 1 or calibrated:
        raise EdgeqError(
            "trained quantizers are complete",
            field="--method",
            found=" with ".join([str(plan.pipeline), *(["--calibration"] if calibrated else [])]),
            wanted=f"{METHOD} alone",
        )
    return read_quantizers(directory)


def read_quantizers(directory: Path) -> TrainedQuantizers:
    """The quantizers of a checkpoint.

    Raises:
        EdgeqError: There are none, or the file is damaged.
    """
    path = directory / QUANTIZERS_NAME
    if not path.is_file():
        raise EdgeqError("checkpoint has no trained quantizers", file=path, field="--method qat", remedy=_REMEDY)
    try:
        with safe_open(path, "pt") as file:
            described = json.loads((file.metadata() or {})["edgeq"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        return TrainedQuantizers(path, described["schemes"], described["settings"], tensors)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise EdgeqError(f"damaged quantizers ({error})", file=path, remedy=_REMEDY) from error


def read_training_record(directory: Path) -> TrainingRecord | None:
    """How a checkpoint was trained, for the manifest; ``None`` where it does not say.

    Raises:
        EdgeqError: The file is damaged.
    """
    path = directory / TRAINING_NAME
    if not path.is_file():
        return None
    try:
        return TrainingRecord.model_validate(json.loads(path.read_text(encoding="utf-8"))["record"])
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise EdgeqError(f"damaged record of a training ({error})", file=path, remedy="delete it") from error
