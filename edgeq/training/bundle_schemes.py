# SPDX-License-Identifier: Apache-2.0
"""The schemes of a bundle's layers, such as a budget chose them, for training under them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeq.bundle.manifest import read_manifest
from edgeq.errors import EdgeqError


def bundle_schemes(bundle: Path, given: Mapping[str, object]) -> dict[str, Any]:
    """The fields of `edgeq.training.settings.Settings` that say the same.

    Args:
        bundle: Bundle directory.
        given: Fields that the user chose; none of those may be among them.

    Raises:
        EdgeqError: It is no bundle, or schemes are given as well.
    """
    both = [name for name in ("scheme", "vocabulary", "layers", "skip") if given.get(name)]
    if both:
        raise EdgeqError("two sets of schemes", field="--schemes-of", found=", ".join(both), wanted="one of them")
    manifest = read_manifest(bundle)
    return {"scheme": manifest.scheme, "layers": {record.name: record.scheme for record in manifest.layers}}
