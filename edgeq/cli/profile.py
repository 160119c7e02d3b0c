# SPDX-License-Identifier: Apache-2.0
"""``edgeq profile``: throughput, latency, load time, memory and energy of a bundle, here or on a board."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgeq.cli import profile_options as options
from edgeq.cli.console import print_or_write, progress_bars, write_file
from edgeq.cli.layer_profile import LayerProfile, profile_layers
from edgeq.cli.options import Bundle, HugePages
from edgeq.cli.ranges import parse_cores, parse_duration, parse_numbers
from edgeq.errors import EdgeqError

if TYPE_CHECKING:
    from edgeq_devices.profiling import Request
    from edgeq_devices.rows import Report


def command(
    bundle: Bundle,
    n_prompt: options.PromptTokens = "512",
    n_gen: options.GeneratedTokens = "128",
    depth: options.Depth = "0",
    repetitions: options.Repetitions = 5,
    threads: options.Threads = None,
    device: options.Device = "local",
    cores: options.Cores = None,
    library: options.Library = None,
    python: options.Python = None,
    power: options.Power = "auto",
    no_power: options.NoPower = False,
    sustain: options.Sustain = None,
    operators: options.Operators = False,
    trace: options.Trace = None,
    cool_down: options.CoolDown = None,
    no_warmup: options.NoWarmup = False,
    huge_pages: HugePages = False,
    layers: options.Layers = False,
    candidates: options.Candidates = None,
    vocabulary: options.Vocabulary = None,
    output_format: options.Format = "md",
    output: options.Output = None,
) -> None:
    """Measure a bundle's speed, latency, memory and energy, here or on a board."""
    if layers:
        length, count = _numbers(n_prompt, "-p")[0], _numbers(threads, "-t")[0] if threads else 0
        asked = LayerProfile(str(bundle), candidates, vocabulary, length, device, count, repetitions, library, python)
        profile_layers(asked, output_format, output)
        return
    from edgeq_devices.external.address import parse_power
    from edgeq_devices.profiling import Request

    _check_output(output_format, output, trace)
    if huge_pages and device != "local":
        raise EdgeqError("not this machine", field="--huge-pages", remedy="set EDGEQ_WEIGHTS=huge-pages on the board")
    request = Request(
        bundle,
        prompts=_numbers(n_prompt, "-p"),
        generates=_numbers(n_gen, "-n"),
        depths=_numbers(depth, "-d"),
        threads=_numbers(threads, "-t") if threads else (),
        cores=tuple(name for text in cores or ["all"] for name in parse_cores(text)),
        device=device,
        repetitions=repetitions,
        warmup=not no_warmup,
        power=parse_power("none" if no_power else power),
        sustain_seconds=parse_duration(sustain, "--sustain") if sustain else 0.0,
        operators=operators or trace is not None,
        trace=trace is not None,
        cool_down=cool_down,
        library=library,
        python=python,
    )
    _profile(request, output_format, output, trace)


def _numbers(text: str, option: str) -> tuple[int, ...]:
    return tuple(parse_numbers(text, option))


def _check_output(output_format: str, output: Path | None, trace: Path | None) -> None:
    """What is wrong with where results go is better said before the measurement than after it."""
    from edgeq_devices.tables import FORMATS

    if output_format not in FORMATS:
        raise EdgeqError("unknown format", field="--format", found=repr(output_format), wanted=" or ".join(FORMATS))
    for path, option in ((output, "--output"), (trace, "--trace")):
        if path is not None and not path.parent.is_dir():
            raise EdgeqError("no such directory", file=path.parent, field=option)


def _profile(request: Request, output_format: str, output: Path | None, trace: Path | None) -> None:
    """Measures; what was measured before an interrupt or a lost connection is not lost."""
    from edgeq_devices.profiling import profile
    from edgeq_devices.tables import FORMATS

    reports: list[Report] = []
    with progress_bars() as progress:
        try:
            profile(request, progress, reports.append)
        finally:
            if reports:
                _print_or_write(FORMATS[output_format](reports[-1]), output)
                if trace is not None:
                    write_file(trace, _trace(reports[-1]))


def _print_or_write(text: str, output: Path | None) -> None:
    """Rows that cannot be written are printed: measuring them took long."""
    try:
        print_or_write(text, output)
    except EdgeqError:
        print(text, end="")
        raise


def _trace(report: Report) -> bytes:
    """The last row's."""
    from edgeq_devices.traces import with_layers

    row = report.measurements[-1]
    return with_layers(row.trace or b"", f"{report.model.name}, {row.job.name}", report.device)
