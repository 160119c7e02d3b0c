# SPDX-License-Identifier: Apache-2.0
"""Everything that decides the result of a training, checked before anything is loaded."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgeq.errors import EdgeqError
from edgeq.training.gradients import Gradient
from edgeq.training.quantizer import GammaScope

_SHORT_OPTIONS = {"learning_rate": "lr", "gamma_rate": "gamma-lr"}
Loss = Literal["kl", "ce", "mix"]


class Settings(BaseModel):
    """How a model is trained.

    Attributes:
        scheme: Default scheme.
        vocabulary: Scheme of the token embedding and the output head; 8 bits if none is given.
        layers: Scheme by layer pattern, in order; later ones win.
        skip: Patterns of layers kept in float32.
        init: What quantizes the matrices that training starts from: ``rtn``, or ``gptq``, which observes them on
            windows of the training text.
        init_options: Options of that method by ``METHOD.FIELD``; by default γ is searched.
        gamma: What shares a γ that is trained: a group, a row (``channel``) or a matrix (``tensor``); ``off`` for none.
        gradient: What stands for the derivative of rounding and clipping (`edgeq.training.gradients`).
        loss: ``kl``: distance of the predictions from those of the original (distillation); ``ce``: cross-entropy of
            the text; ``mix``: both.
        mix: Share of cross-entropy in ``mix``.
        steps: Steps of the optimizer.
        batch: Windows that a process reads at a time.
        accumulate: Batches whose gradients are added up for a step.
        length: Tokens per window; by default 512, or the model's context where that is shorter.
        learning_rate: Of the weights, at its peak.
        gamma_rate: The same of log γ: γ changes by about this share in a step.
        weight_decay: Of the matrices (AdamW).
        warmup: Share of the steps in which the learning rates rise; then they fall to 0 along a cosine.
        gamma_frozen: Share of the steps, at the end, in which γ stays.
        clip_norm: Longest gradient; longer ones are scaled to it.
        seed: Of the order of the windows.
        bfloat16: Whether products are computed in bfloat16, and the quantizers, norms of gradients and sums in float32.
        evaluate_every: Steps between evaluations on the validation text.
        patience: Evaluations without a better loss after which training stops; ``None``: never.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    scheme: str = "w4g128"
    vocabulary: str | None = None
    layers: dict[str, str] = Field(default_factory=dict)
    skip: list[str] = Field(default_factory=list)
    init: Literal["rtn", "gptq"] = "rtn"
    init_options: dict[str, bool | int | float | str] = Field(default_factory=dict)
    gamma: GammaScope = "group"
    gradient: Gradient = "ste"
    loss: Loss = "kl"
    mix: float = Field(0.5, ge=0, le=1)
    steps: int = Field(1000, ge=1)
    batch: int = Field(8, ge=1)
    accumulate: int = Field(1, ge=1)
    length: int | None = Field(None, ge=2)
    learning_rate: float = Field(2e-4, gt=0)
    gamma_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    warmup: float = Field(0.05, ge=0, lt=1)
    gamma_frozen: float = Field(0.1, ge=0, le=1)
    clip_norm: float = Field(1.0, gt=0)
    seed: int = Field(0, ge=0)
    bfloat16: bool = False
    evaluate_every: int = Field(50, ge=1)
    patience: int | None = Field(None, ge=1)

    @classmethod
    def build(cls, **values: object) -> Settings:
        """Settings from what is given; ``None`` means the default.

        Raises:
            EdgeqError: A value is out of range or of the wrong kind.
        """
        try:
            return cls.model_validate({name: value for name, value in values.items() if value is not None})
        except ValidationError as error:
            first = error.errors()[0]
            field = str(first["loc"][0])
            option = "--" + _SHORT_OPTIONS.get(field, field).replace("_", "-")
            raise EdgeqError(first["msg"], field=option, found=repr(first["input"])[:80]) from error
