"""The configuration files: their paths, and the errors in reading them.

The files are the main file and every `*.toml` in its drop-in directory, in the order of their names; all are optional.
A file that exists and cannot be read is an error, not an absent file: it might have said "do not touch eth1".
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from failoverd.config.bounds import LARGEST, LARGEST_TOGETHER
from failoverd.config.document import TomlDocument
from failoverd.config.errors import ConfigError, Problem
from failoverd.config.read import build, parse
from failoverd.config.regular import NotRegularError, read_regular
from failoverd.config.spec import Config
from failoverd.model import text

MAIN = Path("/etc/failoverd/failoverd.toml")
"""The main file. Drop-ins are in the directory of the same name with ".d" behind it."""

Texts = Sequence[tuple[str, bytes]]
"""Files by their names, in the order in which they are laid over each other."""


def load(main: Path | None = None) -> Config:
    """Return the configuration from `main` and its drop-ins; without `main`, from MAIN, which may be absent.

    Raises ConfigError with the problems of all files.
    """
    return load_with_texts(main)[0]


def load_with_texts(main: Path | None = None) -> tuple[Config, Texts]:
    """Return the same, and the texts that it was made of."""
    problems: list[Problem] = []
    return _read(_files(main, problems), problems, main)


def _read(files: Iterable[Path], problems: list[Problem], named: Path | None) -> tuple[Config, Texts]:
    """Return the configuration from these files, and their texts. `named` is the one that the user has named."""
    texts: list[tuple[str, bytes]] = []
    room = LARGEST_TOGETHER
    for file in files:
        try:
            texts.append((printable_path(file), _content(file, room)))
            room -= len(texts[-1][1])
        except OSError as error:
            advice = "make it readable for failoverd, or remove it" if named != file else "name another file"
            problems.append(_failed(file, error, advice))
        except ConfigError as error:
            problems += error.problems
    return _understood(texts, problems), texts


def load_beside(file: Path, main: Path | None = None) -> Config:
    """Return the configuration as it would be with `file` among the drop-ins of `main`, in the place of one of its
    name. A file that is one of them already changes nothing. Raises ConfigError."""
    problems: list[Problem] = []
    files = list(_files(main, problems))
    if not any(_is_same(file, one) for one in files):
        top = MAIN if main is None else main
        others = [one for one in files if one != top and one.name != file.name]
        files = [one for one in files if one == top] + sorted([*others, file], key=lambda one: one.name)
    return _read(files, problems, file)[0]


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def from_texts(texts: Texts) -> Config:
    """Return the configuration from files that were read before. Raises ConfigError."""
    return _understood(texts, [])


def _understood(texts: Texts, problems: list[Problem]) -> Config:
    documents: list[TomlDocument] = []
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
    """Return the configuration from a document that is in memory already; `name` stands for it in errors.

    Raises ConfigError.
    """
    return build([TomlDocument(name, tree)])


def _files(main: Path | None, problems: list[Problem]) -> Iterator[Path]:
    """Yield the files to read, lowest first. A name that begins with a dot is skipped, as an editor's unfinished
    file."""
    top = MAIN if main is None else main
    if not top.name:
        problems.append(Problem(printable_path(top), 0, "", "it names no file; name a TOML file"))
        return
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


def _content(file: Path, room: int) -> bytes:
    """Return the bytes of a file, `room` at most. Raises OSError and ConfigError.

    A drop-in may be a symbolic link to /dev/null: an administrator masks it so.
    """
    try:
        raw = read_regular(file, LARGEST, follow=True)
    except NotRegularError as error:
        wrong = f"{error.strerror}; put a TOML file in its place"
        raise ConfigError([Problem(printable_path(file), 0, "", wrong)]) from None
    if len(raw) > room:
        wrong = f"with it the configuration has more than {LARGEST_TOGETHER} bytes; remove files that say the same"
        raise ConfigError([Problem(printable_path(file), 0, "", wrong)])
    return raw


def _failed(path: Path, error: OSError, advice: str) -> Problem:
    return Problem(printable_path(path), 0, "", f"cannot be read: {error.strerror}; {advice}")


def printable_path(path: Path) -> str:
    """Return a path as text in one line, whatever bytes its name is made of."""
    return text.printable(os.fsencode(path).decode(errors="backslashreplace"))
