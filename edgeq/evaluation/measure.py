# SPDX-License-Identifier: Apache-2.0
"""Evaluations from paths: a bundle, a text, and perhaps the original."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgeq.bundle.manifest import MANIFEST_NAME, manifest_hash
from edgeq.errors import EdgeqError
from edgeq.evaluation.perplexity import Comparison, LanguageModel, Quality, compare, evaluate
from edgeq.evaluation.similarity import Similarity, TextEncoder, evaluate_similarity, read_pairs
from edgeq.evaluation.windows import Windows, cut_windows, default_window
from edgeq.progress import Progress
from edgeq.runtime.encoder import Encoder
from edgeq.runtime.loading import load_decoder, load_encoder
from edgeq.runtime.model import Model
from edgeq.runtime.tokenizer import Tokenizer
from edgeq.texts import read_text

SAMPLE_CHARACTERS = 20_000  # of the text, on which two tokenizers must agree


@dataclass(frozen=True)
class Setup:
    """What to evaluate, and how it runs.

    Attributes:
        bundle: Bundle directory.
        against: Checkpoint directory, hub id or another bundle to compare with.
        threads, library, verify: As in `edgeq.load`.
    """

    bundle: Path
    against: str | None = None
    threads: int | None = None
    library: Path | None = None
    verify: bool = True


@dataclass(frozen=True)
class LanguageReport:
    """Perplexity of a decoder with its conditions; windows lie side by side, their first tokens are not predicted."""

    bundle: str
    model_sha256: str
    against: str | None
    scheme: str
    text: str
    window: int
    windows: int
    predicted_tokens: int
    predicted_bytes: int
    quality: Quality
    comparison: Comparison | None


@dataclass(frozen=True)
class SimilarityReport:
    """Similarity of an encoder with its conditions."""

    bundle: str
    model_sha256: str
    against: str | None
    scheme: str
    pairs_file: str
    similarity: Similarity


def measure_language(
    setup: Setup,
    text_file: Path,
    window: int | None = None,
    windows: int | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
) -> LanguageReport:
    """Perplexity of a decoder bundle on a text.

    Args:
        setup: What to evaluate.
        text_file: UTF-8 text.
        window: Tokens per window; by default the shorter of 512 and the context.
        windows: Windows at most.
        limit: Tokens of the text at most.
        progress: Told the stage ``evaluate``.

    Raises:
        EdgeqError: A file is missing or wrong, the text is too short, or the two models do not share a vocabulary.
    """
    text = read_text(text_file)
    model = load_decoder(setup.bundle, setup.threads, setup.library, setup.verify)
    length = default_window(model.context_length) if window is None else window
    cut = cut_windows(text, model.tokenizer, length, model.context_length, windows, limit)
    quality, comparison = _compare(setup, model, text, cut, progress)
    return LanguageReport(
        bundle=str(setup.bundle),
        model_sha256=manifest_hash(setup.bundle),
        against=setup.against,
        scheme=model.bundle.manifest.scheme,
        text=str(text_file),
        window=cut.length,
        windows=len(cut.ids),
        predicted_tokens=cut.predicted,
        predicted_bytes=cut.bytes,
        quality=quality,
        comparison=comparison,
    )


def _compare(
    setup: Setup, model: Model, text: str, cut: Windows, progress: Progress | None
) -> tuple[Quality, Comparison | None]:
    """The quality of a model, and what separates it from the original if there is one to compare with."""
    if setup.against is None:
        return evaluate(model, cut, progress), None
    reference, tokenizer = _reference_decoder(setup, model)
    _check_tokenizer(model, tokenizer, text, setup.against)
    return compare(model, reference, cut, progress)


def measure_similarity(setup: Setup, pairs_file: Path) -> SimilarityReport:
    """Similarity of an encoder bundle on sentence pairs.

    Raises:
        EdgeqError: A file is missing or wrong.
    """
    pairs = read_pairs(pairs_file)
    encoder = load_encoder(setup.bundle, setup.threads, setup.library, setup.verify)
    reference = _reference_encoder(setup, encoder) if setup.against is not None else None
    similarity = evaluate_similarity(encoder, pairs, reference)
    scheme = encoder.bundle.manifest.scheme
    identity = manifest_hash(setup.bundle)
    return SimilarityReport(str(setup.bundle), identity, setup.against, scheme, str(pairs_file), similarity)


def _reference_decoder(setup: Setup, model: Model) -> tuple[LanguageModel, Tokenizer | None]:
    if _is_bundle(setup.against):
        other = load_decoder(str(setup.against), setup.threads, setup.library, setup.verify)
        return other, other.tokenizer
    _require_torch()
    from edgeq.evaluation.reference import ReferenceDecoder

    original = ReferenceDecoder(str(setup.against), model.graph.logits_chunk, setup.threads)
    return original, original.tokenizer


def _reference_encoder(setup: Setup, encoder: Encoder) -> TextEncoder:
    if _is_bundle(setup.against):
        return load_encoder(str(setup.against), setup.threads, setup.library, setup.verify)
    _require_torch()
    from edgeq.evaluation.reference import ReferenceEncoder

    return ReferenceEncoder(str(setup.against), encoder.tokenizer.encode, encoder.pooling, setup.threads)


def _is_bundle(path: str | None) -> bool:
    return path is not None and (Path(path) / MANIFEST_NAME).is_file()


def _require_torch() -> None:
    try:
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        raise EdgeqError(
            "comparing with a checkpoint needs PyTorch and transformers",
            field="against",
            found=str(error),
            remedy='pip install "edgeq[export]", or compare with an fp32 bundle',
        ) from error


def _check_tokenizer(model: Model, other: Tokenizer | None, text: str, against: str) -> None:
    sample = text[:SAMPLE_CHARACTERS]
    if other is not None and other.encode(sample) != model.tokenizer.encode(sample):
        raise EdgeqError("different tokenizers", file=against, wanted=f"the tokenizer of {model.bundle.directory}")
