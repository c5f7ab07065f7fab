"""The words in this machine's network configuration, among them the names and patterns of the devices it configures.

This is for the first boot after failoverd was installed. Nothing is remembered of a pair yet, and it may be chance
which of its two NICs has got the one configured name. The meaning of a word in its file is not evaluated: the only
question is whether one NIC's name occurs and the other's does not. Comments do not count, and neither do files that
only root may read.
"""

from __future__ import annotations

import re
from pathlib import Path

FILES = (
    "etc/systemd/network/*.network",
    "run/systemd/network/*.network",
    "etc/netplan/*.yaml",
    "etc/network/interfaces",
    "etc/network/interfaces.d/*",
)
WORD = re.compile(r"[^\s=,;:\"'{}]{1,32}")
COMMENT = re.compile(r"^\s*[#;].*$", re.MULTILINE)
LONGEST = 1 << 16
"""Characters of a file that are read."""


def configured(root: Path = Path("/")) -> frozenset[str]:
    """Return every word, from every kind of network configuration."""
    words: set[str] = set()
    for pattern in FILES:
        for path in sorted(root.glob(pattern)):
            words.update(WORD.findall(COMMENT.sub("", _text(path))))
    return frozenset(words)


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            return ""
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(LONGEST)
    except OSError:
        return ""
