# SPDX-License-Identifier: Apache-2.0
"""The error that a user can act on."""

from __future__ import annotations

from pathlib import Path


class EdgeqError(Exception):
    """A failure that the user can mend; the command line prints it as one line and exits with code 2.

    Args:
        problem: What is wrong, in a few words.
        file: The file or directory concerned.
        field: The field, tensor, layer or option concerned.
        found: What was found there.
        wanted: What was wanted instead.
        remedy: What to do, ideally a command.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: str | Path | None = None,
        field: str | None = None,
        found: object = None,
        wanted: object = None,
        remedy: str | None = None,
    ) -> None:
        self.problem, self.file, self.field = problem, file, field
        self.found, self.wanted, self.remedy = found, wanted, remedy
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        place = ": ".join(str(part) for part in (self.file, self.field) if part is not None)
        text = f"{place}: {self.problem}" if place else self.problem
        if self.found is not None:
            text += f", found {self.found}"
        if self.wanted is not None:
            text += f", wanted {self.wanted}"
        return f"{text}; {self.remedy}" if self.remedy else text
