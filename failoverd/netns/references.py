"""Where a reference leads: from a name, a pid or a path to an open namespace, or to the reason why there is none."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from failoverd.model.declared import NamespaceRef
from failoverd.netns.kernel import NotANamespaceError, is_own, open_namespace
from failoverd.netns.processes import AbsentError, Process

NAMED = Path("/run/netns")
"""Where names are, as `ip netns` and container runtimes have it."""
OF_PROCESS = re.compile(r"/proc/([1-9][0-9]*)/(?:task/[1-9][0-9]*/)?ns/net")
PID = re.compile("[1-9][0-9]{0,9}")
NAME_MAX = 255


def path_of(reference: NamespaceRef) -> Path:
    """Return the file that a reference by name, pid or path leads to. Raises AbsentError where there can be none."""
    value = reference.value
    if reference.by == "name":
        if "/" in value or value in (".", "..") or len(os.fsencode(value)) > NAME_MAX:
            raise AbsentError("namespace-absent", f"{value!r} is no name of a namespace; it has to be one of {NAMED}")
        return NAMED / value
    if reference.by == "pid":
        if not PID.fullmatch(value):
            raise AbsentError("process-gone", f"{value!r} is no pid")
        return Path(f"/proc/{value}/ns/net")
    if not value.startswith("/"):
        raise AbsentError("namespace-absent", f"{value!r} is no absolute path")
    return Path(value)


def pid_of(reference: NamespaceRef) -> int:
    """Return the pid of the process that a reference by pid or path is about, 0 for none."""
    if reference.by == "pid":
        return int(reference.value) if PID.fullmatch(reference.value) else 0
    if reference.by == "path" and (found := OF_PROCESS.fullmatch(reference.value)):
        return int(found[1])
    return 0


def file_of(reference: NamespaceRef) -> Path | None:
    """Return the path on which a namespace is bound that is no process's, None for other references."""
    if reference.by not in ("name", "path") or pid_of(reference):
        return None
    try:
        return path_of(reference)
    except AbsentError:
        return None


def open_path(path: Path) -> int:
    """Open the namespace that is bound to this path. Raises AbsentError; our own namespace is none, either."""
    try:
        fd = open_namespace(str(path))
    except FileNotFoundError as error:
        raise AbsentError("namespace-absent", f"there is no {path}; it is taken as soon as it is there") from error
    except NotANamespaceError as error:
        text = f"{path} is {error}; taken as soon as a network namespace is mounted on it"
        raise AbsentError("namespace-not-yet", text) from error
    except OSError as error:
        raise AbsentError("namespace-absent", f"{path} cannot be opened: {error.strerror}") from error
    return _not_own(fd, str(path))


def open_of_process(process: Process, path: Path | None = None) -> int:
    """Open the namespace of this process, or what it has at this path below /proc. Raises AbsentError."""
    try:
        fd = open_namespace(str(path or f"/proc/{process.pid}/ns/net"))
    except (NotANamespaceError, OSError) as error:
        if process.has_ended() or getattr(error, "errno", 0) in (errno.ENOENT, errno.ESRCH):
            raise AbsentError("process-gone", f"process {process.pid} has ended") from error
        raise AbsentError("namespace-absent", f"the namespace of process {process.pid}: {error}") from error
    if process.has_ended():
        # What was opened may be another process's.
        os.close(fd)
        raise AbsentError("process-gone", f"process {process.pid} has ended")
    return _not_own(fd, f"process {process.pid}")


def _not_own(fd: int, what: str) -> int:
    if is_own(fd):
        os.close(fd)
        raise AbsentError("namespace-is-own", f"{what} is in failoverd's own namespace; taken as soon as it is not")
    return fd
