"""A local user who means ill of failoverd's sockets: run it beside a test as some user, and end it by its pid.

    python3 attacker.py KIND SOCKET        prints "begun" when it is under way

half: connections with half a line each, as many as there are descriptors for, opened anew when they are closed.
deaf: questions whose answers are not read. long: a line without an end. knock: connections that are closed at once.
name: the same at the abstract socket of this name.
"""

from __future__ import annotations

import contextlib
import resource
import socket
import sys
from collections import deque

QUESTION = b'{"call": "explain"}\n'
MOST = 900


def connected(path: str) -> socket.socket | None:
    """A connection; None where there is no room for one."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(0.2)
    try:
        sock.connect(path)
    except OSError:
        sock.close()
        return None
    sock.setblocking(False)
    return sock


def attack(kind: str, path: str) -> None:
    """One connection after the other, without end."""
    held: deque[socket.socket] = deque()
    number = 0
    while True:
        sock = connected(path)
        number += 1
        if number == 20:
            print("begun", flush=True)
        if sock is None:
            continue
        with contextlib.suppress(OSError):
            if kind == "half":
                sock.sendall(QUESTION[:10])
            elif kind == "deaf":
                sock.sendall(QUESTION)
            elif kind == "long":
                while True:
                    sock.sendall(b"x" * 65536)
        if kind in ("knock", "name"):
            sock.close()
            continue
        held.append(sock)
        if len(held) > MOST:
            held.popleft().close()


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, MOST + 50), hard), hard))
    attack(sys.argv[1], "\0" + sys.argv[2] if sys.argv[1] == "name" else sys.argv[2])
