# SPDX-License-Identifier: Apache-2.0
"""Calibration: texts to tokens, and what the layers' inputs are when the model reads them."""
