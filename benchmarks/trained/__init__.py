# SPDX-License-Identifier: Apache-2.0
"""Quantization after training against quantization-aware training (benchmarks/ptq_vs_qat.py)."""
