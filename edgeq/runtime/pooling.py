# SPDX-License-Identifier: Apache-2.0
"""From hidden states to one vector per text, as the sentence-transformers files of a bundle say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, RootModel

from edgeq.bundle.genai_config import read_json_as
from edgeq.bundle.reader import Bundle
from edgeq.errors import EdgeqError

MODULES_NAME = "modules.json"
Floats = NDArray[np.float32]


class _PoolingConfig(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)

    pooling_mode_cls_token: bool = False
    pooling_mode_mean_tokens: bool = False


class _Module(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    path: str = ""
    type: str


class _Modules(RootModel[list[_Module]]):
    """``modules.json``."""


@dataclass(frozen=True)
class Pooling:
    """How hidden states become a vector.

    Attributes:
        mode: ``mean`` over a text's tokens, or ``cls``: its first token.
        normalize: Scale the vector to length 1.
    """

    mode: Literal["mean", "cls"] = "mean"
    normalize: bool = True

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> Pooling:
        """What ``modules.json`` and the pooling module's ``config.json`` say; mean and normalized without them.

        Raises:
            EdgeqError: The pooling is of another kind.
        """
        file = bundle.file(MODULES_NAME)
        if file is None:
            return cls()
        modules = read_json_as(file, _Modules).root
        normalize = any(module.type.endswith(".Normalize") for module in modules)
        path = next((module.path for module in modules if module.type.endswith(".Pooling")), None)
        config_file = bundle.file(f"{path}/config.json") if path else None
        if config_file is None:
            return cls("mean", normalize)
        config = read_json_as(config_file, _PoolingConfig)
        modes = [name for name, value in config if name.startswith("pooling_mode_") and value is True]
        names: dict[str, Literal["mean", "cls"]] = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
        if len(modes) != 1 or modes[0] not in names:
            raise EdgeqError(
                "unsupported pooling", file=config_file, found=", ".join(modes) or "none", wanted=" or ".join(names)
            )
        return cls(names[modes[0]], normalize)

    def __call__(self, hidden: Floats, mask: NDArray[np.int64]) -> Floats:
        """Hidden states ``[batch, tokens, width]`` and their mask ``[batch, tokens]`` to vectors ``[batch, width]``."""
        if self.mode == "cls":
            vectors = hidden[:, 0]
        else:
            weights = mask[:, :, None].astype(np.float32)
            vectors = (hidden * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-9)
        if self.normalize:
            vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors.astype(np.float32)
