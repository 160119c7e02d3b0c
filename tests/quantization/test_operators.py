# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from edgeq.errors import EdgeqError
from edgeq.formats import BcqFormat, CodebookFormat, UniformFormat
from edgeq.quantization.operators import gather_operator, matmul_operator


def test_uniform_weights_are_multiplied_by_dint_gemm() -> None:
    assert matmul_operator(UniformFormat(3, 64, symmetric=False), 10, 20, None) == (
        "DintGemm",
        {
            "K": 20,
            "N": 10,
            "bits": 3,
            "group_size": 64,
            "format": "uniform",
            "has_zero_point": 1,
            "activation_bits": 8,
        },
    )
    assert matmul_operator(UniformFormat(4), 10, 20, 32)[1]["activation_bits"] == 32


def test_codebook_weights_are_multiplied_by_dint_gemm() -> None:
    operator, attributes = matmul_operator(CodebookFormat(3, 64), 10, 20, None)
    assert operator == "DintGemm"
    assert attributes["format"] == "codebook"
    assert (attributes["bits"], attributes["has_zero_point"], attributes["activation_bits"]) == (3, 0, 8)
    assert matmul_operator(CodebookFormat(4), 10, 20, 32)[1]["activation_bits"] == 32


def test_binary_coded_weights_are_multiplied_by_lut_gemm() -> None:
    wanted = {"K": 20, "N": 10, "bits": 3, "group_size": 64, "table_bits": 8}
    assert matmul_operator(BcqFormat(3, 64), 10, 20, None) == ("LutGemm", wanted)
    assert matmul_operator(BcqFormat(3, 64), 10, 20, 32) == ("LutGemm", wanted | {"table_bits": 16})


def test_int8_activations_do_not_go_with_binary_codes() -> None:
    with pytest.raises(EdgeqError, match="no operator for this scheme, found a8"):
        matmul_operator(BcqFormat(3, 64), 10, 20, 8)


def test_gather_states_the_format() -> None:
    assert gather_operator(BcqFormat(2), 10, 20)[1]["format"] == "bcq"
    assert gather_operator(UniformFormat(2, symmetric=False), 10, 20)[1]["has_zero_point"] == 1
