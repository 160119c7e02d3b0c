# SPDX-License-Identifier: Apache-2.0
"""``edgeq profile --layers``: the matrix products of a model timed on a board, under every candidate scheme."""

from __future__ import annotations

import json
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeq.allocation.costs import LayerCosts, ProductCost
from edgeq.checkpoint import Checkpoint
from edgeq.errors import EdgeqError
from edgeq.schemes import Scheme
from edgeq_devices.profiling import Request, profile

if TYPE_CHECKING:
    from edgeq.allocation.shapes import Product
    from edgeq_devices.results import Measurement
    from edgeq_devices.rows import Report

Progress = Callable[[str, int, int], None]
KERNEL = "_kernel_time"
TRUNCATED = 500  # ns: what a trace in whole microseconds leaves out of a call on average


@dataclass(frozen=True)
class LayerRequest:
    """What to time.

    Attributes:
        checkpoint: The model whose shapes are timed.
        candidates: Schemes of its linear layers.
        vocabulary: Scheme of its output head.
        pinned: Further schemes that linear layers may have.
        tokens: Of one run: 1 for generation, the length of a sentence for an encoder.
        device: As ``--device`` names it.
        threads: Threads; 0 for one per physical core.
        repetitions: Timed runs.
        library: Operators for the board's platform.
        python: Interpreter on the board.
    """

    checkpoint: Checkpoint
    candidates: tuple[Scheme, ...]
    vocabulary: Scheme
    pinned: tuple[Scheme, ...] = ()
    tokens: int = 1
    device: str = "local"
    threads: int = 0
    repetitions: int = 100
    library: Path | None = None
    python: str | None = None

    def on(self, bundle: Path) -> Request:
        """The measurement of a bundle of products that it takes."""
        return Request(
            bundle,
            prompts=(self.tokens,),
            generates=(),
            threads=(self.threads,) if self.threads else (),
            device=self.device,
            repetitions=self.repetitions,
            operators=True,
            trace=True,
            library=self.library,
            python=self.python,
        )


def time_layers(request: LayerRequest, progress: Progress = lambda *_: None) -> LayerCosts:
    """Times every product of a model once per scheme; nothing of the model but its shapes is used.

    A product's time is the median of its node's calls, from ONNX Runtime's trace: what others do on the board does not
    shift it. Its energy is the mean power of the whole run times its time: meters are too slow for single nodes.

    Raises:
        EdgeqError: A scheme has no operator, or the board cannot be reached or fails.
    """
    import edgeq_ops
    from edgeq.allocation.layer_bundle import write_layer_bundle
    from edgeq.allocation.shapes import products_of

    products = products_of(request.checkpoint, request.candidates, request.vocabulary, request.pinned)
    size = sum(path.stat().st_size for path in set(request.checkpoint.files.values())) // 4
    with tempfile.TemporaryDirectory() as scratch:
        bundle = Path(scratch) / "products"
        write_layer_bundle(bundle, products, size, edgeq_ops.library_path())
        report = profile(request.on(bundle), progress)
    return _layer_costs(request, products, report)


def _layer_costs(request: LayerRequest, products: Sequence[Product], report: Report) -> LayerCosts:
    (measured,) = report.measurements
    return LayerCosts(
        device=report.device,
        board=report.board,
        cpu=measured.before.state.cpu,
        instruction_set=measured.loaded.instruction_set,
        threads=measured.job.threads,
        tokens=request.tokens,
        flags=measured.flags,
        products=_costs(products, measured),
    )


def _costs(products: Sequence[Product], measured: Measurement) -> list[ProductCost]:
    from edgeq.allocation.layer_bundle import names_of

    times = _node_times(measured.trace or b"[]")
    watts = measured.energy.watts if measured.energy else None
    found = []
    for product, scheme, name in names_of(products):
        if not times[name]:
            raise EdgeqError("no time of a product", field=name, wanted="at least two repetitions", remedy="raise -r")
        nanoseconds = 1000 * statistics.median(times[name]) + TRUNCATED
        joules = None if watts is None else watts * nanoseconds / 1e9
        found.append(
            ProductCost(
                rows=product.rows,
                columns=product.columns,
                scheme=str(scheme),
                nanoseconds=nanoseconds,
                joules=joules,
            )
        )
    return found


def _node_times(trace: bytes) -> dict[str, list[int]]:
    """Microseconds of the calls of each product, all its copies together, without each node's first call."""
    times: dict[str, list[int]] = defaultdict(list)
    seen = set()
    for event in json.loads(trace):
        node = str(event.get("name", ""))
        if event.get("cat") != "Node" or not node.endswith(KERNEL):
            continue
        if node in seen:
            times[node.removesuffix(KERNEL).rpartition(".")[0]].append(int(event["dur"]))
        seen.add(node)
    return times
