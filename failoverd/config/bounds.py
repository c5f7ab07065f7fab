"""Limits on a file before it is parsed.

tomllib takes time and memory that grow with the square of the words in a dotted key: one line of 100 KB takes minutes
and gigabytes. So the size of a file is limited, far above any configuration written by hand, and so are the words of a
key. tomllib does everything else in one pass.
"""

from __future__ import annotations

import re

from failoverd.config.errors import Problem

LARGEST = 1 << 16
"""Most bytes of one file."""
LARGEST_TOGETHER = 1 << 20
"""Most bytes of all files of a configuration."""
DEEPEST = 50
"""Most words of a dotted key, and most nested brackets. No key of failoverd's has more than three words."""
MOST_PROBLEMS = 20
"""Most mistakes reported for one document: an administrator mends no more at a time, and each costs a search."""

_WORD = r"""(?:(?<![\\])"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'|(?<![A-Za-z0-9_-])[A-Za-z0-9_-]++)"""
_DEEP_KEY = re.compile(rf"(?:{_WORD}[ \t]*+\.[ \t]*+){{{DEEPEST}}}")
_LONG_NUMBER = re.compile(r"(?:[0-9]_?){4301}")


def too_deep(text: str) -> int:
    """Return the line (from 1) of a dotted key with more words than DEEPEST; 0 where there is none."""
    found = _DEEP_KEY.search(text)
    return _line(text, found.start()) if found else 0


def deepest_brackets(text: str) -> int:
    """Return the line (from 1) on which brackets are first nested too deeply, those in strings and comments
    included."""
    depth = 0
    for found in re.finditer(r"[\[{\]}]", text):
        depth += 1 if found[0] in "[{" else -1
        if depth > DEEPEST:
            return _line(text, found.start())
    return 0


def long_number(text: str) -> int:
    """Return the line (from 1) of a number with more digits than Python converts; 0 where there is none."""
    found = _LONG_NUMBER.search(text)
    return _line(text, found.start()) if found else 0


def more(file: str) -> Problem:
    """Return the last problem of a file that has too many."""
    return Problem(file, 0, "", f"there may be more mistakes than these {MOST_PROBLEMS}; mend them first")


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
