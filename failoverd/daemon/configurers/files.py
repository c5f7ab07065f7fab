"""systemd's files: which of them count, and what is in them (its conf-files.c and conf-parser.c)."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from failoverd.daemon.configurers.patterns import SPACES

PLACES = ("etc", "run", "usr/local/lib", "usr/lib", "lib")
"""A file in an earlier one replaces those of its name in later ones. The last is /usr/lib on all but old machines."""
LARGEST = 1 << 20
"""Bytes beyond which a file is not taken for a configuration; systemd takes lines of as many."""


class UnreadableError(Exception):
    """A file or directory exists and failoverd may not read it; the text says so, and what to do."""


class Assignment(NamedTuple):
    """`key = value` in a section of a file."""

    path: Path
    section: str
    key: str
    value: str


def listed(root: Path, folder: str, ending: str) -> list[Path]:
    """Return the files in `folder` of each place whose names end so, by their names. Raises UnreadableError."""
    found: dict[str, Path] = {}
    for place in PLACES:
        directory = root / place / folder
        try:
            names = [path.name for path in directory.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise UnreadableError(f"failoverd cannot list {directory} ({error.strerror}); chmod a+rx it") from error
        for name in names:
            if name.endswith(ending) and not name.startswith("."):
                found.setdefault(name, directory / name)
    return [found[name] for name in sorted(found)]


def is_masked(path: Path) -> bool:
    """Return whether a file exists only to mask others of its name: empty, a link to /dev/null, or to nothing."""
    try:
        seen = path.stat()
    except OSError as error:
        return isinstance(error, FileNotFoundError)
    return stat.S_ISCHR(seen.st_mode) or (stat.S_ISREG(seen.st_mode) and not seen.st_size)


def content(path: Path) -> str | None:
    """Return a file's content; None if it is not a readable regular file (opening a FIFO would block).

    Raises UnreadableError.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return None
        with path.open("rb") as stream:
            return stream.read(LARGEST).decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnreadableError(f"failoverd cannot read {path} ({error.strerror}); chmod a+r it") from error


def assignments(path: Path, text: str) -> Iterator[Assignment]:
    """Yield a file's assignments, in order. Raises ValueError if systemd would not take the file (a broken header)."""
    section = ""
    for line in _lines(text):
        if line.startswith("["):
            if not line.endswith("]"):
                raise ValueError(f"{path}: {line}")
            section = line[1:-1]
        elif section and "=" in line:
            key, _, value = line.partition("=")
            yield Assignment(path, section, key.strip(SPACES), value.strip(SPACES))


def _lines(text: str) -> Iterator[str]:
    """Yield the lines without comments and surrounding space; a backslash at the end of one joins it to the next."""
    begun = ""
    for raw in text.removeprefix("\ufeff").replace("\r", "\n").replace("\0", "\n").split("\n"):
        if raw.strip(SPACES).startswith(("#", ";")):
            continue
        line = begun + raw
        if (len(line) - len(line.rstrip("\\"))) % 2:
            begun = line[:-1] + " "
            continue
        begun = ""
        if line := line.strip(SPACES):
            yield line
    if begun := begun.strip(SPACES):
        yield begun


def with_drop_ins(path: Path, root: Path, folder: str) -> Sequence[Path]:
    """Return a file and its drop-ins, in the order in which they are read. Raises UnreadableError."""
    return [path, *listed(root, f"{folder}/{path.name}.d", ".conf")]
