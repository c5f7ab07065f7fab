"""Check whether the service, which runs as another user than root, can read the configuration."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from failoverd.config.errors import Problem
from failoverd.config.load import MAIN, printable_path

USER = "failoverd"
"""See units/failoverd.sysusers."""


def unreadable(main: Path = MAIN, user: str = USER) -> Sequence[Problem]:
    """Return the files of the configuration, and the directories on the way to them, that this user's permissions do
    not let it read.

    Empty where there is no such user: then there is no service. Files that do not exist are not a problem.
    """
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        return []
    groups = os.getgrouplist(user, entry.pw_gid)
    return [problem for path in _paths(main) if (problem := _what_is_wrong(path, entry.pw_uid, groups, user))]


def _paths(main: Path) -> Iterator[Path]:
    drop_ins = main.with_name(main.name + ".d")
    yield from (main.parent, main, drop_ins)
    if drop_ins.is_dir():
        yield from sorted(drop_ins.glob("[!.]*.toml"))


def _what_is_wrong(path: Path, uid: int, groups: Sequence[int], user: str) -> Problem | None:
    try:
        found = path.stat()
    except OSError:
        return None
    shift = 6 if found.st_uid == uid else 3 if found.st_gid in groups else 0
    needed, advice = (5, "a+rx") if stat.S_ISDIR(found.st_mode) else (4, "a+r")
    if found.st_mode >> shift & needed == needed:
        return None
    return Problem(printable_path(path), 0, "", f"the service may not read it, as the user {user}; chmod {advice} it")
