# SPDX-License-Identifier: Apache-2.0
"""``edgeq doctor``: what this machine and installation can do, what is missing, and how to get it."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

import typer
from typer import Option

from edgeq.cli.console import human_bytes, print_json
from edgeq.errors import EdgeqError

# What the kernels look for, x86 and ARM.
RELEVANT_FEATURES = (
    *("avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512vl", "avx512vbmi", "avx512_vnni"),
    *("avx512_bf16", "amx_tile", "amx_int8", "amx_bf16"),
    *("asimd", "fphp", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme"),
)
_MARKS = {"ok": "ok", "missing": "MISSING", "failed": "FAILED", "optional": "-"}


@dataclass(frozen=True)
class Finding:
    """One line of the diagnosis.

    Attributes:
        topic: What was looked at.
        state: ``missing`` and ``failed`` need mending; ``optional`` is absent and may stay so.
        found: What was found.
        remedy: The command that mends it.
    """

    topic: str
    state: Literal["ok", "missing", "failed", "optional"]
    found: str
    remedy: str | None = None


def command(as_json: Annotated[bool, Option("--json", help="Print the findings as JSON.")] = False) -> None:
    """Check this machine and installation; exit with 1 if something needed is missing."""
    findings = list(examine())
    healthy = all(finding.state in ("ok", "optional") for finding in findings)
    if as_json:
        print_json({"healthy": healthy, "findings": [asdict(finding) for finding in findings]})
    else:
        _print(findings)
    if not healthy:
        raise typer.Exit(1)


def examine() -> Iterator[Finding]:
    """All findings, in the order in which they are printed."""
    yield from _machine()
    yield from _libraries()
    yield from _operators()


def _machine() -> Iterator[Finding]:
    from edgeq.bundle.platforms import current_platform
    from edgeq.runtime.threads import default_threads
    from edgeq_devices.conditions import read_meminfo
    from edgeq_devices.cpu import read_cpu

    system = f"{current_platform()}, {platform.release()}, Python {platform.python_version()}"
    yield Finding("platform", "ok", system)
    cpu, memory = read_cpu(), read_meminfo()
    yield Finding("CPU", "ok", f"{cpu.model or 'unknown'}, {default_threads()} physical cores")
    features = [feature for feature in RELEVANT_FEATURES if feature in cpu.features]
    yield Finding("CPU features", "ok", " ".join(features) or "none that the kernels look for")
    if memory:
        free, total = (human_bytes(memory[name]) for name in ("MemAvailable", "MemTotal"))
        yield Finding("memory", "ok", f"{free} available of {total}")


def _libraries() -> Iterator[Finding]:
    from edgeq.cli.requirements import BASE, EXTRAS
    from edgeq.version import __version__
    from edgeq_devices.conditions import library_versions

    yield Finding("edgeq", "ok", __version__)
    for name, part in {"libraries": BASE, **EXTRAS}.items():
        versions = library_versions(part.distributions)
        found = ", ".join(f"{library} {version}" for library, version in versions.items())
        missing = [library for library in part.distributions if library not in versions]
        if not missing:
            yield Finding(name, "ok", found)
            continue
        state: Literal["missing", "optional"] = "missing" if part is BASE else "optional"
        yield Finding(name, state, f"for {part.purpose}: no {', '.join(missing)}", part.install)


def _operators() -> Iterator[Finding]:
    try:
        from edgeq_ops import instruction_sets, library_path

        path, sets = library_path(), instruction_sets()
    except (EdgeqError, ImportError) as error:
        yield Finding("operators", "missing", str(error), "pip install --force-reinstall edgeq")
        return
    yield Finding("operators", "ok", str(path))
    yield Finding("kernels", "ok", f"{sets.selected}, chosen from {', '.join(sets.available)}")
    obstacle = f", no huge pages: {sets.weights_obstacle}" if sets.weights_obstacle else ""
    yield Finding("weights", "failed" if obstacle else "ok", sets.weights + obstacle)
    yield _selftest()


def _selftest() -> Finding:
    from edgeq_devices.selftest.run import run_selftest

    try:
        outcomes = run_selftest()
    except Exception as error:  # noqa: BLE001  (whatever ONNX Runtime raises is the diagnosis)
        return Finding("self-test", "failed", " ".join(str(error).split()), "pip install --force-reinstall edgeq")
    wrong = [f"{o.name} ({o.tokens} tokens) off by {o.error:.2g}" for o in outcomes if not o.passed]
    if wrong:
        return Finding("self-test", "failed", "; ".join(wrong), "try EDGEQ_ISA=generic, and report this")
    return Finding("self-test", "ok", f"{len(outcomes)} operator runs agree with float64")


def _print(findings: list[Finding]) -> None:
    width = max(len(finding.topic) for finding in findings)
    for finding in findings:
        remedy = f"  ->  {finding.remedy}" if finding.remedy else ""
        print(f"{_MARKS[finding.state]:<7}  {finding.topic:<{width}}  {finding.found}{remedy}")
