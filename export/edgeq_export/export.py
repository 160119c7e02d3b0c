# SPDX-License-Identifier: Apache-2.0
"""From a quantized transformers model to a bundle."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch

from edgeq.bundle.genai_config import GENAI_CONFIG_NAME
from edgeq.bundle.manifest import LayerRecord, Manifest, Source
from edgeq.checkpoint import Checkpoint
from edgeq.quantization.linear import QuantLinear
from edgeq_export.architectures import find_architecture
from edgeq_export.bundle_writer import BundleContents, json_document, write_bundle
from edgeq_export.companions import companion_files
from edgeq_export.decoder import trace_decoder
from edgeq_export.encoder import check_encoder, trace_encoder
from edgeq_export.finishing import finish_graph
from edgeq_export.generation import decoder_document, read_generation
from edgeq_export.kv_cache import quantize_cache
from edgeq_export.output_directory import check_output
from edgeq_export.portable import check_plan

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgeq.progress import Progress
    from edgeq.quantization.plan import Plan
    from edgeq.quantization.quantize import QuantizedModel
    from edgeq_export.compression.storing import Storage

logger = logging.getLogger(__name__)
POOLER = "pooler."  # it makes nothing of an encoder's hidden states, so the graph does not hold it
DECODER_CLASSES = ("ForCausalLM", "LMHeadModel")


def check_supported(checkpoint: Checkpoint, plan: Plan, *, portable: bool = False) -> None:
    """Checks, before any work, that a checkpoint can be exported as planned.

    Raises:
        EdgeqError: Its architecture cannot be exported, or a scheme has no stock operator and ``portable`` is set.
    """
    config = SimpleNamespace(**{"model_type": None} | checkpoint.config)
    file = checkpoint.directory / "config.json"
    if _is_decoder(checkpoint.config):
        find_architecture(config, file)
    else:
        check_encoder(config, file)
        _warn_of_head(checkpoint)
    if portable:
        check_plan(plan)


def _warn_of_head(checkpoint: Checkpoint) -> None:
    for architecture in checkpoint.config.get("architectures") or []:
        if "For" in architecture:
            logger.warning(
                "%s: exported as an encoder, without the head of %s; to keep the head, export it to ONNX first "
                "(optimum-cli export onnx)",
                checkpoint.directory,
                architecture,
            )


def export_bundle(
    quantized: QuantizedModel,
    output: Path,
    *,
    portable: bool = False,
    compression: Storage | None = None,
    libraries: Mapping[str, Path] | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Manifest:
    """Traces a quantized model and writes its bundle.

    Args:
        quantized: The model; its packed weights go to the bundle as they lie in memory.
        output: Directory to create.
        portable: Write stock operators, for places where no custom library may load.
        compression: How the weights are stored; by default as they are packed.
        libraries: The operator library of each platform; by default this platform's.
        force: Replace ``output`` if it is not empty.
        progress: Told the stages ``trace`` and ``write``.

    Raises:
        EdgeqError: The architecture cannot be exported, a scheme has no stock operator, or writing failed.
    """
    check_output(output, force=force)
    graph = _trace(quantized, progress)
    layers = finish_graph(graph, _traced_records(quantized), portable=portable, wrapper="model")
    contents = replace(_contents(quantized, graph, layers), libraries=libraries, compression=compression)
    return write_bundle(contents, output, force=force, progress=progress)


def _trace(quantized: QuantizedModel, progress: Progress | None) -> ir.Model:
    if progress:
        progress("trace", 0, 1)
    trace = trace_decoder if _is_decoder(quantized.checkpoint.config) else trace_encoder
    graph = trace(quantized.model)
    if progress:
        progress("trace", 1, 1)
    if quantized.cache_scales is not None:
        quantize_cache(graph, quantized.cache_scales)
    return graph


def _traced_records(quantized: QuantizedModel) -> list[LayerRecord]:
    if _is_decoder(quantized.checkpoint.config):
        return quantized.records
    return [record for record in quantized.records if not record.name.startswith(POOLER)]


def _contents(quantized: QuantizedModel, graph: ir.Model, layers: list[LayerRecord]) -> BundleContents:
    decoder = _is_decoder(quantized.checkpoint.config)
    return BundleContents(
        kind="decoder" if decoder else "encoder",
        model=graph,
        scheme=str(quantized.scheme),
        method=quantized.method,
        calibration=quantized.calibration,
        allocation=quantized.allocation,
        training=quantized.training,
        kv_cache=None if quantized.cache_scales is None else quantized.cache_scales.scheme,
        source=_describe_source(quantized),
        layers=layers,
        documents=_generation_document(quantized, graph) if decoder else {},
        copies=companion_files(quantized.checkpoint.directory),
    )


def _is_decoder(config: dict[str, Any]) -> bool:
    return any(str(name).endswith(DECODER_CLASSES) for name in config.get("architectures") or [])


def _generation_document(quantized: QuantizedModel, graph: ir.Model) -> dict[str, bytes]:
    generation = read_generation(quantized.checkpoint.directory)
    return {GENAI_CONFIG_NAME: json_document(decoder_document(graph, quantized.config.to_dict(), generation))}


def _describe_source(quantized: QuantizedModel) -> Source:
    checkpoint = quantized.checkpoint
    return Source(
        name=_name(checkpoint.directory),
        architecture=(checkpoint.config.get("architectures") or [quantized.config.model_type])[0],
        parameters=_count_parameters(quantized),
        fingerprint=checkpoint.fingerprint,
    )


def _name(directory: Path) -> str:
    """The hub id where the directory is a snapshot in the hub's cache, else the directory's name."""
    cached = next((part for part in directory.parts if part.startswith("models--")), None)
    return cached.removeprefix("models--").replace("--", "/") if cached else directory.resolve().name


def _count_parameters(quantized: QuantizedModel) -> int:
    """Parameters of the original: recorded matrices, tied ones once, and whatever else the model holds."""
    matrices = {f"{record.name}.weight" for record in quantized.records}
    others = [value for name, value in quantized.model.named_parameters() if name not in matrices]
    biases = [module.bias for module in quantized.model.modules() if isinstance(module, QuantLinear)]
    rest = sum(value.numel() for value in [*others, *biases] if isinstance(value, torch.Tensor))
    return rest + sum(record.rows * record.columns for record in quantized.records)
