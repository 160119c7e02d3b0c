# SPDX-License-Identifier: Apache-2.0
"""The documents keep up with the code: messages, links and verbs that they name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgeq.cli.app import VERBS

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").rglob("*.md")])
TROUBLESHOOTING = (ROOT / "docs" / "troubleshooting.md").read_text()
SOURCE_FOLDERS = ("edgeq", "export", "custom_ops", "devices")
# Messages of other programs, quoted as they print them.
FOREIGN = "Installing"
FOREIGN_MESSAGES = {"is not a registered function/op", "Initializer num_logits_to_keep appears in graph inputs"}


@pytest.fixture(scope="module")
def sources() -> str:
    """All Python and C++ sources of the packages, with adjacent string literals joined."""
    files = [f for folder in SOURCE_FOLDERS for kind in ("py", "cc", "h") for f in (ROOT / folder).rglob(f"*.{kind}")]
    return re.sub(r'"\s+f?"', "", "\n".join(f.read_text() for f in files))


def _own_messages() -> list[str]:
    sections = re.split(r"^## ", TROUBLESHOOTING, flags=re.MULTILINE)[1:]
    own = [section for section in sections if not section.startswith(FOREIGN)]
    return [m for section in own for m in re.findall(r"^### (.+)$", section, re.MULTILINE) if m not in FOREIGN_MESSAGES]


def test_troubleshooting_quotes_messages_that_the_code_prints(sources: str) -> None:
    messages = _own_messages()
    assert len(messages) > 10
    assert [message for message in messages if message not in sources] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_commands_exist(document: Path) -> None:
    text = document.read_text()
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)]+)\)", text) if "://" not in target]
    assert [target for target in targets if target and not (document.parent / target).exists()] == []
    verbs = set(re.findall(r"^(?:\s*\$ |    )edgeq (\w+)", text, re.MULTILINE))
    assert verbs <= VERBS.keys()
