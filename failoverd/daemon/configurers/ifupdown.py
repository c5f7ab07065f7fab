"""ifupdown: whether a pattern chooses the NIC by something that a bond in its place does not have (interfaces(5)).

A name in `auto` or `allow-hotplug` applies to a bond of that name, and so does a pattern of names, and one of MACs. A
pattern of another file in /sys/class/net/<NIC> (`ifindex/2=lan`) does not. Nor does one with a number (`/en*/1`), which
takes the first device that matches: that is the paravirtual NIC, which existed before the bond, whatever its name is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from failoverd.daemon.configurers.devices import HARDWARE, Device
from failoverd.daemon.configurers.patterns import matches

MAIN = "etc/network/interfaces"
DEPTH = 8
"""How deep files may include one another; deeper inclusions may never end."""
PATTERN = re.compile(r"(?P<variable>[^/=]*)/(?P<value>[^/=]+)(?:/(?P<number>[^=]*))?(?:=.*)?")
SAME = ("", "mac", "address", "type")
"""Variables of a pattern whose values a bond shares with the NIC; "" is the name."""
PLAIN = re.compile("[A-Za-z0-9_-]+")
NO_PATH = (OSError, ValueError, IndexError, NotImplementedError)
"""The exceptions for a word that is no path: too long, with a NUL, with a "**" inside a component, a "." alone."""


def bond_obstacle(nic: Device, root: Path) -> str:
    """Return why a bond would not be chosen as the NIC is, or ""."""
    for path, words in _lines(root / MAIN, root, DEPTH):
        if words[0] != "auto" and not words[0].startswith("allow-"):
            continue
        for word in words[1:]:
            found = PATTERN.fullmatch(word)
            if found and not _follows(found) and _is_chosen(found, nic, root):
                return f"{path} chooses {nic.name} by {word}, and that would not be a bond"
    return ""


def _follows(found: re.Match[str]) -> bool:
    return found["variable"].lower() in SAME and not found["number"]


def _is_chosen(found: re.Match[str], nic: Device, root: Path) -> bool:
    variable = found["variable"]
    if not variable:
        return matches(found["value"], nic.name)
    file = "address" if variable.lower() == "mac" else variable
    try:
        has = (root / HARDWARE / nic.name / file).read_text("utf-8", "replace")
    except NO_PATH:
        return False
    return any(matches(found["value"], line) for line in has.splitlines())


def _lines(path: Path, root: Path, depth: int) -> Iterator[tuple[Path, list[str]]]:
    """Yield the words of each line of a file, and of those it includes."""
    try:
        text = path.read_text("utf-8", "replace") if path.is_file() else ""
    except NO_PATH:
        return
    for line in text.replace("\\\n", " ").splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] in ("source", "source-directory") and depth:
            for included in _included(words, path, root):
                yield from _lines(included, root, depth - 1)
        else:
            yield path, words


def _included(words: list[str], path: Path, root: Path) -> Iterator[Path]:
    """Yield the files of an include. Wildcards are expanded, but nothing else that a shell would expand."""
    is_directory = words[0] == "source-directory"
    for word in words[1:]:
        base = root if word.startswith("/") else path.parent
        pattern = word.strip("/") if word.startswith("/") else word
        for found in _expanded(base, pattern):
            if is_directory:
                yield from (one for one in _expanded(found, "*") if PLAIN.fullmatch(one.name))
            else:
                yield found


def _expanded(base: Path, pattern: str) -> list[Path]:
    try:
        return sorted(base.glob(pattern)) if pattern else []
    except NO_PATH:
        return []
