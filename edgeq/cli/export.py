# SPDX-License-Identifier: Apache-2.0
"""``edgeq export``: checkpoint or ONNX file to bundle."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from edgeq.cli import budget_options as budgets
from edgeq.cli import export_options as options
from edgeq.cli.assignments import parse_layers, parse_method_options
from edgeq.cli.console import human_bytes, parse_bytes, print_json, progress_bars, show_log, stderr, stdout
from edgeq.errors import EdgeqError

if TYPE_CHECKING:
    from edgeq.bundle.manifest import Manifest
    from edgeq.exporting import Estimate
    from edgeq.recipe import Recipe


def command(
    model: options.Model = None,
    output: options.Output = None,
    bits: options.Bits = None,
    quality: options.Quality = None,
    scheme: options.Scheme = None,
    number_format: options.NumberFormat = None,
    group_size: options.GroupSize = None,
    vocabulary: options.Vocabulary = None,
    layer: options.Layer = None,
    skip: options.Skip = None,
    method: options.Method = None,
    method_option: options.MethodOption = None,
    magr_alpha: options.MagrAlpha = None,
    clip: options.Clip = None,
    calibration: options.Calibration = None,
    samples: options.Samples = None,
    length: options.Length = None,
    task_lengths: options.TaskLengths = None,
    seed: options.Seed = None,
    sequential: options.Sequential = None,
    memory: options.Memory = None,
    work_dir: options.WorkDir = None,
    portable: options.Portable = False,
    bits_per_weight: options.BitsPerWeight = None,
    compress: options.Compress = None,
    kv_cache: options.KvCache = None,
    target: options.Target = None,
    avg_bits: budgets.AvgBits = None,
    max_size: budgets.MaxSize = None,
    max_memory: budgets.MaxMemory = None,
    max_latency: budgets.MaxLatency = None,
    max_energy: budgets.MaxEnergy = None,
    candidates: budgets.Candidates = None,
    sensitivity: budgets.Sensitivity = None,
    allocation: budgets.Algorithm = None,
    split_inputs: budgets.Split = False,
    layer_costs: budgets.Costs = None,
    device: budgets.Device = None,
    cache: budgets.Cache = None,
    revision: options.Revision = None,
    recipe: options.Recipe = None,
    save_recipe: options.SaveRecipe = None,
    dry_run: options.DryRun = False,
    force: options.Force = False,
    verbose: options.Verbose = False,
    as_json: options.AsJson = False,
) -> None:
    """Quantize a model and write an ONNX bundle."""
    from edgeq import recipe as recipes
    from edgeq.presets import apply_preset
    from edgeq.rate_target import apply_rate
    from edgeq.schemes import Scheme

    if verbose:
        show_log()
    limits = budgets.budget_fields(
        avg_bits=avg_bits,
        max_size=max_size,
        max_memory=max_memory,
        max_latency=max_latency,
        max_energy=max_energy,
        candidates=candidates,
        sensitivity=sensitivity,
        algorithm=allocation,
        split=split_inputs,
        layer_costs=layer_costs,
    )
    timed = device is not None and (max_latency is not None or max_energy is not None)
    plan = recipes.build_recipe(
        recipe,
        model=model,
        revision=revision,
        scheme=scheme,
        vocabulary=vocabulary,
        layers=parse_layers(layer),
        skip=skip,
        method=method,
        method_options=parse_method_options(method_option, magr_alpha),
        clip=clip,
        calibration=str(calibration.absolute()) if calibration else None,
        samples=samples,
        length=_parse_length(length),
        task_lengths=task_lengths,
        seed=seed,
        sequential=sequential,
        portable=portable or None,
        compress=compress,
        kv_cache=kv_cache,
        targets=target,
        budget=None if timed else limits,
    )
    plan = apply_preset(plan, bits=bits, quality=quality, group_size=group_size, scheme=scheme, method=method)
    plan = apply_rate(plan, bits_per_weight, scheme=scheme, method=method)
    if number_format is not None:
        plan = plan.model_copy(update={"scheme": str(Scheme.parse(plan.scheme).in_format(number_format))})
    if timed and limits is not None:
        from edgeq.cli.layer_costs import remembered_costs

        limits["layer_costs"] = str(remembered_costs(plan, limits.get("candidates"), str(device), cache))
        plan = recipes.build_recipe(**{**plan.model_dump(), "budget": limits})
    budget = parse_bytes(memory, "--memory") if memory else None
    if save_recipe:
        recipes.save_recipe(plan, save_recipe)
    if dry_run:
        _dry_run(plan, cache, as_json)
    elif output is not None:
        _export(plan, output, force, work_dir, budget, cache, as_json)
    elif not save_recipe:
        raise EdgeqError("no output directory", field="--output", remedy="add -o OUT, or --dry-run to see the plan")


def _parse_length(text: str | None) -> int | str | None:
    if text in (None, "auto"):
        return text
    if not text.isdecimal():
        raise EdgeqError("not a length", field="--length", found=repr(text), wanted="a whole number, or auto")
    return int(text)


def _export(
    plan: Recipe, output: Path, force: bool, work: Path | None, memory: int | None, cache: Path | None, as_json: bool
) -> None:
    from edgeq.exporting import export_recipe

    start = time.perf_counter()
    with progress_bars() as progress:
        manifest = export_recipe(plan, output, force=force, work=work, memory=memory, cache=cache, progress=progress)
    seconds = time.perf_counter() - start
    if manifest.calibration is not None and manifest.calibration.length_reason is not None:
        record = manifest.calibration
        stderr.print(f"calibration length {record.length}: {record.length_reason}", highlight=False, soft_wrap=True)
    if as_json:
        print_json(_summary(manifest, output, seconds))
    else:
        size = sum(record.size for record in manifest.files.values())
        if manifest.allocation is not None:
            stdout.print(budgets.summary(manifest.allocation), highlight=False, soft_wrap=True)
        stdout.print(
            f"{output}: {manifest.scheme}, {len(manifest.layers)} matrices at {manifest.bits_per_weight:.3f} bits per "
            f"weight, {human_bytes(size)}, {seconds:.1f} s",
            highlight=False,
            soft_wrap=True,
        )


def _summary(manifest: Manifest, output: Path, seconds: float) -> dict[str, Any]:
    return {
        "output": str(output),
        "kind": manifest.kind,
        "scheme": manifest.scheme,
        "method": manifest.method,
        "calibration": None if manifest.calibration is None else manifest.calibration.model_dump(),
        "allocation": None if manifest.allocation is None else manifest.allocation.model_dump(),
        "matrices": len(manifest.layers),
        "bits_per_weight": manifest.bits_per_weight,
        "bundle_bytes": sum(record.size for record in manifest.files.values()),
        "seconds": seconds,
    }


def _dry_run(plan: Recipe, cache: Path | None, as_json: bool) -> None:
    from edgeq.exporting import estimate

    with progress_bars() as progress:
        result = estimate(plan, cache, progress)
    if as_json:
        print_json(
            {
                "recipe": plan.model_dump(),
                "layers": [layer.model_dump() for layer in result.layers],
                "allocation": None if result.allocation is None else result.allocation.model_dump(),
                "estimate": {
                    "data_bytes": result.data_bytes,
                    "memory_bytes": result.memory_bytes,
                    "seconds": result.seconds,
                },
            }
        )
    else:
        _print_plan(result)


def _print_plan(result: Estimate) -> None:
    chosen = {} if result.allocation is None else {layer.name: layer for layer in result.allocation.layers}
    table = Table("layer", "operators", "scheme", "shape", "stored", *budgets.columns(result.allocation), box=None)
    for layer in result.layers:
        table.add_row(
            layer.name,
            " ".join(layer.operators),
            layer.scheme,
            f"{layer.rows}×{layer.columns}",
            human_bytes(layer.size),
            *budgets.cells(chosen.get(layer.name)),
        )
    stdout.print(table)
    if result.allocation is not None:
        stdout.print(budgets.summary(result.allocation), highlight=False, soft_wrap=True)
    stdout.print(
        f"Estimated: {human_bytes(result.data_bytes)} of weights, {human_bytes(result.memory_bytes)} of memory, "
        f"{result.seconds:.0f} s on two cores.",
        highlight=False,
    )
