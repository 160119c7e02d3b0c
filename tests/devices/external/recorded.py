# SPDX-License-Identifier: Apache-2.0
"""A meter's recording of a load pattern, made up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeq_devices.external.recording import Recording

LOADS = [(105.0, 106.1), (106.8, 107.3), (108.5, 109.0), (109.3, 110.2)]


def recorded(
    offset: float,
    rate: float = 100.0,
    span: tuple[float, float] = (95.0, 125.0),
    loads: Sequence[tuple[float, float]] = LOADS,
) -> Recording:
    """3 W at rest, 7 W under load, and noise, of a meter whose clock is ``offset`` behind the board's."""
    times = np.arange(*span, 1 / rate)
    watts = 3.0 + 4.0 * np.any([(times >= a) & (times < b) for a, b in loads], axis=0)
    return Recording(times - offset, watts + np.random.default_rng(0).normal(0, 0.3, len(times)))
