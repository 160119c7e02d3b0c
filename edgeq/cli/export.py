# SPDX-License-Identifier: Apache-2.0
"""``edgeq export``: checkpoint or ONNX file to bundle."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.table import Table
from typer import Argument, Option

from edgeq.cli import budget_options as budgets
from edgeq.cli.assignments import parse_layers, parse_method_options
from edgeq.cli.console import human_bytes, parse_bytes, print_json, progress_bars, show_log, stderr, stdout
from edgeq.errors import EdgeqError

if TYPE_CHECKING:
    from edgeq.bundle.manifest import Manifest
    from edgeq.exporting import Estimate
    from edgeq.recipe import Recipe


def command(
    model: Annotated[
        str | None, Argument(help="Checkpoint directory, .onnx file or hub id.", show_default=False)
    ] = None,
    output: Annotated[Path | None, Option("--output", "-o", help="Directory to create.", show_default=False)] = None,
    bits: Annotated[
        int | None, Option(help="Bits per weight: 2, 3, 4 or 8; scheme and method by --quality.", show_default=False)
    ] = None,
    quality: Annotated[
        str | None,
        Option(
            help="With --bits: fast, balanced or best, at the cost of time and size (docs/accuracy.md). "
            "(default: balanced)",
            show_default=False,
        ),
    ] = None,
    scheme: Annotated[
        str | None, Option(help="Scheme, e.g. w4g128, w3g64-bcq, w8, fp32. (default: w4g128)", show_default=False)
    ] = None,
    number_format: Annotated[
        str | None,
        Option(
            "--format",
            help="With --bits or --scheme: uniform, dint, dint0.25, dint0.125, bcq, codebook, or auto: whichever of "
            "the first four errs least, layer by layer.",
            show_default=False,
        ),
    ] = None,
    group_size: Annotated[
        int | None,
        Option("--group-size", help="With --bits: weights per scale; 0 for one per row.", show_default=False),
    ] = None,
    vocabulary: Annotated[
        str | None,
        Option(help="Scheme of token embedding and output head. (default: 8 bits, same groups)", show_default=False),
    ] = None,
    layer: Annotated[
        list[str] | None,
        Option(help="PATTERN=SCHEME for layers whose name matches, e.g. lm_head=w8g64.", show_default=False),
    ] = None,
    skip: Annotated[list[str] | None, Option(help="PATTERN of layers to keep in float32.", show_default=False)] = None,
    method: Annotated[
        str | None,
        Option(help="Methods joined by +, e.g. gptq, awq+gptq, magr+gptq. (default: rtn)", show_default=False),
    ] = None,
    method_option: Annotated[
        list[str] | None, Option(help="METHOD.FIELD=VALUE, e.g. gptq.act_order=true.", show_default=False)
    ] = None,
    magr_alpha: Annotated[
        str | None, Option(help="Short for --method-option magr.alpha=…; a number or auto.", show_default=False)
    ] = None,
    clip: Annotated[
        str | None,
        Option(help="Range of a group: l3, mse or minmax. (default: as the method likes it)", show_default=False),
    ] = None,
    calibration: Annotated[
        Path | None,
        Option(
            help="What the model reads while its layers are observed: text, .jsonl with a field text, or token ids "
            "(.npy, .json).",
            show_default=False,
        ),
    ] = None,
    samples: Annotated[int | None, Option(help="Calibration windows. (default: 128)", show_default=False)] = None,
    length: Annotated[
        str | None,
        Option(
            "--length",
            "--calibration-length",
            help="Tokens per window, or auto: by --task-lengths, or by error on held-out windows. (default: 512, or "
            "the model's context)",
            show_default=False,
        ),
    ] = None,
    task_lengths: Annotated[
        str | None,
        Option(
            help="Lengths of what the model will be used for: a file, 160, 32-128, 32+128 (prompt and generation), or "
            "64:10,512:3.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int | None, Option(help="What the windows are drawn with. (default: 0)", show_default=False)
    ] = None,
    sequential: Annotated[
        bool | None,
        Option(
            "--sequential/--no-sequential",
            help="Observe a layer after those before it in its block are quantized. (default: --sequential)",
            show_default=False,
        ),
    ] = None,
    memory: Annotated[
        str | None,
        Option(help="What calibration activations may take, e.g. 4GB; the rest is on disk.", show_default="4GB"),
    ] = None,
    work_dir: Annotated[
        Path | None,
        Option(
            help="Where a calibrated run keeps finished blocks, to continue after an interruption. "
            "(default: .OUTPUT.work beside the output)",
            show_default=False,
        ),
    ] = None,
    portable: Annotated[
        bool, Option("--portable", help="Write stock MatMulNBits instead of edgeq's operators.")
    ] = False,
    bits_per_weight: Annotated[
        float | None,
        Option(
            help="Entropy-coded bits per weight, e.g. 3.6: 8-bit codes with coarser steps (--method ecgptq, without "
            "calibration ecsq), compressed as --compress says (load).",
            show_default=False,
        ),
    ] = None,
    compress: Annotated[
        str | None,
        Option(
            help="Entropy-code the weights once more: load (decoded at load), use (stay compressed in memory), or with "
            "a codec, such as use:nibble; edgeq compress chooses layer by layer.",
            show_default=False,
        ),
    ] = None,
    kv_cache: Annotated[
        str | None,
        Option(help="Keep keys and values of past tokens in 8 or 4 bits: kv8 or kv4.", show_default="float"),
    ] = None,
    target: Annotated[
        list[str] | None,
        Option(
            help="Platform whose operators the bundle holds, such as linux-aarch64; may be repeated. "
            "(default: this machine's)",
            show_default=False,
        ),
    ] = None,
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
    revision: Annotated[str | None, Option(help="Revision on the hub.", show_default=False)] = None,
    recipe: Annotated[Path | None, Option(help="Start from a recipe (TOML).", show_default=False)] = None,
    save_recipe: Annotated[
        Path | None, Option(help="Write the recipe of this export here.", show_default=False)
    ] = None,
    dry_run: Annotated[bool, Option("--dry-run", help="Show the plan and what it would take; write nothing.")] = False,
    force: Annotated[bool, Option("--force", help="Replace the output directory if it is not empty.")] = False,
    verbose: Annotated[
        bool, Option("--verbose", "-v", help="Print the time and the output error of each calibrated layer.")
    ] = False,
    as_json: Annotated[bool, Option("--json", help="Print the result as JSON.")] = False,
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
