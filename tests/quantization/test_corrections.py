# SPDX-License-Identifier: Apache-2.0
"""Corrections of quantized layers: what they hold, what they refuse, eager products and bytes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from edgeq.bundle.manifest import LayerRecord
from edgeq.errors import EdgeqError
from edgeq.formats import UniformFormat
from edgeq.methods import rtn
from edgeq.quantization.corrections import LowRank, Sparse, corrected_record
from edgeq.quantization.linear import PackedWeight, QuantLinear

FORMAT = UniformFormat(4, 32)


def packed(weight: Tensor) -> PackedWeight:
    data = FORMAT.pack(rtn.quantize(weight, FORMAT))  # type: ignore[arg-type]
    return PackedWeight(torch.from_numpy(data), FORMAT, *weight.shape)


def random_sparse(rows: int, columns: int, share: float, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(rows, columns, generator=generator) < share
    return torch.where(mask, torch.randn(rows, columns, generator=generator), 0.0).half().float()


@given(st.integers(1, 40), st.integers(1, 60), st.sampled_from([0.0, 0.01, 0.2, 1.0]), st.integers(0, 99))
def test_a_sparse_matrix_keeps_its_entries(rows: int, columns: int, share: float, seed: int) -> None:
    matrix = random_sparse(rows, columns, share, seed)
    sparse = Sparse.from_dense(matrix)
    assert sparse.shape == (rows, columns)
    torch.testing.assert_close(sparse.dense(), matrix, rtol=0, atol=0)


def test_a_layer_adds_its_corrections() -> None:
    torch.manual_seed(0)
    weight, x = torch.randn(24, 40), torch.randn(2, 3, 40)
    low_rank = LowRank(torch.randn(2, 40), torch.randn(24, 2))
    sparse = Sparse.from_dense(random_sparse(24, 40, 0.05))
    plain = QuantLinear(packed(weight), bias=torch.randn(24))
    layer = QuantLinear(plain.weight, bias=plain.bias, corrections=[low_rank, sparse])
    wanted = plain(x) + torch.nn.functional.linear(x, low_rank.dense() + sparse.dense())
    torch.testing.assert_close(layer(x), wanted, rtol=1e-5, atol=1e-4)  # sums of 40 products of some tens


def test_the_factors_are_rounded_to_float16() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(3, 10, generator=generator), torch.randn(7, 3, generator=generator)
    torch.testing.assert_close(LowRank(a, b).dense(), b.half().float() @ a.half().float())


def test_records_count_the_bytes_of_corrections() -> None:
    low_rank, sparse = LowRank(torch.ones(2, 40), torch.ones(24, 2)), Sparse.from_dense(random_sparse(24, 40, 0.1))
    record = LayerRecord(name="a", operators=["DintGemm"], scheme="w4g32", rows=24, columns=40, size=1000)
    corrected = corrected_record(record, [low_rank, sparse])
    stored = sum(buffer.nbytes for each in (low_rank, sparse) for buffer in each.buffers())
    assert corrected.size == 1000 + stored
    assert [(each.kind, each.rank, each.entries) for each in corrected.corrections] == [
        ("low_rank", 2, None),
        ("sparse", None, len(sparse.values)),
    ]
    assert LayerRecord.model_validate_json(corrected.model_dump_json()) == corrected
    assert LayerRecord.model_validate(record.model_dump(exclude={"corrections"})).corrections == []


def test_a_correction_of_another_shape_is_refused() -> None:
    with pytest.raises(EdgeqError, match=r"correction of another shape, found \[24, 39\], wanted \[24, 40\]"):
        QuantLinear(packed(torch.randn(24, 40)), corrections=[Sparse.from_dense(torch.ones(24, 39))])


@pytest.mark.parametrize(("a", "b"), [((2, 5), (4, 3)), ((5,), (4, 1)), ((0, 5), (4, 0))])
def test_factors_that_do_not_agree_are_refused(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    with pytest.raises(EdgeqError, match="low-rank correction: wrong shapes"):
        LowRank(torch.ones(a), torch.ones(b))


@pytest.mark.parametrize("bad", [1e6, float("nan")])
def test_values_beyond_float16_are_refused(bad: float) -> None:
    with pytest.raises(EdgeqError, match="low-rank correction: values do not fit float16"):
        LowRank(torch.full((1, 4), bad), torch.ones(3, 1))
    with pytest.raises(EdgeqError, match="sparse correction: values do not fit float16"):
        Sparse.from_dense(torch.full((1, 4), bad))


def test_too_many_inputs_are_refused() -> None:
    with pytest.raises(EdgeqError, match="sparse correction: too many inputs, found 65537, wanted 65536"):
        Sparse.from_dense(torch.zeros(1, 65537))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"row_pointers": torch.tensor([0, 2, 1], dtype=torch.int32)}, "row pointers"),
        ({"row_pointers": torch.tensor([1, 1, 2], dtype=torch.int32)}, "row pointers"),
        ({"row_pointers": torch.tensor([0, 1, 3], dtype=torch.int32)}, "row pointers"),
        ({"row_pointers": torch.tensor([0, 1, 2])}, "types"),
        ({"columns": torch.tensor([0, 5], dtype=torch.uint16)}, "columns"),
        ({"columns": torch.tensor([0], dtype=torch.uint16)}, "columns"),
        ({"width": 0}, "width"),
    ],
)
def test_rows_that_are_not_compressed_rows_are_refused(change: dict[str, Any], field: str) -> None:
    good = {
        "row_pointers": torch.tensor([0, 1, 2], dtype=torch.int32),
        "columns": torch.tensor([4, 0], dtype=torch.uint16),
        "values": torch.ones(2, dtype=torch.float16),
        "width": 5,
    }
    assert Sparse(**good).shape == (2, 5)
    with pytest.raises(EdgeqError, match=f"sparse correction: {field}: not a sparse matrix in compressed rows"):
        Sparse(**good | change)
