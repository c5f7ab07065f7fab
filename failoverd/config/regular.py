"""Read a regular file, and nothing else, without waiting.

Opening a FIFO blocks, /dev/zero has no end, and a tape or a watchdog acts when it is opened. In a file's place there
may be something else: an administrator's link, the output of a broken tool, the rest of a test. So the type is checked
before the open and again after it, and the size is bounded.
"""

from __future__ import annotations

import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFLNK: "a symbolic link",
}
NULL = os.makedev(1, 3)
"""/dev/null: an administrator masks a file by a link to it, as it is empty."""


class NotRegularError(OSError):
    """Something else is in the file's place, or the file is too large. `strerror` is half a sentence that says what."""

    def __init__(self, path: Path | str, what: str) -> None:
        super().__init__(errno.EINVAL, what, str(path))


def read_regular(path: Path | str, limit: int, *, follow: bool = False) -> bytes:
    """Return the bytes of a regular file, `limit` at most; /dev/null has none. Raises OSError, NotRegularError among
    them.

    `follow` is for files that an administrator may have put elsewhere and linked to.
    """
    if _is_null(path, (os.stat if follow else os.lstat)(path)):
        return b""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    with os.fdopen(os.open(path, flags), "rb") as file:
        if _is_null(path, os.fstat(file.fileno())):
            return b""
        data = file.read(limit + 1)
    if len(data) > limit:
        raise NotRegularError(path, f"it is larger than {limit} bytes")
    return data


def _is_null(path: Path | str, found: os.stat_result) -> bool:
    """Return whether it is /dev/null; False for a regular file. Raises NotRegularError for anything else."""
    if stat.S_ISREG(found.st_mode):
        return False
    if stat.S_ISCHR(found.st_mode) and found.st_rdev == NULL:
        return True
    raise NotRegularError(path, f"it is {KINDS.get(stat.S_IFMT(found.st_mode), 'something else')}, not a regular file")
