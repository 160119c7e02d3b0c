# SPDX-License-Identifier: Apache-2.0
"""Runs the models of a directory with every instruction set of the emulated CPU. Only NumPy and ONNX Runtime are there.

``emulated.py LIBRARY DIRECTORY``: for each NAME.onnx with inputs NAME.npz writes NAME.ISA.npy; writes isas.json.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import onnxruntime


def open_session(model: Path, library: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.register_custom_ops_library(library)
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def main(library: str, directory: Path) -> None:
    information = open_session(directory / "kernel_info.onnx", library).run(None, {})[0]
    isas = json.loads(information.tobytes())
    (directory / "isas.json").write_text(json.dumps(isas))
    for inputs in sorted(directory.glob("*.npz")):
        for isa in isas["available"]:
            os.environ["EDGEQ_ISA"] = isa
            session = open_session(inputs.with_suffix(".onnx"), library)
            np.save(inputs.with_suffix(f".{isa}.npy"), session.run(None, dict(np.load(inputs)))[0])


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
