# SPDX-License-Identifier: Apache-2.0
"""Steps, codes and their histogram in turn, until the codes have the rate, or the output error, that is asked for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from edgeq.compression.entropy import code_lengths
from edgeq.errors import EdgeqError
from edgeq.formats import QuantizedTensor
from edgeq.methods.grids import assemble
from edgeq.methods.option_types import NotNegative, Positive
from edgeq.methods.steps import RateOptions, StepFamily, code_counts, code_rate, round_codes, step_grids

if TYPE_CHECKING:
    from edgeq.calibration.statistics import LayerStatistics

# λ of rate and distortion at high rates, dD/dR = −2 ln 2 · Δ²/12: of the squared error, in steps, against bits.
SLOPE = 2 * math.log(2) / 12
ROUNDS = 4
TOLERANCE = 0.005  # bits per code
ERROR_TOLERANCE = 0.03

# Codes uint8 [N, K] for steps [N, G], lengths of the codes in bits float32 [256], and λ.
Encode = Callable[[Tensor, Tensor, float], Tensor]


@dataclass(frozen=True)
class SearchOptions(RateOptions):
    """Options of solvers that choose codes by error and length.

    Attributes:
        slope: λ, in units of the theoretical one; 0 rounds to nearest.
        error: Output error to keep instead of a rate, ‖X (Ŵ − W)ᵀ‖ / ‖X Wᵀ‖ (without calibration that of the weights):
            every layer then takes the bits that it needs.
    """

    slope: NotNegative = 0.0
    error: Positive | None = None


def reach_target(
    family: StepFamily, statistics: LayerStatistics | None, options: SearchOptions, encode: Encode
) -> QuantizedTensor:
    """Codes of the rate, or of the output error, asked for.

    Args:
        family: Steps to choose from.
        statistics: Inputs of the layer.
        options: Rate or error, and slope.
        encode: Chooses codes.

    Raises:
        EdgeqError: As `StepFamily.code_bits`, or the error is not positive.
    """
    if options.error is None:
        return reach_rate(family, options, encode)
    if not options.error > 0:
        raise EdgeqError("wrong output error", field="error", found=options.error, wanted="more than 0, such as 0.05")
    return _reach_error(family, statistics, options, encode)


def _reach_error(
    family: StepFamily, statistics: LayerStatistics | None, options: SearchOptions, encode: Encode
) -> QuantizedTensor:
    """The error grows as fast as the steps, or a little slower, so that a few corrections lead there."""
    assert options.error is not None
    factor, lengths = family.factor(family.code_bits(options.bits)), None
    for _ in range(2 * ROUNDS):
        steps = family.steps(factor)
        if lengths is None:
            lengths = _lengths(round_codes(family.weight, steps, family.fmt))
        codes = encode(steps, lengths, options.slope * SLOPE)
        tensor, lengths = assemble(family.fmt, codes, step_grids(steps, family.fmt)), _lengths(codes)
        found = _relative_error(tensor, family, statistics)
        if abs(found / options.error - 1) < ERROR_TOLERANCE or (
            torch.equal(steps, family.finest) and found > options.error
        ):
            break
        factor *= options.error / max(found, options.error / 16)
    return tensor


def _relative_error(tensor: QuantizedTensor, family: StepFamily, statistics: LayerStatistics | None) -> float:
    change = torch.from_numpy(family.fmt.decode(tensor)) - family.weight  # type: ignore[arg-type]  # its own tensor
    if statistics is None:
        return float(change.norm() / family.weight.norm().clamp(min=1e-30))
    gram = statistics.gram.float()
    errors, outputs = (((matrix @ gram) * matrix).sum(dtype=torch.float64) for matrix in (change, family.weight))
    return float((errors / outputs.clamp(min=1e-30)).clamp(min=0).sqrt())


def reach_rate(family: StepFamily, options: SearchOptions, encode: Encode) -> QuantizedTensor:
    """Codes of the rate asked for: steps, histogram and codes in turn.

    Args:
        family: Steps to choose from.
        options: Rate and slope.
        encode: Chooses codes.

    Raises:
        EdgeqError: As `StepFamily.code_bits`.
    """
    wanted = target = family.code_bits(options.bits)
    slope = 0.0 if options.rate == "nibble" else options.slope * SLOPE
    lengths = None
    for _ in range(ROUNDS):
        steps = family.steps(family.factor(target))
        nearest = round_codes(family.weight, steps, family.fmt)
        if lengths is None:
            lengths = _lengths(nearest)
        codes = encode(steps, lengths, slope)
        lengths, found = _lengths(codes), code_rate(codes, options.rate)
        if abs(found - wanted) < TOLERANCE or torch.equal(steps, family.finest):
            break
        # Encoders differ from rounding to nearest by about the same number of bits at neighbouring steps.
        target = max(wanted + code_rate(nearest, options.rate) - found, 0.01)
    return assemble(family.fmt, codes, step_grids(steps, family.fmt))


def _lengths(codes: Tensor) -> Tensor:
    return torch.from_numpy(code_lengths(code_counts(codes)))
