# SPDX-License-Identifier: Apache-2.0
"""Measures bundles: throughput as llama-bench computes it, load time, memory, and the conditions of the machine.

``job``, ``samples``, ``memory``, ``cpu``, ``conditions``, ``measure``, ``worker`` and ``results`` need the standard
library and NumPy only.
"""
