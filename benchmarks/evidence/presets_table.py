# SPDX-License-Identifier: Apache-2.0
"""What the presets are, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence

from edgeq.presets import PRESETS, Settings
from evidence.grid import preset_cell
from evidence.markdown import signed, table
from evidence.subjects import DECODERS
from evidence.summary import Row


def preset_table(rows: Sequence[Row]) -> str:
    """Every preset, without and with calibration where that differs, on every decoder."""
    lines = []
    for (bits, quality), preset in PRESETS.items():
        lines.append([str(bits), quality, "no", *_settings(preset.data_free), *_losses(rows, preset.data_free, False)])
        if preset.calibrated != preset.data_free:
            calibrated = preset.calibrated
            lines.append([str(bits), quality, "yes", *_settings(calibrated), *_losses(rows, calibrated, True)])
    return table(["bits", "quality", "calibration", "scheme", "method", *DECODERS], lines)


def _settings(settings: Settings) -> list[str]:
    options = ", ".join(f"{name}={str(value).lower()}" for name, value in settings.options.items())
    return [settings.scheme, f"{settings.method} ({options})" if options else settings.method]


def _losses(rows: Sequence[Row], settings: Settings, calibrated: bool) -> list[str]:
    cells = [preset_cell(model, settings, calibrated=calibrated) for model in DECODERS]
    found = {row.cell: row for row in rows}
    return [
        f"{signed(found[cell].loss)} ({found[cell].mean('kl_divergence'):.4f})" if cell in found else ""
        for cell in cells
    ]
