# SPDX-License-Identifier: Apache-2.0
"""The agent as one file: a zip of modules that Python runs; the same modules give the same bytes."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import edgeq.errors
import edgeq_devices
import edgeq_ops

_DEVICES, _OPS = Path(edgeq_devices.__file__).parent, Path(edgeq_ops.__file__).parent
_MODULES = ("conditions", "cpu", "job", "measure", "memory", "throttle", "worker")
_MAIN = """# SPDX-License-Identifier: Apache-2.0
import sys

from edgeq_devices.agent.main import main

sys.exit(main(sys.argv[1:]))
"""
# The packages' own __init__ modules import what a board does not have.
_EMPTY = ("edgeq/__init__.py", "edgeq_ops/__init__.py", "edgeq_devices/__init__.py")


def build_agent() -> bytes:
    """The agent as the bytes of a zip that ``python3`` runs."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in sorted(_files().items()):
            archive.writestr(zipfile.ZipInfo(name), text)  # a ZipInfo of its own carries no time
    return content.getvalue()


def _files() -> dict[str, str]:
    sources = {f"edgeq_devices/{name}.py": _DEVICES / f"{name}.py" for name in _MODULES}
    for package in ("agent", "power"):
        sources |= {f"edgeq_devices/{package}/{path.name}": path for path in (_DEVICES / package).glob("*.py")}
    sources |= {f"edgeq_ops/{name}.py": _OPS / f"{name}.py" for name in ("instruction_sets", "library")}
    sources["edgeq/errors.py"] = Path(edgeq.errors.__file__)
    texts = {name: path.read_text(encoding="utf-8") for name, path in sources.items()}
    return {"__main__.py": _MAIN, **dict.fromkeys(_EMPTY, ""), **texts}
