# SPDX-License-Identifier: Apache-2.0
"""``edgeq devices``: the boards that edgeq knows, what a machine is, and making one ready."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from edgeq.cli.console import print_json, stderr, write_file

if TYPE_CHECKING:
    from edgeq_devices.board_facts import BoardFacts
    from edgeq_devices.boards.schema import Board

app = typer.Typer(add_completion=False, help="Boards: list those that edgeq knows, look at one, make one ready.")
Device = Annotated[str, Argument(help="local, ssh://[user@]host[:port] or adb://[serial].")]
Python = Annotated[str | None, Option("--python", help="Interpreter on the board.", show_default=False)]


@app.callback(invoke_without_command=True)
def list_boards(context: typer.Context, json: Annotated[bool, Option("--json", help="Print JSON.")] = False) -> None:
    """Without a command: list the boards that edgeq knows."""
    if context.invoked_subcommand is not None:
        return
    from edgeq_devices.boards import load_boards
    from edgeq_devices.tables import aligned_table

    boards = load_boards()
    if json:
        print_json({name: board.model_dump() for name, board in boards.items()})
        return
    headers = ["board", "name", "cores", "memory", "power", "target", "instruction sets"]
    print(aligned_table(headers, [[name, *_cells(board)] for name, board in boards.items()], headers), end="")


def _cells(board: Board) -> list[str]:
    clusters = [f"{len(cluster.processors)} {cluster.core} {cluster.mhz:g} MHz" for cluster in board.clusters]
    return [
        board.name,
        " + ".join(clusters) or "as found",
        f"{board.memory.kind}, {board.memory.bandwidth:g} GB/s" if board.memory else "as found",
        ", ".join(source.meter for source in board.power),
        board.toolchain.target,
        ", ".join(board.toolchain.instruction_sets),
    ]


@app.command()
def detect(
    device: Device = "local",
    python: Python = None,
    json: Annotated[bool, Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say which board a machine is, which sensors it can read, and what is missing."""
    from edgeq_devices.session import open_board

    with open_board(device, python) as session:
        facts = session.facts
        kind, platform, clusters = session.kind, session.platform, session.clusters()
    if json:
        print_json({"board": kind, "platform": platform, **facts.model_dump(mode="json")})
        return
    libc = facts.libc or "unknown C library"
    lines = [
        ("board", kind + (f" ({facts.model})" if facts.model else "")),
        ("platform", f"{platform}, {libc}, Python {facts.python}"),
        ("CPU", f"{facts.cpu or 'unknown'}, {facts.cores} cores{_clusters(clusters)}"),
        *_resources(facts),
        *_power(facts),
    ]
    for topic, found in lines:
        print(f"{topic:<12}  {found}")


def _clusters(clusters: Mapping[str, Sequence[int]]) -> str:
    from edgeq_devices.conditions import processor_ranges

    return "".join(f", {name} {processor_ranges(processors)}" for name, processors in clusters.items())


def _resources(facts: BoardFacts) -> Iterator[tuple[str, str]]:
    from edgeq.cli.console import human_bytes

    yield "memory", human_bytes(facts.memory) if facts.memory else "unknown"
    yield "disk", f"{human_bytes(facts.disk_free)} free"
    yield "libraries", ", ".join(f"{name} {version}" for name, version in facts.libraries.items()) or "none"
    yield "throttling", ", ".join(facts.throttling) or "no report"


def _power(facts: BoardFacts) -> Iterator[tuple[str, str]]:
    for source in facts.power:
        rails = " + ".join(rail.name for rail in source.rails if rail.counted) or "no rail is a total"
        yield "power", f"{source.name}: {rails}; leaves out {source.leaves_out}"
    for missing in facts.missing_power:
        remedy = f"  ->  {missing.remedy}" if missing.remedy else ""
        yield "power", f"{missing.name} cannot be read: {missing.reason}{remedy}"
    if not facts.power and not facts.missing_power:
        yield "power", "no sensor"


@app.command()
def script(
    output: Annotated[Path, Option("-o", "--output", help="The file to write.")] = Path("profile.pyz"),
) -> None:
    """Write one file that profiles bundles on a board by itself; edgeq report reads what it prints."""
    from edgeq_devices.agent_file import build_agent

    write_file(output, build_agent())
    print(f"{output}: run there with: python3 {output.name} profile BUNDLE > result.json")


@app.command()
def setup(
    device: Device,
    python: Python = None,
    library: Annotated[
        Path | None, Option("--library", help="Operator library for the board's platform.", show_default=False)
    ] = None,
    offline: Annotated[bool, Option("--offline", help="Send wheels instead of using the board's network.")] = False,
) -> None:
    """Install ONNX Runtime and edgeq's operators on a board, and test them there."""
    from edgeq_devices.session import library_for, open_board
    from edgeq_devices.setup import set_up
    from edgeq_devices.transports import open_transport

    with open_board(device, python, fresh=True) as session:
        operators = library_for(session.platform, library)
    transport = open_transport(device)
    try:
        ready = set_up(transport, operators, python, offline, lambda step: stderr.print(step, highlight=False))
    finally:
        transport.close()
    versions = ", ".join(f"{name} {version}" for name, version in ready.board.facts.libraries.items())
    chosen = f"{ready.selected}, chosen from {', '.join(ready.available)}"
    print(f"{ready.board.name}: ready; {versions}; kernels {chosen}; {ready.runs} operator runs agree with float64")
