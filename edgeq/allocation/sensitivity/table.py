# SPDX-License-Identifier: Apache-2.0
"""Measured errors and predicted damage by layer and scheme; what the cache holds."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["output", "fisher", "noise", "kl"]
KINDS: tuple[Kind, ...] = get_args(Kind)
UNITS: dict[Kind, str] = {
    "output": "squared change of the outputs",
    "fisher": "nats/token",
    "noise": "nats/token",
    "kl": "nats/token",
}

Number = Annotated[float, Field(allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SchemeErrors(_Strict):
    """What a scheme does to a layer.

    Attributes:
        weight: ‖Ŵ − W‖² / ‖W‖².
        output: ‖X(Ŵ − W)ᵀ‖² / ‖XWᵀ‖² over the calibration tokens; ``None`` without calibration.
        damage: Predicted change of the loss with this layer alone quantized so.
    """

    weight: Number
    output: Number | None
    damage: Number


class LayerSensitivity(_Strict):
    """A layer's errors.

    Attributes:
        name: Of the layer.
        rows: N.
        columns: K.
        group: Number of the input that it reads; layers with the same one can be fused into one operator.
        alpha: Damage per error: of ``output``, mean square of the outputs; of ``fisher``, damage per relative squared
            error of the weights; of ``noise``, the slope of the regression; ``None`` where damage is measured itself.
        errors: By scheme string.
    """

    name: str
    rows: int
    columns: int
    group: int
    alpha: Number | None
    errors: dict[str, SchemeErrors]


class SensitivityTable(_Strict):
    """All layers that a budget decides on.

    Attributes:
        kind: How damage is predicted.
        layers: In the order in which they run.
    """

    kind: Kind
    layers: list[LayerSensitivity]

    @property
    def unit(self) -> str:
        """Of the damage."""
        return UNITS[self.kind]
