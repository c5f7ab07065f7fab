"""What the manual pages that are made from the code have in common."""

from __future__ import annotations

import textwrap

from failoverd import __version__

DATE = "2026-11-21"
"""When the manual pages were last gone through."""


def title(name: str, section: int) -> str:
    """The first lines of a page that is made from the code."""
    return f'.\\" Made by `make docs`.\n.TH {name.upper()} {section} "{DATE}" "failoverd {__version__}" "failoverd"'


def roff(text: str) -> str:
    """A text as roff reads it: nothing in it is a request or an escape, and a hyphen is what it is on a keyboard."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    lines = textwrap.wrap(text, 100, break_long_words=False, break_on_hyphens=False)
    return "\n".join(f"\\&{line}" if line.startswith(".") else line for line in lines)
