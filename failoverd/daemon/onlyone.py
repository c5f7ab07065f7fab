"""Allow one failoverd in a network namespace, whatever its directories are: two would forever undo each other's work.

The lock is a name. An abstract Unix socket (unix(7)) is known in its network namespace only, and goes with its process,
however that ends. Any process may take such a name, so the kernel is asked for the holder: a process that runs neither
as root nor as the service's user nor as this process's user is no failoverd, and does not block one. A second failoverd
reports the pid of the first and ends with 1. Rejected: a file named after the namespace, as containers that share a
network have files of their own.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import pwd
import socket
import struct
import time

import trio

from failoverd.config.readable import USER
from failoverd.daemon.accepting import take_each
from failoverd.daemon.paths import StartError

log = logging.getLogger("failoverd")

NAME = "\0failoverd"
TRIES, PAUSE = 5, 0.02
"""How many tries, and seconds between them: a holder that ends or begins at this moment cannot be asked for its pid."""
TURN = 0.5
"""Seconds that asking may take while other processes ask as well."""
BACKLOG = 16
PACE = 0.001
"""Seconds from one asking process to the next: any process can ask without end."""
UCRED = struct.Struct("=iII")


def only_one(name: str = NAME) -> socket.socket:
    """Return a socket that holds the name until it is closed. Raises StartError if another failoverd holds the name.

    The socket has no name if another program has taken it, or if the system refuses it.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        for _ in range(TRIES):
            try:
                sock.bind(name)
                sock.listen(BACKLOG)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    log.warning("cannot see whether another failoverd is here: %s", error.strerror)
                    return sock
            else:
                return sock
            if (found := _holder(name)) and found[1] in _trusted():
                who = f"pid {found[0]}" if found[0] else "in another container"
                raise StartError(
                    f"another failoverd ({who}) runs in this network namespace; stop it first (systemctl stop "
                    "failoverd)"
                )
            time.sleep(PAUSE)
    except BaseException:
        sock.close()
        raise
    who = f"process {found[0]} of user {found[1]}" if found else "some process"
    log.warning("%s has the name that failoverd has here, and is no failoverd; passed over", who)
    return sock


async def say_who_we_are(sock: socket.socket) -> None:
    """Accept each asking process, so that the next one can ask; the kernel tells it this process's pid and uid."""
    if sock.getsockname() in ("", b""):
        return
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
    await take_each(listener, trio.SocketStream.aclose, PACE)


def _holder(name: str) -> tuple[int, int] | None:
    """Return the pid and the uid of the process that listens by that name. If many ask, it has to wait for its turn."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
        # With Python's own timeout the socket would be non-blocking, and the kernel would not let it wait (client.py).
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", 0, round(TURN * 1e6)))
        try:
            sock.connect(name)
            pid, uid, _ = UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size))
        except OSError:
            return None
    return pid, uid


def _trusted() -> set[int]:
    found = {0, os.geteuid()}
    with contextlib.suppress(KeyError):
        found.add(pwd.getpwnam(USER).pw_uid)
    return found
