# SPDX-License-Identifier: Apache-2.0
"""The agent as one file: a zip of modules that Python runs; the same modules give the same bytes."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import edgeq.errors
import edgeq_devices
import edgeq_ops
from edgeq_devices.selftest.run import MODEL

_EDGEQ, _DEVICES, _OPS = (Path(str(package.__file__)).parent for package in (edgeq.errors, edgeq_devices, edgeq_ops))
_MODULES = ("background", "conditions", "cpu", "job", "measure", "memory", "throttle", "worker")
_MAIN = """# SPDX-License-Identifier: Apache-2.0
import os
import sys

# Before it is imported: it would upload events while it is measured, and leave an identifier on the board.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if sys.version_info < (3, 11):
    error = "Python 3.11 or later is wanted, found %d.%d; name another with --python" % sys.version_info[:2]
    print('{"error": "%s"}' % error)
    sys.exit(2)

from edgeq_devices.agent.main import main

sys.exit(main(sys.argv[1:]))
"""
# The packages' own __init__ modules import what a board does not have.
_EMPTY = ("edgeq/__init__.py", "edgeq_ops/__init__.py", "edgeq_devices/__init__.py")


def build_agent() -> bytes:
    """The agent as the bytes of a zip that ``python3`` runs."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted(_files().items()):
            archive.writestr(zipfile.ZipInfo(name), data)  # a ZipInfo of its own carries no time
    return content.getvalue()


def _files() -> dict[str, bytes]:
    paths = [_DEVICES / f"{name}.py" for name in _MODULES]
    for package in ("agent", "power", "selftest"):
        paths += (_DEVICES / package).glob("*.py")
    sources = {f"edgeq_devices/{path.relative_to(_DEVICES)}": path for path in paths}
    sources |= {f"edgeq_devices/selftest/{MODEL}": _DEVICES / "selftest" / MODEL}
    sources |= {f"edgeq_ops/{name}.py": _OPS / f"{name}.py" for name in ("instruction_sets", "library")}
    sources |= {f"edgeq/{path.relative_to(_EDGEQ)}": path for path in (_EDGEQ / "formats").glob("*.py")}
    sources["edgeq/errors.py"] = _EDGEQ / "errors.py"
    files = {name: path.read_bytes() for name, path in sources.items()}
    return {"__main__.py": _MAIN.encode(), **dict.fromkeys(_EMPTY, b""), **files}
