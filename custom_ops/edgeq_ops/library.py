# SPDX-License-Identifier: Apache-2.0
"""Where the operator library is, and how a session gets it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edgeq.errors import EdgeqError

if TYPE_CHECKING:
    import onnxruntime

LIBRARY_NAME = "libedgeq_ops.so"
LIBRARY_VARIABLE = "EDGEQ_OPS_LIBRARY"


def library_path() -> Path:
    """The operator library of this installation.

    The environment variable ``EDGEQ_OPS_LIBRARY`` names another one, such as a build in a source tree.

    Raises:
        EdgeqError: There is none.
    """
    override = os.environ.get(LIBRARY_VARIABLE)
    if override:
        if not Path(override).is_file():
            raise EdgeqError("no such operator library", field=LIBRARY_VARIABLE, found=override, wanted="a file")
        return Path(override).resolve()
    # An editable installation has two directories: the sources, and where the build put the library.
    directories = [Path(directory) for directory in sys.modules[__package__].__path__]
    for directory in directories:
        if (directory / LIBRARY_NAME).is_file():
            return directory / LIBRARY_NAME
    raise EdgeqError(
        "no operator library",
        file=directories[0] / LIBRARY_NAME,
        remedy=f"install edgeq with pip, or build custom_ops with CMake and set {LIBRARY_VARIABLE}",
    )


def register(session_options: onnxruntime.SessionOptions, library: Path | None = None) -> None:
    """Makes the operators known to sessions created with ``session_options``.

    Args:
        session_options: Changed in place.
        library: The library to load, such as a bundle's own; by default `library_path`.

    Raises:
        EdgeqError: There is no library, or it cannot be loaded here.
    """
    path = library_path() if library is None else library
    if not path.is_file():
        raise EdgeqError("no such operator library", file=path)
    try:
        session_options.register_custom_ops_library(str(path.resolve()))  # the loader looks up a bare name elsewhere
    except Exception as error:  # ONNX Runtime's exceptions share no other base
        raise EdgeqError(
            "the operator library cannot be loaded", file=path, found=" ".join(str(error).split())
        ) from error
