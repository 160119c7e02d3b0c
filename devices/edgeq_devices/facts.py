# SPDX-License-Identifier: Apache-2.0
"""What a bundle says about itself, for the columns of a report."""

from __future__ import annotations

from pathlib import Path

from edgeq.bundle.manifest import manifest_hash
from edgeq.bundle.reader import Bundle, open_bundle
from edgeq.errors import EdgeqError
from edgeq_devices.results import ModelFacts


def model_facts(path: Path) -> tuple[Bundle, ModelFacts]:
    """Opens a bundle, comparing all hashes, and reads what the report needs.

    Raises:
        EdgeqError: The bundle is damaged, or is neither a decoder nor an encoder.
    """
    bundle = open_bundle(path)
    manifest = bundle.manifest
    if manifest.kind == "graph":
        raise EdgeqError("cannot be profiled", file=path, field="kind", found="graph", wanted="decoder or encoder")
    facts = ModelFacts(
        name=path.resolve().name,
        kind=manifest.kind,
        architecture=manifest.source.architecture,
        parameters=manifest.source.parameters,
        scheme=manifest.scheme,
        bits_per_weight=manifest.bits_per_weight,
        size=bundle.size,
        context=bundle.genai.model.context_length if bundle.genai else None,
        hash=manifest_hash(path),
    )
    return bundle, facts
