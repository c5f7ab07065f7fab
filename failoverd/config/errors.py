"""The errors of a configuration.

    ConfigError
        problems: Problem, Problem, ...

One error carries every problem of every file, so that an administrator can mend them in one go.
"""

from __future__ import annotations

from collections.abc import Sequence

from failoverd.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem: its place, its subject, and in `text` what is wrong and what to do.

    `line` counts from 1 and is 0 where there is none (an unreadable file, a document that is not a file). `subject` is
    "[section] key", "[section]", or "" where the problem is the file's own.
    """

    file: str
    line: int
    subject: str
    text: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.subject, self.text) if part)


class ConfigError(Exception):
    """The configuration cannot be used. `problems` has at least one entry; the text has a line for each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)
