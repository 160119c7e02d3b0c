# SPDX-License-Identifier: Apache-2.0
"""``edgeq compress``: a bundle whose weights are stored, or stay in memory, entropy-coded."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeq.cli import compress_options as options
from edgeq.cli.console import human_bytes, parse_bytes, print_json, progress_bars
from edgeq.cli.options import AsJson, Bundle, Force, Output, Threads
from edgeq.errors import EdgeqError

if TYPE_CHECKING:
    from edgeq.bundle.manifest import Manifest
    from edgeq.compression.choice import Form
    from edgeq_export.compression.choosing import Choice
    from edgeq_export.compression.compressing import Outcome


def command(
    bundle: Bundle,
    output: Output = None,
    mode: options.Mode = None,
    codec: options.Codec = None,
    max_memory: options.MaxMemory = None,
    max_slowdown: options.MaxSlowdown = None,
    threads: Threads = None,
    dry_run: options.DryRun = False,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Compress the weights of a bundle once more, or undo it."""
    from edgeq_export.compression.compressing import Request, compress_bundle

    if output is None and not dry_run:
        raise EdgeqError("no output directory", field="--output", remedy="add -o OUT, or --dry-run to see the choice")
    limited = max_memory is not None or max_slowdown is not None
    memory = None if max_memory is None else parse_bytes(max_memory, "--max-memory")
    chosen: Any = mode or ("auto" if limited else "load")  # an unknown one is refused by the request
    request = Request(chosen, codec, memory, max_slowdown, threads)
    start = time.perf_counter()
    with progress_bars() as progress:
        target = None if dry_run else output
        outcome = compress_bundle(bundle, target, request, force=force, progress=progress)
    seconds = time.perf_counter() - start
    if as_json:
        print_json(_describe(outcome, target, seconds))
    else:
        _print(outcome, target, seconds)


def _describe(outcome: Outcome, output: Path | None, seconds: float) -> dict[str, Any]:
    manifest, choice = outcome.manifest, outcome.choice
    return {
        "output": None if output is None else str(output),
        **_sizes(manifest),
        "layers": [layer.model_dump() for layer in manifest.layers],
        "not_compressible": outcome.raw,
        "not_smaller": outcome.not_smaller,
        "choice": None if choice is None else _describe_choice(choice),
        "seconds": seconds,
    }


def _sizes(manifest: Manifest) -> dict[str, Any]:
    stored, raw = (sum(getattr(layer, size) for layer in manifest.layers) for size in ("size", "raw_size"))
    return {"stored": stored, "raw": raw, "ratio": raw / max(stored, 1), "bits_per_weight": manifest.bits_per_weight}


def _describe_choice(choice: Choice) -> dict[str, Any]:
    return {
        "memory": choice.memory,
        "raw_memory": choice.raw_memory,
        "seconds_per_token": choice.plan.seconds,
        "raw_seconds_per_token": choice.raw_seconds,
        "storage_bytes_per_second": choice.bandwidth,
        "units": [
            {
                "weights": [weight.name for weight in unit.weights],
                "chosen": choice.storages[unit.name].mode,
                "codec": choice.storages[unit.name].codec,
                "forms": {form.name: {"memory": form.memory, "seconds": form.seconds} for form in forms},
            }
            for unit, forms in zip(choice.units, choice.forms, strict=True)
        ],
    }


def _print(outcome: Outcome, output: Path | None, seconds: float) -> None:
    if outcome.choice is not None:
        _print_choice(outcome.choice)
    if output is not None:
        sizes = _sizes(outcome.manifest)
        print(
            f"{output}: weights {human_bytes(sizes['raw'])} to {human_bytes(sizes['stored'])}, {sizes['ratio']:.2f} "
            f"times smaller, {sizes['bits_per_weight']:.3f} bits per weight, {seconds:.1f} s"
        )
    if outcome.raw:
        print(f"Stored as they are, in formats that the codec does not take: {', '.join(outcome.raw)}")
    if outcome.not_smaller:
        print(f"Stored as they are, no smaller when compressed: {', '.join(outcome.not_smaller)}")


def _print_choice(choice: Choice) -> None:
    from edgeq_devices.tables import aligned_table

    print(aligned_table(*_choice_table(choice), text_columns=("weights", "chosen")))
    slowdown = choice.plan.seconds / choice.raw_seconds if choice.raw_seconds else 1.0
    print(
        f"Predicted: {human_bytes(choice.memory)} of tensors in memory (raw: {human_bytes(choice.raw_memory)}), "
        f"matrix products of a token {1e3 * choice.plan.seconds:.3g} ms ({slowdown:.2f} times raw); "
        f"storage reads {human_bytes(choice.bandwidth)}/s"
    )


def _choice_table(choice: Choice) -> tuple[list[str], list[list[str]]]:
    """A row for each kind of unit: how often it was chosen in which form, and what each form takes."""
    names = list(dict.fromkeys(form.name for forms in choice.forms for form in forms))
    groups: dict[tuple[float, ...], list[int]] = {}
    for index, forms in enumerate(choice.forms):
        groups.setdefault(tuple(form.seconds for form in forms), []).append(index)
    rows = []
    for members in groups.values():
        unit, own = choice.units[members[0]], {form.name: form for form in choice.forms[members[0]]}
        storages = Counter(_stored(choice, index) for index in members)
        rows.append(
            [
                f"{unit.name.removesuffix('.weight.data')} and {len(members) - 1} like it",
                ", ".join(f"{count} {name}" for name, count in storages.items()),
                *(_cell(own.get(name)) for name in names),
            ]
        )
    return ["weights", "chosen", *names], rows


def _stored(choice: Choice, index: int) -> str:
    storage = choice.storages[choice.units[index].name]
    return f"{storage.codec} {storage.mode}".strip()


def _cell(form: Form | None) -> str:
    return "" if form is None else f"{human_bytes(form.memory)}, {1e6 * form.seconds:.0f} µs"
