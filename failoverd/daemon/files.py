"""Replacing a file as a whole: who reads it sees the old one or the new one, also after a crash.

What root makes gets the owner of the directory it is in. The service is another user, and must not be kept out of its
own directories by what one run by hand has left there.
"""

from __future__ import annotations

import contextlib
import errno
import os
from itertools import takewhile
from pathlib import Path

NOT_OURS = "give it to the user that failoverd runs as (chown)"
ADVICE = {errno.ENOSPC: "make room", errno.EDQUOT: "make room", errno.EACCES: NOT_OURS, errno.EPERM: NOT_OURS}


def put(path: Path, data: bytes, mode: int | None = None) -> None:
    """Write beside the place and rename into it; directories are made. Raises OSError, and leaves nothing then.

    `mode` is for files that others read, whatever the daemon's umask is.
    """
    make_directory(path.parent)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # The directory may be another user's than ours: what he has put there is neither written to nor followed.
        beside.unlink(missing_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), "wb") as file:
            file.write(data)
            if mode is not None:
                os.fchmod(file.fileno(), mode)
        hand_over(beside)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def make_directory(path: Path) -> None:
    """Make a directory, and those it is in, where they are not there. Raises OSError."""
    missing = list(takewhile(lambda one: not one.exists(), (path, *path.parents)))
    path.mkdir(parents=True, exist_ok=True)
    for made in reversed(missing):
        hand_over(made)


def hand_over(path: Path) -> None:
    """Give what root has just made to whoever has its directory.

    A link is given away itself, and never what it leads to. Where root may not do that, nothing is worse than before.
    """
    if os.geteuid() != 0:
        return
    with contextlib.suppress(OSError):
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def advice(error: OSError) -> str:
    """What helps where a file cannot be written."""
    return ADVICE.get(error.errno or 0, "look at the disk")
