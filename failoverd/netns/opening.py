"""Open a namespace for a client: a socket inside, and the namespace as a file, both closed here at once; or write
sysctls inside."""

from __future__ import annotations

import contextlib
import os
import socket

from failoverd.model.declared import NamespaceRef
from failoverd.model.places import Absent
from failoverd.netns.kernel import cookie_of, open_netlink, run_inside
from failoverd.netns.numbers import Asking
from failoverd.netns.processes import AbsentError, Process
from failoverd.netns.protocol import Open, Set, Written, pack_opened, pack_refused, pack_written
from failoverd.netns.references import open_of_process, open_path, path_of, pid_of

Bound = tuple[int, int] | None
"""A pid and a start time."""


def answer_open(sock: socket.socket, request: Open, bound: Bound) -> None:
    """Send a socket and the namespace, or why not; both are closed here before this returns. Raises OSError.

    `bound` is the process that the reference is bound to where it is watched.
    """
    try:
        fd = _open(request.reference, bound)
    except AbsentError as error:
        sock.send(pack_refused(error.absent))
        return
    try:
        inside = run_inside(fd, open_netlink)
        with inside:
            if _is(fd, inside, request):
                socket.send_fds(sock, [pack_opened()], [inside.fileno(), fd])
                return
        text = f"{request.reference} leads to another namespace by now"
        sock.send(pack_refused(Absent("namespace-absent", text)))
    except OSError as error:
        text = f"the namespace of {request.reference} cannot be entered: {error.strerror}"
        sock.send(pack_refused(Absent("namespace-absent", text)))
    finally:
        os.close(fd)


def answer_set(sock: socket.socket, request: Set, bound: Bound) -> None:
    """Write sysctls in a namespace, and send the errnos, or why not. Raises OSError. `bound` as in answer_open."""
    # What writes them is loaded by the first wish for it.
    from failoverd.model.requests import SetSysctl
    from failoverd.netlink.sysctls import write_sysctl

    def write() -> Written:
        requests = (SetSysctl(request.ifindex, name, value) for name, value in request.settings)
        return Written(tuple(write_sysctl(one, request.device)[0] for one in requests))

    try:
        fd = _open(request.reference, bound)
    except AbsentError as error:
        sock.send(pack_refused(error.absent))
        return
    try:
        with run_inside(fd, open_netlink) as inside:
            is_it = _is(fd, inside, request)
        text = f"{request.reference} leads to another namespace by now"
        absent = pack_refused(Absent("namespace-absent", text))
        sock.send(pack_written(run_inside(fd, write)) if is_it else absent)
    except OSError as error:
        text = f"the namespace of {request.reference} cannot be entered: {error.strerror}"
        sock.send(pack_refused(Absent("namespace-absent", text)))
    finally:
        os.close(fd)


def _open(reference: NamespaceRef, bound: Bound) -> int:
    """Open what a reference leads to. Raises AbsentError."""
    path = None if reference.by == "container" else path_of(reference)
    if pid := pid_of(reference):
        bound = bound or (pid, 0)
    if bound:
        process = Process(*bound)
        try:
            return open_of_process(process, path)
        finally:
            process.close()
    if path is None:
        raise AbsentError("container-absent", f"{reference} is bound to no container at present")
    return open_path(path)


def _is(fd: int, inside: socket.socket, request: Open | Set) -> bool:
    """Return whether this is the namespace that the client means. Raises OSError."""
    if cookie_of(inside) != request.place.epoch:
        return False
    with contextlib.closing(Asking()) as asking:
        return asking.nsid(fd) == request.place.nsid
