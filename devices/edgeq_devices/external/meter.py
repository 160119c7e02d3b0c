# SPDX-License-Identifier: Apache-2.0
"""Gives measurements the energy that an external meter recorded."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from edgeq.errors import EdgeqError
from edgeq_devices.events import Idle, PhaseEnergy, Power, Repetition, State
from edgeq_devices.external.address import MeterAddress
from edgeq_devices.external.alignment import align
from edgeq_devices.external.recording import SUPPLY, Recording, read_csv
from edgeq_devices.external.serial_port import SerialPort
from edgeq_devices.power.source import Description, Quantity, Rail
from edgeq_devices.power.window import Window
from edgeq_devices.results import Measurement

Read = Callable[[], Recording]


@contextmanager
def open_meter(address: MeterAddress) -> Iterator[Read]:
    """Yields the function that returns what has been recorded so far.

    Raises:
        EdgeqError: The port cannot be opened; the function raises it where the recording cannot be read.
    """
    if not address.is_port:
        yield lambda: read_csv(address.path)
        return
    with SerialPort(address.path, address.baud, address.columns) as port:
        yield port.recording


def add_energy(
    measured: Measurement, read: Read, address: MeterAddress, wait: Callable[[float], None] = time.sleep
) -> Measurement:
    """A measurement with its energy; with the reason why it has none, where the recording does not fit.

    Args:
        measured: Made with a load pattern.
        read: Returns what has been recorded so far.
        address: The meter; until its ``wait`` is over a recording may still grow.
        wait: Waits some seconds.
    """
    end = time.monotonic() + address.wait
    while True:
        try:
            return with_recording(measured, read(), str(address.path))
        except EdgeqError as error:
            if time.monotonic() > end:
                return replace(measured, power=Power(source=None, reason=f"external meter: {error}"))
            wait(min(1.0, max(0.0, end - time.monotonic())))


def with_recording(measured: Measurement, recording: Recording, name: str) -> Measurement:
    """A measurement with the energy of a recording.

    Raises:
        EdgeqError: The recording does not show the measurement's load pattern, or does not cover it.
    """
    assert measured.loads is not None
    alignment = align(recording, [(start * 1e-9, end * 1e-9) for start, end in measured.loads.spans])
    aligned = recording.shifted(alignment.offset)

    def window(start_ns: int, end_ns: int) -> Window:
        return aligned.window(start_ns * 1e-9, end_ns * 1e-9)

    def with_energy(run: Repetition) -> Repetition:
        timing = run.timing
        prompt, generate = window(timing.start_ns, timing.prompt_end_ns), window(timing.prompt_end_ns, timing.end_ns)
        return run.model_copy(update={"energy": PhaseEnergy(prompt=prompt, generate=generate)})

    loaded = measured.loaded
    load = window(loaded.start_ns, loaded.end_ns) if loaded.start_ns and loaded.end_ns else None
    return replace(
        measured,
        power=Power(source=_description(name, recording.rate, alignment.correlation), reason=None),
        idle=tuple(Idle(window=window(rest.start_ns, rest.end_ns)) for rest in measured.rests),
        loaded=loaded.model_copy(update={"energy": load}),
        repetitions=tuple(map(with_energy, measured.repetitions)),
        after=_with_watts(measured, window),
    )


def _description(name: str, rate: float, correlation: float) -> Description:
    return Description(
        f"external meter {name}",
        Quantity.POWER,
        (Rail(SUPPLY, counted=True),),
        leaves_out="what is not behind the meter",
        uncertainty=f"the meter's own; clocks aligned by the load pattern, correlation {correlation:.2f}",
        interval=1 / rate,
    )


def _with_watts(measured: Measurement, window: Callable[[int, int], Window]) -> State:
    """The conditions after, with the mean power up to each of their times."""
    after = measured.after
    if after.series is None:
        return after
    windows = [window(*span) for span in itertools.pairwise(after.series.time_ns)]
    watts = [None, *(each.joules[SUPPLY] / each.seconds if each.seconds else None for each in windows)]
    series = after.series.model_copy(update={"watts": watts[: len(after.series.time_ns)]})
    return after.model_copy(update={"series": series})
