# SPDX-License-Identifier: Apache-2.0
"""The line of figures after a generated text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeq.runtime.generation import Generation


def statistics(generation: Generation, load_seconds: float) -> str:
    """One line: how many tokens, how fast."""
    timings = generation.timings
    seed = f"; seed {generation.seed}" if generation.sampling.temperature else ""
    return (
        f"prompt {timings.prompt_tokens} tokens, {_rate(timings.prompt_rate)}; "
        f"generated {timings.generated_tokens} tokens, {_rate(timings.decode_rate)}; "
        f"first token after {timings.time_to_first_token * 1000:.0f} ms; loaded in {load_seconds:.2f} s; "
        f"ended by {generation.finish_reason}{seed}"
    )


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} tokens/s"
