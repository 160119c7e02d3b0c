# SPDX-License-Identifier: Apache-2.0
"""Reading the texts that models are calibrated and evaluated on."""

from __future__ import annotations

from pathlib import Path

from edgeq.errors import EdgeqError


def read_text(path: str | Path) -> str:
    """A UTF-8 text file as it is, line ends included, but for a byte order mark.

    Raises:
        EdgeqError: It is missing, empty or not UTF-8.
    """
    file = Path(path)
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise EdgeqError("cannot read text", file=file, found=error.strerror, wanted="a UTF-8 text file") from error
    except UnicodeDecodeError as error:
        found = f"byte 0x{error.object[error.start]:02x} at {error.start}"
        raise EdgeqError("not a UTF-8 text", file=file, found=found, remedy="convert it, e.g. with iconv") from error
    if not text.strip():
        raise EdgeqError("empty text", file=file)
    return text
