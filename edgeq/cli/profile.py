# SPDX-License-Identifier: Apache-2.0
"""``edgeq profile``: throughput, latency, load time, memory and energy of a bundle, here or on a board."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from edgeq.cli import layer_costs
from edgeq.cli.console import progress_bars, write_file
from edgeq.cli.options import HugePages
from edgeq.cli.ranges import parse_cores, parse_duration, parse_numbers
from edgeq.errors import EdgeqError

if TYPE_CHECKING:
    from edgeq_devices.results import Report

_LIST = "; lists and ranges such as 1,2 or 1-8*2"


def command(
    bundle: Annotated[Path, Argument(help="Bundle directory.", show_default=False)],
    n_prompt: Annotated[str, Option("-p", "--n-prompt", help=f"Prompt tokens{_LIST}; 0 for none.")] = "512",
    n_gen: Annotated[str, Option("-n", "--n-gen", help="Tokens generated one at a time; 0 for none.")] = "128",
    depth: Annotated[str, Option("-d", "--depth", help="Tokens in the context before, not timed.")] = "0",
    repetitions: Annotated[int, Option("-r", "--repetitions", min=1, help="Timed repetitions of each test.")] = 5,
    threads: Annotated[
        str | None, Option("-t", "--threads", help="Threads (default: one per physical core).", show_default=False)
    ] = None,
    device: Annotated[str, Option("--device", help="local, ssh://[user@]host[:port] or adb://[serial].")] = "local",
    cores: Annotated[
        list[str] | None,
        Option("--cores", help="Clusters of the board and all, or 0-3,6; may be repeated.", show_default=False),
    ] = None,
    library: Annotated[
        Path | None, Option("--library", help="Operator library for the board's platform.", show_default=False)
    ] = None,
    python: Annotated[str | None, Option("--python", help="Interpreter on the board.", show_default=False)] = None,
    power: Annotated[
        str, Option("--power", help="auto: the board's sensors; none; external:FILE.csv or external:/dev/ttyUSB0.")
    ] = "auto",
    no_power: Annotated[bool, Option("--no-power", help="The same as --power none.")] = False,
    sustain: Annotated[
        str | None, Option("--sustain", help="Repeat each test for this long: 90s, 10m.", show_default=False)
    ] = None,
    operators: Annotated[bool, Option("--operators", help="Also time each operator; slower.")] = False,
    trace: Annotated[
        Path | None, Option("--trace", help="Write the last row's trace, for Perfetto.", show_default=False)
    ] = None,
    cool_down: Annotated[
        float | None,
        Option(
            "--cool-down",
            min=0,
            max=86400,
            help="Seconds to wait before a flagged row is measured once more.",
            show_default=False,
        ),
    ] = None,
    no_warmup: Annotated[bool, Option("--no-warmup", help="Do not run once untimed before.")] = False,
    huge_pages: HugePages = False,
    layers: layer_costs.Layers = False,
    candidates: layer_costs.Candidates = None,
    vocabulary: layer_costs.Vocabulary = None,
    output_format: Annotated[str, Option("--format", help="md, csv or json.")] = "md",
    output: Annotated[
        Path | None, Option("-o", "--output", help="Write to a file instead of stdout.", show_default=False)
    ] = None,
) -> None:
    """Measure a bundle's speed, latency, memory and energy, here or on a board."""
    if layers:
        layer_costs.profile_layers(
            str(bundle),
            candidates,
            vocabulary,
            length=parse_numbers(n_prompt, "-p")[0],
            device=device,
            threads=parse_numbers(threads, "-t")[0] if threads else 0,
            repetitions=repetitions,
            library=library,
            python=python,
            output_format=output_format,
            output=output,
        )
        return
    from edgeq_devices.external.address import parse_power
    from edgeq_devices.profiling import Request, profile
    from edgeq_devices.tables import FORMATS

    if output_format not in FORMATS:
        raise EdgeqError("unknown format", field="--format", found=repr(output_format), wanted=" or ".join(FORMATS))
    for path, option in ((output, "--output"), (trace, "--trace")):
        if path is not None and not path.parent.is_dir():  # better said before the measurement than after it
            raise EdgeqError("no such directory", file=path.parent, field=option)
    if huge_pages and device != "local":
        raise EdgeqError("not this machine", field="--huge-pages", remedy="set EDGEQ_WEIGHTS=huge-pages on the board")
    request = Request(
        bundle,
        tuple(parse_numbers(n_prompt, "-p")),
        tuple(parse_numbers(n_gen, "-n")),
        tuple(parse_numbers(depth, "-d")),
        tuple(parse_numbers(threads, "-t")) if threads else (),
        tuple(name for text in cores or ["all"] for name in parse_cores(text)),
        device,
        repetitions,
        not no_warmup,
        parse_power("none" if no_power else power),
        parse_duration(sustain, "--sustain") if sustain else 0.0,
        operators or trace is not None,
        trace is not None,
        cool_down,
        library,
        python,
    )
    reports: list[Report] = []
    with progress_bars() as progress:
        try:
            profile(request, progress, reports.append)
        finally:  # what was measured before an interrupt or a lost connection is not lost
            if reports:
                _print(FORMATS[output_format](reports[-1]), output)
                if trace is not None:
                    write_file(trace, reports[-1].measurements[-1].trace or b"")


def _print(text: str, output: Path | None) -> None:
    if output is None:
        print(text, end="")
    else:
        write_file(output, text.encode())
