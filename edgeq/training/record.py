# SPDX-License-Identifier: Apache-2.0
"""What a trained checkpoint and its bundles say of the training."""

from __future__ import annotations

from typing import Any

from edgeq.checkpoint import Checkpoint
from edgeq.training.data import Texts
from edgeq.training.settings import Settings
from edgeq.training.state import History

LAST_STEPS = 20  # whose mean loss is the final one where nothing is validated


def final_loss(history: History) -> float:
    """The best loss on the validation text, or the mean of the last steps; NaN before the first."""
    if history.best is not None:
        return history.best[1]
    last = history.losses[-LAST_STEPS:]
    return sum(last) / len(last) if last else float("nan")


def document(
    settings: Settings, source: Checkpoint, texts: Texts, history: History, tokens_per_step: int
) -> dict[str, Any]:
    """What ``training.json`` holds."""
    return {
        "record": _record(settings, texts, history, tokens_per_step),
        "settings": settings.model_dump(),
        "source": {"name": source.directory.name, "fingerprint": source.content_fingerprint},
        "losses": history.losses,
        "evaluations": history.evaluations,
    }


def _record(settings: Settings, texts: Texts, history: History, tokens_per_step: int) -> dict[str, Any]:
    """For the manifest (`edgeq.bundle.manifest.TrainingRecord`)."""
    return {
        "source": texts.training.source,
        "fingerprint": texts.training.fingerprint,
        "steps": history.steps,
        "tokens": history.steps * tokens_per_step,
        "loss": settings.loss,
        "final_loss": final_loss(history),
        "gamma": settings.gamma,
        "gradient": settings.gradient,
    }
