# SPDX-License-Identifier: Apache-2.0
"""What is added to the product with a quantized matrix: a low-rank and a sparse matrix in float16.

Sources: ZeroQuant-V2's low-rank compensation (arXiv 2303.08302), SqueezeLLM's dense-and-sparse decomposition
(arXiv 2306.07629).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgeq.bundle.manifest import CorrectionRecord, LayerRecord
from edgeq.errors import EdgeqError
from edgeq.quantization.operators import DOMAIN, VERSION

WIDEN = "Widen"  # what stands for a Cast to float32 while torch traces; `edgeq_export.factors` puts the Cast there
MAX_SPARSE_COLUMNS = 1 << 16  # column indices are stored as uint16


class LowRank(nn.Module):
    """``y + B(A x)``: two small matrices, stored as the two products want them.

    They are stored in float16; the products are computed in float32.

    Args:
        a: ``[r, K]``.
        b: ``[N, r]``.

    Raises:
        EdgeqError: The shapes do not agree, or a value does not fit float16.
    """

    down: Tensor  # Aᵀ, float16 [K, r]
    up: Tensor  # Bᵀ, float16 [r, N]

    def __init__(self, a: Tensor, b: Tensor) -> None:
        super().__init__()
        if a.ndim != 2 or b.ndim != 2 or a.shape[0] != b.shape[1] or a.shape[0] == 0:
            found = f"{list(a.shape)}, {list(b.shape)}"
            raise EdgeqError("wrong shapes", field="low-rank correction", found=found, wanted="[r, K], [N, r]")
        self.register_buffer("down", _as_float16(a.T, "low-rank correction"))
        self.register_buffer("up", _as_float16(b.T, "low-rank correction"))

    @property
    def shape(self) -> tuple[int, int]:
        """N, K."""
        return self.up.shape[1], self.down.shape[0]

    def dense(self) -> Tensor:
        """B·A as float32 ``[N, K]``."""
        return (self.down.float() @ self.up.float()).T

    def record(self) -> CorrectionRecord:
        """For the manifest."""
        return CorrectionRecord(kind="low_rank", size=2 * (self.down.numel() + self.up.numel()), rank=self.up.shape[0])

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """``[..., K]`` and ``[..., N]`` to ``[..., N]``."""
        return y + torch.matmul(torch.matmul(x, _widened(self.down)), _widened(self.up))


class Sparse(nn.Module):
    """``y + S x``: single weights in compressed rows.

    Args:
        row_pointers: int32 ``[N + 1]``; row n has the entries ``[row_pointers[n], row_pointers[n + 1])``.
        columns: uint16 ``[entries]``.
        values: float16 ``[entries]``.
        width: K, at most 65536.

    Raises:
        EdgeqError: A shape, type, pointer or column is wrong.
    """

    row_pointers: Tensor
    columns: Tensor
    values: Tensor

    def __init__(self, row_pointers: Tensor, columns: Tensor, values: Tensor, width: int) -> None:
        super().__init__()
        self.width = width
        self.register_buffer("row_pointers", row_pointers)
        self.register_buffer("columns", columns)
        self.register_buffer("values", values)
        self._check()

    @classmethod
    def from_dense(cls, matrix: Tensor) -> Sparse:
        """The entries of ``[N, K]`` that are not zero.

        Raises:
            EdgeqError: K is above 65536, or a value does not fit float16.
        """
        rows, width = matrix.shape
        if width > MAX_SPARSE_COLUMNS:
            raise EdgeqError("too many inputs", field="sparse correction", found=width, wanted=MAX_SPARSE_COLUMNS)
        stored = _as_float16(matrix, "sparse correction")
        row, column = stored.nonzero(as_tuple=True)
        pointers = torch.zeros(rows + 1, dtype=torch.int64)
        pointers[1:] = torch.bincount(row, minlength=rows).cumsum(0)
        return cls(pointers.to(torch.int32), column.to(torch.uint16), stored[row, column], width)

    @property
    def shape(self) -> tuple[int, int]:
        """N, K."""
        return len(self.row_pointers) - 1, self.width

    def dense(self) -> Tensor:
        """As float32 ``[N, K]``."""
        rows = len(self.row_pointers) - 1
        matrix = torch.zeros(rows, self.width)
        counts = self.row_pointers.diff().to(torch.int64)
        places = (torch.arange(rows).repeat_interleave(counts), self.columns.to(torch.int64))
        return matrix.index_put_(places, self.values.float(), accumulate=True)

    def record(self) -> CorrectionRecord:
        """For the manifest."""
        size = 4 * len(self.row_pointers) + 4 * len(self.values)
        return CorrectionRecord(kind="sparse", size=size, entries=len(self.values))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """``[..., K]`` and ``[..., N]`` to ``[..., N]``."""
        if not torch.onnx.is_in_onnx_export():
            return y + nn.functional.linear(x, self.dense())
        rows, width = self.shape
        return torch.onnx.ops.symbolic(
            f"{DOMAIN}::SparseGemm",
            (x, self.row_pointers, self.columns, self.values, y),
            {"K": width, "N": rows},
            dtype=y.dtype,
            shape=y.shape,
            version=VERSION,
        )

    def _check(self) -> None:
        pointers, entries = self.row_pointers, len(self.values)
        types = (pointers.dtype, self.columns.dtype, self.values.dtype)
        _require(types == (torch.int32, torch.uint16, torch.float16), "types", types)
        _require(0 < self.width <= MAX_SPARSE_COLUMNS, "width", self.width)
        _require(self.columns.shape == (entries,), "columns", list(self.columns.shape))
        ordered = pointers.ndim == 1 and len(pointers) > 1 and bool((pointers.diff() >= 0).all())
        _require(ordered and int(pointers[0]) == 0 and int(pointers[-1]) == entries, "row pointers", "others")
        largest = int(self.columns.to(torch.int64).max()) if entries else 0
        _require(largest < self.width, "columns", largest)


Correction = LowRank | Sparse


def restore_corrections(buffers: Sequence[dict[str, Tensor]], width: int) -> tuple[Correction, ...]:
    """Corrections from their buffers by name, as ``named_buffers`` gave them.

    Args:
        buffers: Of each correction.
        width: K, inputs of the layer.
    """
    return tuple(
        LowRank(held["down"].T, held["up"].T) if "down" in held else Sparse(**held, width=width) for held in buffers
    )


def check_corrections(corrections: Sequence[Correction], rows: int, columns: int) -> None:
    """Checks that corrections fit a layer.

    Raises:
        EdgeqError: One has another shape.
    """
    for correction in corrections:
        if correction.shape != (rows, columns):
            raise EdgeqError("correction of another shape", found=list(correction.shape), wanted=f"[{rows}, {columns}]")


def corrected_record(record: LayerRecord, corrections: Sequence[Correction]) -> LayerRecord:
    """A layer's record with its corrections, whose bytes count in its size."""
    found = [correction.record() for correction in corrections]
    size = record.size + sum(correction.size for correction in found)
    return record.model_copy(update={"size": size, "corrections": [*record.corrections, *found]})


def _widened(factor: Tensor) -> Tensor:
    """A float16 factor in float32. Torch's exporter would store a small one in float32, if it saw a cast."""
    if not torch.onnx.is_in_onnx_export():
        return factor.float()
    name = f"{DOMAIN}::{WIDEN}"
    return torch.onnx.ops.symbolic(name, (factor,), dtype=torch.float32, shape=factor.shape, version=VERSION)


def _as_float16(values: Tensor, what: str) -> Tensor:
    stored = values.detach().to(torch.float16).contiguous()
    if not torch.isfinite(stored).all():
        largest = values.detach().abs().max().item()
        raise EdgeqError("values do not fit float16", field=what, found=f"{largest:.3g}", wanted="at most 65504")
    return stored


def _require(holds: bool, what: str, found: object) -> None:
    if not holds:
        raise EdgeqError("not a sparse matrix in compressed rows", field=f"sparse correction: {what}", found=found)
