# SPDX-License-Identifier: Apache-2.0
"""Tables."""

from __future__ import annotations

from typing import Any


def sections(records: list[dict[str, Any]]) -> dict[str, str]:
    return {}


def plots(records: list[dict[str, Any]]) -> dict[str, str]:
    return {}
