"""Whose a file is that install-service finds in its way: its last line says so, with a sum over the text before it.

The line alone would not do. An administrator who puts a rule of his own into one of these files leaves the line where
it is, and the next install-service would write over his rule, or a removal take it away. The sum tells what this
command wrote, of whatever release, from what somebody has changed since. Rejected: comparing with what would be written
now, as every upgrade would find a file that somebody has changed; a list of what was written, which can be lost.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

MARK = "Put here by failoverctl install-service; failoverctl install-service --remove takes it away."


def marked(text: str) -> str:
    """The text of a file with the line that says whose it is, as a comment of its kind."""
    line = f"{MARK} {hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"
    if "</busconfig>" in text:
        return f"{text}<!-- {line} -->\n"
    is_roff = text.startswith((".TH ", '.\\"'))
    return f'{text}.\\" {line}\n' if is_roff else f"{text}# {line}\n"


def is_ours(path: Path) -> bool:
    """Whether it is what install-service wrote, to the byte. Raises OSError."""
    text = _read(path)
    return MARK in text and text == marked("".join(text.splitlines(keepends=True)[:-1]))


def was_changed(path: Path) -> bool:
    """Whether install-service wrote it and somebody has changed it since. Raises OSError."""
    return MARK in _read(path) and not is_ours(path)


def has_mark(path: Path) -> bool:
    """Whether install-service wrote it, changed since or not. What we may not read, as in a dry run, is not ours."""
    try:
        return MARK in _read(path)
    except PermissionError:
        return False


def _read(path: Path) -> str:
    """The text of a file; "" of what is none, a link included."""
    if not path.is_file() or path.is_symlink():
        return ""
    return path.read_bytes().decode("utf-8", "surrogateescape")
