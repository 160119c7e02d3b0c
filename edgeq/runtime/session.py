# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime sessions on bundles."""

from __future__ import annotations

from pathlib import Path

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from edgeq.bundle.elf import check_machine
from edgeq.bundle.platforms import current_platform
from edgeq.bundle.reader import Bundle
from edgeq.errors import EdgeqError
from edgeq.runtime.threads import check_threads

ORT_ERRORS: tuple[type[Exception], ...] = tuple(
    getattr(ort_errors, name)
    for name in (
        "EPFail",
        "Fail",
        "InvalidArgument",
        "InvalidGraph",
        "InvalidProtobuf",
        "NoSuchFile",
        "NotImplemented",
        "RuntimeException",
    )
)
QUANTIZED_CACHE = (1, 31)  # the oldest ONNX Runtime whose attention was seen to keep codes on the CPU
_ERROR_LEVEL = 3  # ONNX Runtime's warnings are for its developers


def open_session(bundle: Bundle, threads: int | None = None, library: str | Path | None = None) -> ort.InferenceSession:
    """Opens a bundle's graph on the CPU.

    Args:
        bundle: The bundle.
        threads: Threads inside one operator; by default one per physical core. Operators run one after another.
        library: An operator library to load instead of the installed one. A bundle's own library is never loaded:
            code in a downloaded directory is not to be trusted.

    Raises:
        EdgeqError: The operator library is missing or unsuitable, or ONNX Runtime refuses the graph.
    """
    _check_cache(bundle)
    options = session_options(threads)
    if library is not None:
        _register(options, Path(library))
    elif bundle.needs_operators:
        _register(options, _installed_library())
    return _open(bundle.model_path, options)


def open_graph_file(path: Path, threads: int | None = None) -> ort.InferenceSession:
    """Opens an ONNX file that uses edgeq's operators, on the CPU.

    Args:
        path: The file.
        threads: As in `open_session`.

    Raises:
        EdgeqError: As `open_session`.
    """
    options = session_options(threads)
    _register(options, _installed_library())
    return _open(path, options)


def _check_cache(bundle: Bundle) -> None:
    found = ort.__version__
    if bundle.manifest.kv_cache is not None and tuple(map(int, found.split(".")[:2])) < QUANTIZED_CACHE:
        wanted = ".".join(map(str, QUANTIZED_CACHE))
        raise EdgeqError(
            f"no attention on a {bundle.manifest.kv_cache} cache in this ONNX Runtime",
            file=bundle.directory,
            found=found,
            wanted=f"{wanted} or newer",
            remedy=f"pip install 'onnxruntime>={wanted}', or export without --kv-cache",
        )


def _open(path: Path, options: ort.SessionOptions) -> ort.InferenceSession:
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except ORT_ERRORS as error:
        raise EdgeqError("ONNX Runtime refuses the graph", file=path, found=_first_line(error)) from error


def session_options(threads: int | None = None) -> ort.SessionOptions:
    """Options for a session that one request at a time uses."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = check_threads(threads)
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    # Every step has its own shapes: a memory pattern per shape would only pile up.
    options.enable_mem_pattern = False
    options.log_severity_level = _ERROR_LEVEL
    return options


def _installed_library() -> Path:
    remedy = "install edgeq with its operators: pip install edgeq, or give --library PATH"
    try:
        from edgeq_ops import library_path
    except ImportError as error:
        raise EdgeqError("operator library is not installed", found=str(error), remedy=remedy) from error
    return Path(library_path())


def _register(options: ort.SessionOptions, library: Path) -> None:
    if not library.is_file():
        raise EdgeqError("missing operator library", file=library, remedy="install edgeq again, or give --library PATH")
    check_machine(library, current_platform())
    try:
        options.register_custom_ops_library(str(library.resolve()))
    except ORT_ERRORS as error:
        raise EdgeqError("operator library does not load", file=library, found=_first_line(error)) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:400]
