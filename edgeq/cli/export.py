# SPDX-License-Identifier: Apache-2.0
"""``edgeq export``: checkpoint or ONNX file to bundle."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeq.cli import budget_options as budgets
from edgeq.cli import export_options as options
from edgeq.cli.assignments import parse_layers, parse_method_options
from edgeq.cli.console import parse_bytes, progress_bars, show_log
from edgeq.cli.export_output import print_estimate, print_export
from edgeq.cli.export_recipe import BudgetRequest, PresetRequest, make_recipe, parse_length
from edgeq.cli.options import AsJson, Force, Output
from edgeq.errors import EdgeqError

if TYPE_CHECKING:
    from edgeq.recipe import Recipe


def command(
    model: options.Model = None,
    output: Output = None,
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
    force: Force = False,
    verbose: options.Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Quantize a model and write an ONNX bundle."""
    from edgeq.recipe import save_recipe as write_recipe

    if verbose:
        show_log()
    if model is None and recipe is None:
        raise EdgeqError("no model", remedy="give a checkpoint directory, an .onnx file or a hub id, or --recipe FILE")
    limits = budgets.Limits(avg_bits, max_size, max_memory, max_latency, max_energy)
    search = budgets.Search(candidates, sensitivity, allocation, split_inputs, layer_costs)
    budget = BudgetRequest(budgets.budget_fields(limits, search), device, cache)
    preset = PresetRequest(bits, quality, group_size, bits_per_weight, number_format, scheme, method)
    source = {"model": model, "revision": revision}
    schemes = {"scheme": scheme, "vocabulary": vocabulary, "layers": parse_layers(layer), "skip": skip}
    methods = {"method": method, "method_options": parse_method_options(method_option, magr_alpha), "clip": clip}
    texts = {"calibration": str(calibration.absolute()) if calibration else None, "sequential": sequential}
    windows = {"samples": samples, "length": parse_length(length), "task_lengths": task_lengths, "seed": seed}
    form = {"portable": portable or None, "compress": compress, "kv_cache": kv_cache, "targets": target}
    plan = make_recipe(recipe, preset, budget, **source, **schemes, **methods, **texts, **windows, **form)
    how = {"force": force, "work": work_dir, "memory": parse_bytes(memory, "--memory") if memory else None}
    if save_recipe:
        write_recipe(plan, save_recipe)
    if dry_run:
        _dry_run(plan, cache, as_json)
    elif output is not None:
        _export(plan, output, as_json, cache=cache, **how)
    elif not save_recipe:
        raise EdgeqError("no output directory", field="--output", remedy="add -o OUT, or --dry-run to see the plan")


def _export(recipe: Recipe, output: Path, as_json: bool, **how: Any) -> None:
    from edgeq.exporting import export_recipe

    start = time.perf_counter()
    with progress_bars() as progress:
        manifest = export_recipe(recipe, output, progress=progress, **how)
    print_export(manifest, output, time.perf_counter() - start, as_json)


def _dry_run(recipe: Recipe, cache: Path | None, as_json: bool) -> None:
    from edgeq.estimating import estimate

    with progress_bars() as progress:
        result = estimate(recipe, cache, progress)
    print_estimate(recipe, result, as_json)
