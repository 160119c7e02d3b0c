# SPDX-License-Identifier: Apache-2.0
"""Quantization-aware training: weights learn under the quantizer that the packed model will have."""
