# SPDX-License-Identifier: Apache-2.0
"""edgeq's operators for ONNX Runtime (domain ``com.edgeq``, docs/operators.md)."""

from edgeq_ops.instruction_sets import InstructionSets, instruction_sets
from edgeq_ops.library import LIBRARY_NAME, library_path, register

__all__ = ["LIBRARY_NAME", "InstructionSets", "instruction_sets", "library_path", "register"]
