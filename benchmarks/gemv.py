# SPDX-License-Identifier: Apache-2.0
"""Products of 1, 2 and 4 tokens: every format of edgeq beside fp32 MatMul and every good MatMulNBits.

    python benchmarks/gemv.py --quick
    python benchmarks/gemv.py --shapes 4096x4096 --tokens 1 --groups 32,128

Weights are read once for all tokens, so the limit is the read bandwidth of the machine, measured in the same run
(roofline.py). The layers of all operators in one round exceed the caches together. ``fp32/this`` and ``NBits/this``
are the times of MatMul and of the best MatMulNBits of the same bits (4 for 3 bits) and block size over this one's:
above 1, this is faster.
"""

from __future__ import annotations

from comparison import Limits, Row, parse_arguments, print_report

QUICK = ("--shapes", "4096x4096", "--tokens", "1", "--groups", "128", "--repetitions", "7")


def share_of_bandwidth(row: Row, limits: Limits, products: float) -> float:
    """Fraction of the read bandwidth."""
    return row.weight_bytes / row.seconds / limits.read


if __name__ == "__main__":
    print_report(parse_arguments(__doc__, "1,2,4", QUICK), share_of_bandwidth)
