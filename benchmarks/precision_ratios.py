# SPDX-License-Identifier: Apache-2.0
"""Throughput of the precisions of one model beside full precision: a device table as papers print it.

    python benchmarks/precision_ratios.py out/fp32 out/w8g128 out/w4g128 -t 2 -p 128 -n 32 -r 3

Bundles are measured in turns, so that what else the machine does meets all of them; rates are medians of the rounds,
ratios those of the same round. Rounds with a flagged row count only where there is no other. ``--half`` adds the first
bundle with its matrices as float16. Energy is that of the machine's sensor; without one its columns are missing.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import onnx_ir as ir

from edgeq.bundle.reader import open_bundle
from edgeq.errors import EdgeqError
from edgeq_devices.profiling import Request, profile
from edgeq_devices.results import Measurement
from edgeq_devices.rows import Report
from edgeq_devices.tables import aligned_table, binary_size, conditions_line
from edgeq_export.bundle_writer import BundleContents, write_bundle


@dataclass
class Rounds:
    """What the rounds gave of one bundle: a prompt's and a generation's row of each."""

    report: Report
    rows: list[tuple[Measurement, Measurement]] = field(default_factory=list)

    def rates(self, test: int) -> list[float]:
        """Tokens per second of each round: of prompts (0) or generation (1)."""
        return [row[test].rate.mean for row in self.rows]


def write_half(source: Path, output: Path) -> Path:
    """A copy of a float bundle whose matrices are float16; ONNX Runtime casts them to float32 when it loads them.

    Its CPU provider has no float16 product on x86-64: a float16 MatMul becomes the same float32 product between casts.
    """
    bundle = open_bundle(source)
    model = ir.load(source / bundle.manifest.model)
    graph = model.graph
    for value in [value for value in graph.initializers.values() if len(value.shape or ()) == 2]:
        tensor = value.const_value
        if tensor is None or tensor.dtype != ir.DataType.FLOAT:
            continue
        half = ir.val(f"{value.name}.half", const_value=_half(tensor, f"{value.name}.half"))
        graph.register_initializer(half)
        cast = ir.node("Cast", [half], {"to": int(ir.DataType.FLOAT)})
        graph.insert_before(graph[0], cast)
        value.replace_all_uses_with(cast.outputs[0])
        del graph.initializers[str(value.name)]
    copies = [path for path in source.iterdir() if path.suffix == ".json" and path.name != "edgeq.json"]
    manifest = bundle.manifest
    write_bundle(
        BundleContents(
            kind=manifest.kind,
            model=model,
            scheme=manifest.scheme,
            method=manifest.method,
            source=manifest.source,
            layers=manifest.layers,
            documents={path.name: path.read_bytes() for path in copies},
        ),
        output,
        force=True,
    )
    return output


def _half(tensor: ir.TensorProtocol, name: str) -> ir.TensorProtocol:
    rows, columns = tensor.shape.numpy()
    return ir.LazyTensor(
        lambda: ir.tensor(tensor.numpy().astype("float16"), name=name),
        dtype=ir.DataType.FLOAT16,
        shape=ir.Shape([rows, columns]),
        name=name,
    )


def measure(bundles: Sequence[Path], request: Request, rounds: int) -> dict[Path, Rounds]:
    """All bundles in turns; after an interrupt, the rounds that were complete."""
    found: dict[Path, Rounds] = {}
    try:
        for number in range(rounds):
            reports = [_profile(bundle, request, f"round {number + 1} of {rounds}") for bundle in bundles]
            for bundle, report in zip(bundles, reports, strict=True):
                prompt, generation = report.measurements
                found.setdefault(bundle, Rounds(report)).rows.append((prompt, generation))
    except KeyboardInterrupt:
        if not found:
            raise
    return _sound(found)


def _sound(found: dict[Path, Rounds]) -> dict[Path, Rounds]:
    """Without the rounds in which a row was flagged, if that leaves any."""
    rounds = list(zip(*(each.rows for each in found.values()), strict=True))
    sound = [number for number, rows in enumerate(rounds) if not any(row.flags for pair in rows for row in pair)]
    if not sound:
        return found
    return {path: Rounds(each.report, [each.rows[number] for number in sound]) for path, each in found.items()}


def _profile(bundle: Path, request: Request, stage: str) -> Report:
    sys.stderr.write(f"{stage}: {bundle.name}\n")
    return profile(replace(request, bundle=bundle), lambda *progress: None)


def table(found: dict[Path, Rounds]) -> str:
    """One row per bundle; the first is what the others are held against."""
    reference = next(iter(found.values()))
    prompt, generation = (row.job.test.name for row in reference.rows[0])
    energy = any(row[1].energy for rounds in found.values() for row in rounds.rows)
    headers = ["bundle", "size", "bpw", prompt, "ratio", generation, "ratio", "load s", "peak anon", "peak file"]
    rows = [list(_cells(bundle, rounds, reference)) for bundle, rounds in found.items()]
    if energy:
        headers += ["J/token", "ratio"]
        rows = [[*row, *_energy(rounds, reference)] for row, rounds in zip(rows, found.values(), strict=True)]
    return aligned_table(headers, rows, ("bundle",))


def _cells(bundle: Path, rounds: Rounds, reference: Rounds) -> Iterator[str]:
    model, generation = rounds.report.model, [row[1] for row in rounds.rows]
    yield from (bundle.name, binary_size(model.size), f"{model.bits_per_weight:.3f}")
    for test in (0, 1):
        ratios = [mine / other for mine, other in zip(rounds.rates(test), reference.rates(test), strict=True)]
        spread = f" ({min(ratios):.2f} to {max(ratios):.2f})" if rounds is not reference else ""
        yield from (f"{statistics.median(rounds.rates(test)):.2f}", f"{statistics.median(ratios):.2f}{spread}")
    yield f"{statistics.median(row.loaded.load_ns for row in generation) / 1e9:.2f}"
    yield binary_size(max(row.memory_peak.anonymous for row in generation))
    yield binary_size(max(row.memory_peak.file_backed for row in generation))


def _energy(rounds: Rounds, reference: Rounds) -> list[str]:
    mine, other = (
        [row[1].energy.token_joules for row in each.rows if row[1].energy and row[1].energy.token_joules]
        for each in (rounds, reference)
    )
    if not mine or not other:
        return ["", ""]
    joules, base = statistics.median(mine), statistics.median(other)
    return [f"{joules:.3g}", f"{joules / base:.2f}"]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", type=Path, nargs="+", help="bundles; the first is the full precision")
    parser.add_argument("-t", "--threads", type=int, default=0, help="default: one per physical core")
    parser.add_argument("-p", "--n-prompt", type=int, default=128)
    parser.add_argument("-n", "--n-gen", type=int, default=32)
    parser.add_argument("-r", "--rounds", type=int, default=3)
    parser.add_argument("--cores", default="all", help="as edgeq profile takes them")
    parser.add_argument("--device", default="local", help="as edgeq profile takes it")
    parser.add_argument("--half", type=Path, metavar="DIRECTORY", help="also measure float16 matrices, written there")
    return parser.parse_args()


def main() -> int:
    """Prints the table, the conditions, and the flags of rows that are doubtful."""
    options = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        bundles = list(options.bundles)
        if options.half:
            half = options.half if (options.half / "edgeq.json").is_file() else write_half(bundles[0], options.half)
            bundles.insert(1, half)
        request = Request(
            bundles[0],
            (options.n_prompt,),
            (options.n_gen,),
            threads=(options.threads,) if options.threads else (),
            cores=(options.cores,),
            device=options.device,
            repetitions=1,
        )
        found = measure(bundles, request, options.rounds)
    except EdgeqError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    print(table(found))
    print(f"{len(next(iter(found.values())).rows)} rounds; {conditions_line(next(iter(found.values())).report)}")
    for bundle, rounds in found.items():
        for flag in sorted({flag for row in rounds.rows for each in row for flag in each.flags}):
            print(f"! {bundle.name}: {flag}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
