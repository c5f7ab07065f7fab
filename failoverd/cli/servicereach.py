"""Where the service's programs are, and whether the service could run them.

It runs as a user of its own in a sandbox without homes and without /tmp. A program there would never start, and neither
would one in the best of places whose Python is somewhere else: a virtual environment has a link to the Python that made
it, and takes its standard library from there. So what is looked at is all that a start needs, at every link on the way:
the programs, the Python that runs this very command, its library, the modules that failoverd needs, failoverd itself.
"""

from __future__ import annotations

import importlib.util
import os
import stat
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from failoverd.cli.servicefiles import SHARE, RefusedError, programs_named

HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - named, not used
"""What the service does not see: ProtectHome= and PrivateTmp=."""
MODULES = ("dbus_next", "pyroute2", "sdnotify", "trio", "failoverd")
LINKS = 40
"""As many as the kernel follows."""


def programs() -> Path:
    """The directory of the programs, where the service can run them. Raises RefusedError."""
    beside = Path(sys.argv[0]).resolve().parent
    candidates = [beside, Path(sysconfig.get_path("scripts"))]
    named = programs_named(SHARE)
    found = next((path for path in candidates if all((path / name).is_file() for name in named)), None)
    if found is None:
        where = " or ".join(str(path) for path in candidates)
        text = f"the units need the programs {', '.join(named)}, and not all of them are in {where}"
        raise RefusedError(f"{text}; pip install failoverd puts them there")
    for name in named:
        _refuse_unreachable(found / name, "this program")
    _refuse_unreachable(Path(sys.executable), "the Python that is to run it")
    _refuse_unreachable(Path(os.__file__), "that Python's own library")
    for name in MODULES:
        _refuse_unreachable(_module(name), f"the module {name}")
    return found


def unreachable(path: Path) -> str:
    """Why the service's user cannot reach this file, or ""."""
    for step in _steps(path):
        for hidden in HIDDEN:
            if step.is_relative_to(hidden):
                link = "" if step == path else f"it leads to {step}, and "
                return f"{link}{hidden} is hidden from the service"
        for directory in step.parents:
            if not directory.stat().st_mode & stat.S_IXOTH:
                return f"only some may enter {directory}"
    return "" if path.stat().st_mode & stat.S_IROTH else "only some may read it"


def _refuse_unreachable(path: Path, what: str) -> None:
    if why := unreachable(path):
        todo = "install failoverd into a virtual environment such as /opt/failoverd, made by a Python of the system"
        raise RefusedError(f"{path}: {why}: the service could not reach {what}; {todo} (/usr/bin/python3 -m venv)")


def _module(name: str) -> Path:
    """The file of a module, which is not run for that. Raises RefusedError."""
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        text = f"{sys.executable} has no module {name}, without which the service could not start"
        raise RefusedError(f"{text}; pip install failoverd puts it there")
    return Path(found.origin)


def _steps(path: Path) -> Iterator[Path]:
    """This file, and what it is a link to, one link after the other: each where its directory really is."""
    for _ in range(LINKS):
        path = path.parent.resolve() / path.name
        yield path
        if not path.is_symlink():
            return
        path = path.parent / path.readlink()
