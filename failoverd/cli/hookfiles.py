"""Which files of a directory are hooks, and in which order.

The rules are those of run-parts, as for /etc/cron.daily and its like: files that editors and dpkg leave behind, such as
10-x~ or 10-x.dpkg-old, are no hooks, and `chmod -x` switches one off. A file that users other than root can write is
not run as root. A file that looks like a hook and is none is named once, so that its author can find out why.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

NAME = re.compile("[A-Za-z0-9_-]+")


class HookFiles:
    """The hooks of a directory, read anew each time. `say` gets the reason why a file in it is not run."""

    def __init__(self, directory: Path, say: Callable[[str], None]) -> None:
        self._directory = directory
        self._say = say
        self._said: set[str] = set()

    def found(self) -> Iterator[Path]:
        """Yield the hooks, in the order of their names."""
        try:
            why = _untrusted_reason(self._directory.stat())
            paths = [] if why else sorted(self._directory.iterdir())
        except FileNotFoundError:
            return
        except OSError as error:
            why, paths = str(error.strerror), []
        if why:
            self._tell(f"no hook of {self._directory} is run: {why}")
        for path in paths:
            if why := _not_a_hook_reason(path):
                self._tell(f"{path} is not run: {why}")
            else:
                yield path

    def _tell(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._say(text)


def _not_a_hook_reason(path: Path) -> str:
    """Return why this is no hook, or ""."""
    try:
        found = path.stat()
    except OSError as error:
        return str(error.strerror)
    if not stat.S_ISREG(found.st_mode):
        return "it is no file"
    if not NAME.fullmatch(path.name):
        return "its name may have letters, digits, - and _ only"
    if not found.st_mode & 0o111:
        return "it is not executable (chmod +x)"
    return _untrusted_reason(found)


def _untrusted_reason(found: os.stat_result) -> str:
    if found.st_uid not in (0, os.geteuid()):
        return "it is not root's (chown root)"
    return "others than root may write to it (chmod go-w)" if found.st_mode & 0o022 else ""
