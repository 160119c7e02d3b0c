# SPDX-License-Identifier: Apache-2.0
"""Joules per token, gross and above the idle machine."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from edgeq_devices.events import Idle, Loaded, Power, Repetition
from edgeq_devices.job import Test
from edgeq_devices.power.source import Description
from edgeq_devices.power.window import Window


@dataclass(frozen=True)
class Energy:
    """Means over the repetitions whose readings are sound.

    Attributes:
        source: Name of the power source.
        rails: Rails that were added up.
        leaves_out: What they leave out.
        uncertainty: As the source states it.
        samples_per_second: Achieved.
        idle_watts: Of the idle machine, before and after.
        watts: While the test ran.
        load_watts: While the model was loaded; ``None`` where loading was not metered.
        load_joules: Of loading, gross.
        prompt_watts: While prompts were processed; ``None`` if the test has none.
        token_watts: While tokens were generated.
        prompt_joules: Gross, per prompt token; ``None`` if the test has none.
        prompt_net_joules: Above the idle machine.
        token_joules: Gross, per generated token.
        token_net_joules: Above the idle machine.
    """

    source: str
    rails: tuple[str, ...]
    leaves_out: str
    uncertainty: str
    samples_per_second: float
    idle_watts: tuple[float, ...]
    watts: float
    load_watts: float | None
    load_joules: float | None
    prompt_watts: float | None
    token_watts: float | None
    prompt_joules: float | None
    prompt_net_joules: float | None
    token_joules: float | None
    token_net_joules: float | None


def phase_energy(
    test: Test, loaded: Loaded, repetitions: Sequence[Repetition], power: Power | None, idle: Sequence[Idle]
) -> Energy | None:
    """The energy of a measurement; ``None`` where no sound reading of a rail that counts exists."""
    if power is None or power.source is None:
        return None
    source = power.source
    sound = [run.energy for run in repetitions if run.energy and not _faults(run)]
    idle_watts = tuple(watts for entry in idle if (watts := _watts(entry.window, source)) is not None)
    if not sound or not idle_watts:
        return None
    prompts = [energy.prompt for energy in sound] if test.prompt else []
    tokens = [energy.generate for energy in sound] if test.generate else []
    busy = [*prompts, *tokens]
    joules, seconds = sum(_total(window, source) for window in busy), sum(window.seconds for window in busy)
    if seconds <= 0:
        return None
    base = statistics.fmean(idle_watts)
    loading = [loaded.energy] if loaded.energy and not loaded.energy.fault else []
    return Energy(
        source=source.name,
        rails=tuple(rail.name for rail in source.rails if rail.counted),
        leaves_out=source.leaves_out,
        uncertainty=source.uncertainty,
        samples_per_second=sum(window.samples for window in busy) / seconds,
        idle_watts=idle_watts,
        watts=joules / seconds,
        load_watts=_mean_watts(loading, source),
        load_joules=_per_unit(loading, 1, source),
        prompt_watts=_mean_watts(prompts, source),
        token_watts=_mean_watts(tokens, source),
        prompt_joules=_per_unit(prompts, test.prompt, source),
        prompt_net_joules=_per_unit(prompts, test.prompt, source, base),
        token_joules=_per_unit(tokens, test.generate, source),
        token_net_joules=_per_unit(tokens, test.generate, source, base),
    )


def _faults(run: Repetition) -> bool:
    return run.energy is not None and bool(run.energy.prompt.fault or run.energy.generate.fault)


def _total(window: Window, source: Description) -> float:
    return window.total(source) or 0.0


def _watts(window: Window, source: Description) -> float | None:
    total = window.total(source)
    return None if total is None or window.fault or window.seconds <= 0 else total / window.seconds


def _mean_watts(windows: Sequence[Window], source: Description) -> float | None:
    seconds = sum(window.seconds for window in windows)
    return sum(_total(window, source) for window in windows) / seconds if seconds > 0 else None


def _per_unit(windows: Sequence[Window], units: int, source: Description, idle_watts: float = 0.0) -> float | None:
    if not windows or not units:
        return None
    return statistics.fmean(_total(window, source) - idle_watts * window.seconds for window in windows) / units
