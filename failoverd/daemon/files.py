"""Replace files as a whole: a reader sees the old one or the new one, also after a crash. Damaged files are set aside
under another name, so that none of their content is lost.

A file that root makes gets the owner of its directory. The service runs as another user, and files from a run by hand
as root must not lock it out of its own directories.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from itertools import takewhile
from pathlib import Path

NOT_OURS = "give it to the user that failoverd runs as (chown)"
SET_ASIDE = re.compile(r".*\.bad(-[0-9]+)?", re.DOTALL)
"""The names of files that were set aside."""
ASIDE_AT_MOST = 100
"""Files of one name that are set aside; the next one stays where it is."""
ADVICE = {errno.ENOSPC: "make room", errno.EDQUOT: "make room", errno.EACCES: NOT_OURS, errno.EPERM: NOT_OURS}


def put(path: Path, data: bytes, mode: int | None = None) -> None:
    """Write beside the file and rename over it; directories are made. Raises OSError, and then leaves nothing behind.

    `mode` is for files that other users read, whatever the daemon's umask is.
    """
    make_directory(path.parent)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # The directory may belong to another user, whose files are neither written to nor followed.
        beside.unlink(missing_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), "wb") as file:
            file.write(data)
            if mode is not None:
                os.fchmod(file.fileno(), mode)
        hand_over(beside)
        _replace(beside, path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def _replace(beside: Path, path: Path) -> None:
    """Rename `beside` to `path`. Only a directory cannot be replaced by a file, so it is set aside."""
    try:
        beside.replace(path)
    except IsADirectoryError:
        if not set_aside(path):
            raise
        beside.replace(path)


def set_aside(path: Path) -> str:
    """Rename what is there, of whatever type, without replacing anything. Returns the new name; "" if that fails."""
    names = (f"{path.name}.bad", *(f"{path.name}.bad-{number}" for number in range(2, ASIDE_AT_MOST + 1)))
    free = next((name for name in names if not os.path.lexists(path.with_name(name))), "")
    try:
        if free:
            path.rename(path.with_name(free))
    except OSError:
        return ""
    return free


def is_set_aside(name: str) -> bool:
    """Return whether this is the name of a file that was set aside."""
    return SET_ASIDE.fullmatch(name) is not None


def make_directory(path: Path) -> None:
    """Make a directory and its missing parents. Raises OSError."""
    missing = list(takewhile(lambda one: not one.exists(), (path, *path.parents)))
    path.mkdir(parents=True, exist_ok=True)
    for made in reversed(missing):
        hand_over(made)


def hand_over(path: Path) -> None:
    """Give what root has just made to the owner of its directory.

    A link itself is given away, never its target. If root may not do that, nothing is worse than before.
    """
    if os.geteuid() != 0:
        return
    with contextlib.suppress(OSError):
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def advice(error: OSError) -> str:
    """Return what helps when a file cannot be written."""
    return ADVICE.get(error.errno or 0, "look at the disk")
