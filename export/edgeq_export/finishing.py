# SPDX-License-Identifier: Apache-2.0
"""What is done to every graph before it is written: stock operators or fused products, and names."""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir

from edgeq.bundle.manifest import LayerRecord
from edgeq_export.fusion import fuse_products
from edgeq_export.node_names import name_nodes
from edgeq_export.portable import make_portable, portable_record


def finish_graph(
    model: ir.Model, records: Iterable[LayerRecord], *, portable: bool, wrapper: str = ""
) -> list[LayerRecord]:
    """Puts a graph into the form that bundles have, in place.

    Args:
        model: With edgeq's operators.
        records: Of its layers.
        portable: Write stock operators.
        wrapper: As in `name_nodes`.

    Returns:
        The records of the layers as they are now.

    Raises:
        EdgeqError: A scheme has no stock operator and ``portable`` is set.
    """
    if portable:
        make_portable(model)
        records = [portable_record(record) for record in records]
    else:
        fuse_products(model)
    name_nodes(model, wrapper)
    return list(records)
