# SPDX-License-Identifier: Apache-2.0
"""The operators of the ARM library in ONNX Runtime under qemu-user, against this machine's portable kernels.

`make test-arm` prepares the emulator, a root directory and the library, and says where they are.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from edgeq.formats.bcq import BcqFormat
from edgeq.formats.codebook import CodebookFormat
from edgeq.formats.dint import DintFormat
from edgeq.formats.uniform import UniformFormat
from edgeq_ops.instruction_sets import _kernel_info_model
from edgeq_ops.library import LIBRARY_NAME
from tests.custom_ops.arm import emulated, rootfs
from tests.custom_ops.graphs import (
    dint_gemm_model,
    gemm_model,
    one_node_model,
    open_session,
    random_bcq,
    random_codebook,
    random_dint,
    random_uniform,
)

VARIABLES = ("EDGEQ_ARM_EMULATOR", "EDGEQ_ARM_ROOT", "EDGEQ_ARM_BUILD")
pytestmark = pytest.mark.skipif(
    not all(name in os.environ for name in VARIABLES), reason="not under `make test-arm`, which prepares an emulator"
)

ROWS, COLUMNS = 70, 300
TOKENS = (1, 9)
CPUS = {
    "cortex-a72": ["generic", "neon"],
    "neoverse-n1": ["generic", "neon", "dotprod"],
    "max": ["generic", "neon", "dotprod", "i8mm", "bf16"],
}


class Case(NamedTuple):
    """A model, and how far results for one and for several tokens may be from the portable kernels', relative to the
    largest. Float32 sums are taken in another order; LutGemm chooses the kind of its product for several tokens by
    instruction set."""

    name: str
    model: bytes
    tolerances: tuple[float, float] = (0, 0)


def cases() -> list[Case]:
    return [
        *(dint_case(UniformFormat(bits, 96, symmetric)) for bits in (2, 3, 4, 8) for symmetric in (True, False)),
        *(dint_case(DintFormat(bits, 64, symmetric)) for bits in (3, 4) for symmetric in (True, False)),
        *(dint_case(CodebookFormat(bits, 0)) for bits in (2, 3, 4)),
        *(
            dint_case(form, bits)
            for form in (UniformFormat(3), DintFormat(4, 96, False), CodebookFormat(4, 160))
            for bits in (16, 32)
        ),
        *(lut_case(planes, 8) for planes in (1, 2, 3, 4)),
        *(lut_case(planes, 16) for planes in (2, 3)),
        gather_case(),
    ]


def dint_case(form: UniformFormat | DintFormat | CodebookFormat, activation_bits: int = 8) -> Case:
    make: dict[type, Callable[..., Any]] = {
        UniformFormat: random_uniform,
        DintFormat: random_dint,
        CodebookFormat: random_codebook,
    }
    model = dint_gemm_model(form, make[type(form)](form, ROWS, COLUMNS, seed=form.bits), activation_bits)
    kind = "" if getattr(form, "symmetric", True) else "_asymmetric"
    tolerances = (0, 0) if activation_bits == 8 else (2e-6, 2e-6)
    return Case(f"{form.name}_{form.bits}{kind}_a{activation_bits}", model, tolerances)


def lut_case(planes: int, table_bits: int) -> Case:
    form = BcqFormat(planes, 160)
    attributes = {"K": COLUMNS, "N": ROWS, "bits": planes, "group_size": 160, "table_bits": table_bits}
    model = gemm_model("LutGemm", form.pack(random_bcq(form, ROWS, COLUMNS, seed=planes)), attributes, None, 2)
    return Case(f"lut_{planes}_t{table_bits}", model, (0, 2e-2 if table_bits == 8 else 1e-4))


def gather_case() -> Case:
    form = UniformFormat(3, 64, symmetric=False)
    weight = form.pack(random_uniform(form, ROWS, COLUMNS))
    attributes = {"K": COLUMNS, "N": ROWS, "bits": 3, "group_size": 64, "has_zero_point": 1, "format": "uniform"}
    return Case("gather", one_node_model("QuantGather", {"indices": ["n"]}, {"W": weight}, attributes))


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    """A directory with all models and inputs, and what the portable kernels of this machine make of them."""
    directory = tmp_path_factory.mktemp("models")
    (directory / "kernel_info.onnx").write_bytes(_kernel_info_model())
    results: dict[str, np.ndarray] = {}
    for tokens in TOKENS:
        x = np.random.default_rng(tokens).standard_normal((tokens, COLUMNS), np.float32)
        for case in cases():
            name = f"{case.name}_m{tokens}"
            feed = {"indices": np.arange(tokens) * 7} if case.name == "gather" else {"X": x}
            (directory / f"{name}.onnx").write_bytes(case.model)
            np.savez(directory / f"{name}.npz", **feed)
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("EDGEQ_ISA", "generic")
                results[name] = open_session(case.model).run(None, feed)[0]
    return directory, results


def emulate(cpu: str, directory: Path) -> None:
    machine, root, build = (Path(os.environ[name]) for name in VARIABLES)
    variables = {"PYTHONHOME": str(root / "usr"), "PYTHONPATH": str(root / "site"), "PYTHONDONTWRITEBYTECODE": "1"}
    settings = [part for name, value in variables.items() for part in ("-E", f"{name}={value}")]
    script = [str(rootfs.python(root)), emulated.__file__, str(build / LIBRARY_NAME), str(directory)]
    command = [str(machine), "-L", str(root), "-cpu", cpu, *settings, *script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("cpu", CPUS)
def test_results_are_those_of_the_portable_kernels(
    cpu: str, expected: tuple[Path, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    directory, results = expected
    emulate(cpu, directory)
    isas = json.loads((directory / "isas.json").read_text())
    assert (isas["selected"], isas["available"]) == (CPUS[cpu][-1], CPUS[cpu])
    tolerances = {f"{case.name}_m{tokens}": case.tolerances[tokens > 1] for case in cases() for tokens in TOKENS}
    for name, wanted in results.items():
        for isa in isas["available"]:
            found = np.load(directory / f"{name}.{isa}.npy")
            limit = tolerances[name] * float(np.abs(wanted).max())
            np.testing.assert_allclose(found, wanted, rtol=0, atol=limit, err_msg=f"{name} {isa}")
