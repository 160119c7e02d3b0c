# SPDX-License-Identifier: Apache-2.0
"""Every attribute, shape and size is checked, and the message names the node, the thing, what was found and wanted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgeq.formats.bcq import BcqFormat
from tests.custom_ops.graphs import one_node_model, open_session, random_bcq
from tests.custom_ops.lut_reference import lut_gemm_attributes

FORM = BcqFormat(2, 32)
PACKED = FORM.pack(random_bcq(FORM, 40, 96))
GOOD = lut_gemm_attributes(FORM, 40, 96, 8)


def model(attributes: dict[str, Any], **constants: np.ndarray) -> bytes:
    return one_node_model("LutGemm", {"X": ["tokens", "features"]}, {"W": PACKED} | constants, attributes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"K": 0}, "attribute K: found 0, wanted 1 to 2147483647"),
        ({"N": -1}, "attribute N: found -1, wanted 1 to 2147483647"),
        ({"bits": 0}, "attribute bits: found 0, wanted 1 to 4"),
        ({"bits": 5}, "attribute bits: found 5, wanted 1 to 4"),
        ({"bits": 3}, f"input W: found shape [{PACKED.size}], wanted [3840]"),
        ({"group_size": 48}, "attribute group_size: found 48, wanted a multiple of 32, or 0"),
        ({"table_bits": 12}, "attribute table_bits: found 12, wanted 8 or 16"),
        ({"K": 128}, f"input W: found shape [{PACKED.size}], wanted [3584]"),
        ({"N": 65}, f"input W: found shape [{PACKED.size}], wanted [{2 * PACKED.size}]"),
        ({"N": 2**31 - 1, "K": 2**31 - 1}, f"input W: found shape [{PACKED.size}], wanted ["),
    ],
)
def test_attributes(change: dict[str, int], message: str) -> None:
    with pytest.raises(Exception, match=r"com\.edgeq\.LutGemm node 'head': ") as caught:
        open_session(model(GOOD | change))
    assert message in str(caught.value)


@pytest.mark.parametrize("name", sorted(GOOD))
def test_missing_attributes(name: str) -> None:
    with pytest.raises(Exception, match=f"node 'head': attribute {name}: found none, wanted an integer"):
        open_session(model({key: value for key, value in GOOD.items() if key != name}))


@pytest.mark.parametrize("size", [0, PACKED.size - 1, PACKED.size + 1])
def test_packed_weight_of_another_size(size: int) -> None:
    wanted = rf"node 'head': input W: found shape \[{size}\], wanted \[{PACKED.size}\]"
    with pytest.raises(Exception, match=wanted):
        open_session(model(GOOD, W=np.resize(PACKED, size)))


def test_packed_weight_of_another_rank() -> None:
    with pytest.raises(Exception, match=r"node 'head': input W: found shape \["):
        open_session(model(GOOD, W=PACKED.reshape(1, -1)))


def test_constant_bias_of_another_size() -> None:
    with pytest.raises(Exception, match=r"node 'head': input bias: found shape \[39\], wanted \[40\]"):
        open_session(model(GOOD, bias=np.zeros(39, np.float32)))


@pytest.mark.parametrize("features", [0, 95, 97])
def test_activations_of_another_width(features: int) -> None:
    session = open_session(model(GOOD))
    with pytest.raises(Exception, match=rf"node 'head': input X: found shape \[2, {features}\], wanted \[..., 96\]"):
        session.run(None, {"X": np.zeros((2, features), np.float32)})
