# SPDX-License-Identifier: Apache-2.0
"""Opens ONNX files that others wrote: versions, external data and paths are checked before anything is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from edgeq.errors import EdgeqError
from edgeq_export.passes import check

MIN_IR_VERSION = 4  # initializers need not be graph inputs, so they are constants
MIN_OPSET = 13  # Squeeze, Unsqueeze and their like take their axes as inputs, as all exporters in use write them
REEXPORT = "export the model again with a current exporter, or convert it with onnx.version_converter"


def load_onnx(path: Path) -> ir.Model:
    """Reads a model; external data stays in its files, mapped when it is needed.

    Raises:
        EdgeqError: There is no such file, it is not an ONNX model, its version is not supported, or its external
            data is missing, truncated or outside the model's directory.
    """
    path = path.absolute()  # onnx-ir confines external data only where it knows the directory
    check(path.is_file(), "no such model", file=path, wanted="an .onnx file")
    try:
        model = ir.load(path)
    except (DecodeError, ir.serde.SerdeError, ValueError, OSError) as error:
        reason = str(error).strip().splitlines()[0][:160]
        raise EdgeqError(
            f"not a readable ONNX model ({reason})", file=path, remedy="download or export it again"
        ) from error
    check(len(model.graph) > 0, "not an ONNX model", file=path, found="a graph without nodes")
    check_versions(model, path)
    for tensor in tensors_of(model):
        if isinstance(tensor, ir.ExternalTensor):
            _check_external(tensor, path)
    return model


def check_versions(model: ir.Model, path: Path | None = None) -> None:
    """Checks the versions of a model.

    Raises:
        EdgeqError: The IR version or the ONNX opset is older or newer than what is supported.
    """
    _check_version("ir_version", model.ir_version or 0, MIN_IR_VERSION, onnx.IR_VERSION, path)
    opset = model.opset_imports.get("")
    if opset is not None:
        _check_version("opset_import", opset, MIN_OPSET, onnx.defs.onnx_opset_version(), path)


def tensors_of(model: ir.Model) -> Iterator[ir.TensorProtocol]:
    """All constant tensors: initializers and attributes, subgraphs and functions included."""
    for graph in model.graphs():
        yield from (value.const_value for value in graph.initializers.values() if value.const_value is not None)
    for nodes in (model.graph.all_nodes(), *(function.all_nodes() for function in model.functions.values())):
        for attribute in (attribute for node in nodes for attribute in node.attributes.values()):
            if attribute.type == ir.AttributeType.TENSOR and not attribute.is_ref():
                yield attribute.as_tensor()


def _check_version(field: str, found: int, oldest: int, newest: int, path: Path | None) -> None:
    check(
        found >= oldest,
        "ONNX version too old",
        file=path,
        field=field,
        found=found,
        wanted=f"{oldest} or newer",
        remedy=REEXPORT,
    )
    remedy = "install a newer onnx and onnxruntime, or export the model again for an older version"
    check(
        found <= newest,
        "ONNX version too new",
        file=path,
        field=field,
        found=found,
        wanted=f"at most {newest}",
        remedy=remedy,
    )


def _check_external(tensor: ir.ExternalTensor, path: Path) -> None:
    location = str(tensor.location)
    data = path.parent / location
    details = {"file": path, "field": f"external data of {tensor.name}", "found": location}
    parts = PureWindowsPath(location).parts  # splits at both kinds of slash
    confined = location and not PureWindowsPath(location).anchor and ".." not in parts
    wanted = "a relative path inside the model's directory"
    check(bool(confined), "external data outside the model's directory", **details, wanted=wanted)
    inside = data.resolve().is_relative_to(path.parent.resolve())
    check(
        inside,
        "external data is a link to outside the model's directory",
        **details,
        remedy="copy the file itself there",
    )
    check(data.is_file(), "missing external data", **details, remedy="it belongs beside the .onnx file; fetch it too")
    check(data.stat().st_nlink == 1, "external data has several hard links", **details, remedy="copy the file")
    _check_extent(tensor, data)


def _check_extent(tensor: ir.ExternalTensor, data: Path) -> None:
    details = {"file": data, "field": tensor.name}
    offset, length, size = tensor.offset or 0, tensor.length, data.stat().st_size
    whole = length is None or length == tensor.nbytes
    check(whole, "wrong length of external data", **details, found=f"{length} bytes", wanted=f"{tensor.nbytes} bytes")
    end = offset + tensor.nbytes
    check(
        offset >= 0 and end <= size,
        "truncated external data",
        **details,
        found=f"{size} bytes",
        wanted=f"at least {end} bytes",
        remedy="download or export it again",
    )
