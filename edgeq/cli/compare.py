# SPDX-License-Identifier: Apache-2.0
"""``edgeq compare``: two profiles beside each other."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from edgeq.cli.console import print_json
from edgeq.errors import EdgeqError

if TYPE_CHECKING:
    from edgeq_devices.report.compare import Difference


def command(
    first: Annotated[Path, Argument(help="A file of edgeq profile --format json.", show_default=False)],
    second: Annotated[Path, Argument(help="Another.", show_default=False)],
    as_json: Annotated[bool, Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare two profiles: ratios of their rates with 95 % confidence intervals."""
    from edgeq_devices.report.compare import compare
    from edgeq_devices.report.documents import Profile, load_document
    from edgeq_devices.tables import aligned_table

    documents = [load_document(path) for path in (first, second)]
    for path, document in zip((first, second), documents, strict=True):
        if not isinstance(document, Profile):
            raise EdgeqError("not a profile", file=path, wanted="what edgeq profile --format json wrote")
    found = list(compare(*(document for document in documents if isinstance(document, Profile))))
    if not found:
        raise EdgeqError("nothing to compare", found=f"no test, threads and cores in both {first} and {second}")
    if as_json:
        print_json([_record(entry) for entry in found])
        return
    headers = ["test", "threads", str(first), str(second), "ratio", "95 % interval", "verdict"]
    print(aligned_table(headers, [_cells(entry) for entry in found], ("test", "verdict")), end="")
    for entry in found:
        for row in (entry.first, entry.second):
            for flag in row.flags:
                print(f"! {row.where}: {flag}")


def _record(entry: Difference) -> dict[str, Any]:
    return {
        "test": entry.first.test,
        "n_threads": entry.first.n_threads,
        "cpu_mask": entry.first.cpu_mask,
        **asdict(entry),
        "first": entry.first.avg_ts,
        "second": entry.second.avg_ts,
        "verdict": _verdict(entry),
        "flags": [f"{row.where}: {flag}" for row in (entry.first, entry.second) for flag in row.flags],
    }


def _cells(entry: Difference) -> list[str]:
    interval = "too few samples" if entry.low is None else f"{entry.low:.3f} to {entry.high:.3f}"
    rates = [f"{row.avg_ts:.2f} ± {row.stddev_ts:.2f}" for row in (entry.first, entry.second)]
    return [entry.first.test, str(entry.first.n_threads), *rates, f"{entry.ratio:.3f}", interval, _verdict(entry)]


def _verdict(entry: Difference) -> str:
    if entry.first.flags or entry.second.flags:
        return "doubtful"
    if not entry.distinguishable:
        return "no difference shown"
    return "faster" if entry.ratio > 1 else "slower"
