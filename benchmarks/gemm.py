# SPDX-License-Identifier: Apache-2.0
"""Products of 16, 128 and 512 tokens: every format of edgeq beside fp32 MatMul and every good MatMulNBits.

    python benchmarks/gemm.py --quick
    python benchmarks/gemm.py --shapes 2048x8192 --tokens 128 --groups 32,128

The limit is the int8 dot-product peak of the machine's vector units, measured in the same run (roofline.py). Columns
are as in gemv.py; GOP/s counts a multiplication and an addition as two.
"""

from __future__ import annotations

from comparison import Limits, Row, parse_arguments, print_report

QUICK = ("--shapes", "2048x8192", "--tokens", "128", "--groups", "128", "--repetitions", "3", "--threads", "2")


def share_of_peak(row: Row, limits: Limits, products: float) -> float:
    """Fraction of the int8 peak."""
    return products / row.seconds / limits.int8


if __name__ == "__main__":
    print_report(parse_arguments(__doc__, "16,128,512", QUICK), share_of_peak)
