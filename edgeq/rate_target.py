# SPDX-License-Identifier: Apache-2.0
"""``--bits-per-weight``: 8-bit codes with steps as coarse as an entropy coder needs for that rate."""

from __future__ import annotations

from edgeq.errors import EdgeqError
from edgeq.recipe import Recipe

SCHEME = "w8"
SOLVERS = ("ecgptq", "ecsq", "entquant")
VOCABULARY_BITS = 1.5  # more than the other layers get: errors cost the most there


def apply_rate(recipe: Recipe, bits: float | None, *, scheme: str | None, method: str | None) -> Recipe:
    """A recipe that reaches a rate; as it is for ``None``.

    Args:
        recipe: The recipe.
        bits: Stored bits per weight of the linear layers; token embedding and head get `VOCABULARY_BITS` more.
        scheme: The scheme that the user named, if any; by default `SCHEME`.
        method: The methods that the user named, if any; by default `ecgptq`, or without calibration `ecsq`.

    Raises:
        EdgeqError: None of the methods reaches a rate, or the bits are not positive.
    """
    if bits is None:
        return recipe
    if not bits > 0:
        raise EdgeqError("wrong number of bits", field="--bits-per-weight", found=bits, wanted="such as 3.6")
    methods = method or ("ecgptq" if recipe.calibration is not None else "ecsq")
    solver = next((name for name in methods.split("+") if name in SOLVERS), None)
    if solver is None:
        raise EdgeqError("no method for a rate", field="--method", found=methods, wanted=" or ".join(SOLVERS))
    options = {f"{solver}.bits": bits, f"{solver}.vocabulary_bits": bits + VOCABULARY_BITS} | recipe.method_options
    changes = {
        "scheme": scheme or SCHEME,
        "method": methods,
        "method_options": options,
        "compress": recipe.compress or "load",
    }
    return recipe.model_copy(update=changes)
