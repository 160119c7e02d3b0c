# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from edgeq.compression.entropy import code_entropy
from edgeq.compression.sizes import compressed_size
from edgeq.compression.storage import read_bandwidth
from edgeq.errors import EdgeqError
from edgeq.formats import UniformFormat, UniformTensor
from edgeq.formats.compression import compress


def packed_matrix(fmt: UniformFormat, rows: int, columns: int, spread: float) -> np.ndarray:
    half = 2 ** (fmt.bits - 1)
    steps = np.random.default_rng(0).standard_normal((rows, columns)) * spread
    codes = (np.clip(np.round(steps), -half, half - 1) + half).astype(np.uint8)
    groups = -(-columns // (fmt.group_size or columns))
    return fmt.pack(UniformTensor(codes, np.ones((rows, groups), np.float16)))


@pytest.mark.parametrize("codec", ["rans", "nibble"])
@pytest.mark.parametrize(("rows", "columns"), [(33, 65), (256, 768), (1000, 320)])
@pytest.mark.parametrize("spread", [0.3, 3.0, 40.0])
def test_sizes_are_predicted_and_never_too_small(codec: str, rows: int, columns: int, spread: float) -> None:
    fmt = UniformFormat(8)
    packed = packed_matrix(fmt, rows, columns, spread)
    found, predicted = (
        compress(packed, fmt, rows, columns, codec).size,
        compressed_size(packed, fmt, rows, columns, codec),
    )
    assert found <= predicted <= 1.01 * found + 128


def test_sizes_of_int4_codes() -> None:
    fmt = UniformFormat(4, 64)
    packed = packed_matrix(fmt, 256, 512, 1.5)
    found = compress(packed, fmt, 256, 512, "rans").size
    assert found <= compressed_size(packed, fmt, 256, 512, "rans") <= 1.01 * found
    with pytest.raises(EdgeqError, match="does not take"):
        compressed_size(packed, fmt, 256, 512, "nibble")


def test_entropy_leaves_out_scales_and_padding() -> None:
    fmt = UniformFormat(8)
    codes = np.tile(np.array([127, 128], np.uint8), (3, 10))
    packed = fmt.pack(UniformTensor(codes, np.ones((3, 1), np.float16)))
    assert code_entropy(fmt, packed, 3, 20) == 1.0


def test_bandwidth_of_a_file(tmp_path) -> None:
    file = tmp_path / "data"
    file.write_bytes(bytes(1 << 20))
    assert 1e6 < read_bandwidth(file) < 1e13
    file.write_bytes(b"")
    assert read_bandwidth(file) == float("inf")
