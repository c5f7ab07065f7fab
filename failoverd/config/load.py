"""The configuration files: where they are, and what can go wrong on the way to their bytes.

The main file and every `*.toml` in its drop-in directory, in the order of their names; all optional. A file
that is there and cannot be read is an error, not an absent file: it might have said "do not touch eth1".
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from failoverd.config.errors import ConfigError, Problem
from failoverd.config.read import Document, build, parse
from failoverd.config.spec import Config

MAIN = Path("/etc/failoverd/failoverd.toml")
"""The main file. Drop-ins are in the directory of the same name with ".d" behind it."""

Texts = Sequence[tuple[str, bytes]]
"""Files by their names, in the order in which they are laid over each other."""

LARGEST = 1 << 20
"""Bytes beyond which a file is not taken for a configuration."""


def load(main: Path | None = None) -> Config:
    """The configuration from `main` and its drop-ins; without it, from MAIN, which may be absent.

    Raises ConfigError with the problems of all files.
    """
    return load_with_texts(main)[0]


def load_with_texts(main: Path | None = None) -> tuple[Config, Texts]:
    """The same, and what it was made of."""
    texts: list[tuple[str, bytes]] = []
    problems: list[Problem] = []
    for file in _files(main, problems):
        try:
            texts.append((printable(file), _content(file)))
        except OSError as error:
            advice = "make it readable for failoverd, or remove it" if main != file else "name another file"
            problems.append(_failed(file, error, advice))
        except ConfigError as error:
            problems += error.problems
    return _understood(texts, problems), texts


def from_texts(texts: Texts) -> Config:
    """The configuration from files that were read before. Raises ConfigError."""
    return _understood(texts, [])


def _understood(texts: Texts, problems: list[Problem]) -> Config:
    documents: list[Document] = []
    for name, raw in texts:
        try:
            documents.append(parse(name, raw))
        except ConfigError as error:
            problems += error.problems
    try:
        config = build(documents)
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(problems)
    return config


def from_mapping(tree: Mapping[str, Any], name: str) -> Config:
    """The configuration from a document that is in memory already; `name` stands for it in errors.

    Raises ConfigError.
    """
    return build([Document(name, tree)])


def _files(main: Path | None, problems: list[Problem]) -> Iterator[Path]:
    """The files to read, lowest first. One whose name begins with a dot is somebody's unfinished edit."""
    top = main or MAIN
    if main or os.path.lexists(top):
        yield top
    directory = top.with_name(top.name + ".d")
    try:
        names = sorted(path.name for path in directory.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        problems.append(_failed(directory, error, "make it a directory failoverd may list, or remove it"))
        return
    yield from (directory / name for name in names if name.endswith(".toml") and not name.startswith("."))


def _content(file: Path) -> bytes:
    """The bytes of a file. Raises OSError and ConfigError.

    /dev/null, by a symbolic link, is how an administrator masks a drop-in; a FIFO would hold up the start.
    """
    mode = file.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISCHR(mode)):
        kind = "a directory" if stat.S_ISDIR(mode) else "no regular file"
        raise ConfigError([Problem(printable(file), 0, "", f"it is {kind}; put a TOML file in its place")])
    with file.open("rb") as stream:
        raw = stream.read(LARGEST + 1)
    if len(raw) > LARGEST:
        wrong = f"it is larger than {LARGEST} bytes; put a TOML file in its place"
        raise ConfigError([Problem(printable(file), 0, "", wrong)])
    return raw


def _failed(path: Path, error: OSError, advice: str) -> Problem:
    return Problem(printable(path), 0, "", f"cannot be read: {error.strerror}; {advice}")


def printable(path: Path) -> str:
    """A path as text that can be logged, whatever bytes its name is made of."""
    return os.fsencode(path).decode(errors="backslashreplace")
