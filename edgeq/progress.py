# SPDX-License-Identifier: Apache-2.0
"""How long work reports where it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Told the stage, the steps done and the steps in all."""
