# SPDX-License-Identifier: Apache-2.0
"""Results inside a document, between ``<!-- results: NAME -->`` and ``<!-- end of results -->``."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PART = re.compile(r"<!-- results: (?P<name>[^>]+?) -->.*?<!-- end of results -->", re.DOTALL)


def fill(document: str, parts: Mapping[str, str]) -> str:
    """The document with every marked part replaced.

    Raises:
        KeyError: A part has no results of that name.
    """

    def replace(match: re.Match[str]) -> str:
        name = match["name"]
        return f"<!-- results: {name} -->\n\n{parts[name]}\n\n<!-- end of results -->"

    return _PART.sub(replace, document)
