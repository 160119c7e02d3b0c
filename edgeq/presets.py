# SPDX-License-Identifier: Apache-2.0
"""What ``--bits`` and ``--quality`` stand for: scheme and method, chosen from the evidence of docs/accuracy.md."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from edgeq.errors import EdgeqError
from edgeq.recipe import Recipe
from edgeq.schemes import Scheme

logger = logging.getLogger(__name__)

Quality = Literal["fast", "balanced", "best"]
QUALITIES: tuple[Quality, ...] = get_args(Quality)
DEFAULT_QUALITY: Quality = "balanced"
DEFAULT_BITS = 4


@dataclass(frozen=True)
class Settings:
    """How a model is quantized.

    Attributes:
        scheme: Scheme string.
        method: Methods joined by ``+``.
        options: Options of the methods by ``METHOD.FIELD``.
    """

    scheme: str
    method: str = "rtn"
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Preset:
    """The settings of a quality.

    Attributes:
        data_free: Without calibration.
        calibrated: With it.
    """

    data_free: Settings
    calibrated: Settings


def _same(settings: Settings) -> Preset:
    return Preset(settings, settings)


_SEARCHED = {"gptq.beta": "auto", "gptq.clip": "minmax"}
PRESETS: dict[tuple[int, Quality], Preset] = {
    (8, "fast"): _same(Settings("w8g128")),
    (8, "balanced"): _same(Settings("w8g128")),
    (8, "best"): _same(Settings("w8g32")),
    (4, "fast"): _same(Settings("w4g128")),
    (4, "balanced"): Preset(Settings("w4g128"), Settings("w4g128", "gptq")),
    (4, "best"): Preset(Settings("w4g32-asym"), Settings("w4g32-asym", "gptq+refit", _SEARCHED)),
    (3, "fast"): _same(Settings("w3g64")),
    (3, "balanced"): Preset(Settings("w3g64"), Settings("w3g64", "gptq")),
    (3, "best"): Preset(Settings("w3g32-asym"), Settings("w3g32-asym", "gptq+refit", _SEARCHED)),
    (2, "fast"): _same(Settings("w2g32-asym")),
    (2, "balanced"): Preset(Settings("w2g32-asym"), Settings("w2g32-asym", "gptq")),
    (2, "best"): Preset(Settings("w2g32-asym"), Settings("w2g32-asym", "gptq+refit", _SEARCHED)),
}


def choose(bits: int, quality: str, *, calibrated: bool, group_size: int | None = None) -> Settings:
    """The settings for a number of bits and a quality.

    Where the quality's own method needs calibration and there is none, a warning says what is done instead.

    Args:
        bits: Bits per weight.
        quality: ``fast``, ``balanced`` or ``best``.
        calibrated: Whether there is a calibration file.
        group_size: Weights per scale, in place of the preset's own; 0: one scale per row.

    Raises:
        EdgeqError: There is no such quality, or the bits or the group size are not supported.
    """
    if quality not in QUALITIES:
        raise EdgeqError("unknown quality", field="--quality", found=quality, wanted=" or ".join(QUALITIES))
    preset = PRESETS.get((bits, quality))
    if preset is None:
        Scheme.from_bits(bits)  # says which bits there are
        raise EdgeqError("no preset for these bits", field="--bits", found=bits, wanted="2, 3, 4 or 8")
    settings = preset.calibrated if calibrated else preset.data_free
    if not calibrated and preset.calibrated.method != settings.method:
        logger.warning(
            "no calibration: %s at %d bits uses %s instead of %s, which keeps the model better; add --calibration FILE",
            quality,
            bits,
            settings.method,
            preset.calibrated.method,
        )
    return settings if group_size is None else replace(settings, scheme=_regrouped(settings.scheme, group_size))


def apply_preset(
    recipe: Recipe,
    *,
    bits: int | None,
    quality: str | None,
    group_size: int | None = None,
    scheme: str | None,
    method: str | None,
) -> Recipe:
    """A recipe with what `preset_changes` decides; options of methods that it holds already are kept."""
    calibrated = recipe.calibration is not None
    changes = preset_changes(
        bits=bits, quality=quality, group_size=group_size, scheme=scheme, method=method, calibrated=calibrated
    )
    if "method_options" in changes:
        changes["method_options"] |= recipe.method_options
    return recipe.model_copy(update=changes)


def preset_changes(
    *,
    bits: int | None,
    quality: str | None,
    group_size: int | None,
    scheme: str | None,
    method: str | None,
    calibrated: bool,
) -> dict[str, Any]:
    """The fields of a recipe that ``--bits``, ``--group-size`` and ``--quality`` decide; none if none is given.

    A method that is given is kept; then the preset only chooses the scheme.

    Raises:
        EdgeqError: A scheme is given as well, or both a method and a quality; or as `choose`.
    """
    if bits is None and group_size is None and quality is None:
        return {}
    if scheme is not None:
        raise EdgeqError(
            "two schemes",
            field="--scheme",
            found=f"{scheme} beside --bits, --group-size or --quality",
            wanted="one of them",
        )
    if method is not None:
        if quality is not None:
            raise EdgeqError("two methods", field="--method", found=f"{method} beside --quality", wanted="one of them")
        # The method is the user's own choice: nothing is to be said about the preset's.
        settings = choose(bits or DEFAULT_BITS, DEFAULT_QUALITY, calibrated=True, group_size=group_size)
        return {"scheme": settings.scheme}
    bits = DEFAULT_BITS if bits is None else bits
    settings = choose(bits, quality or DEFAULT_QUALITY, calibrated=calibrated, group_size=group_size)
    return {"scheme": settings.scheme, "method": settings.method, "method_options": dict(settings.options)}


def _regrouped(scheme: str, group_size: int) -> str:
    parsed = Scheme.parse(scheme)
    assert parsed.weights is not None
    return str(replace(parsed, weights=replace(parsed.weights, group_size=group_size)))
