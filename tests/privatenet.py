"""A network namespace of one's own, as root or not: for a test function, or for a command.

    @private_net
    def test_something() -> None: ...          # runs in a child process, in a namespace with nothing but lo

    subprocess.Popen(inside("python3", "-m", "failoverd"))

The test process itself never changes its namespace, and what a test makes in its own goes with it.
"""

from __future__ import annotations

import ctypes
import functools
import os
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CLONE_NEWNET, CLONE_NEWUSER = 0x40000000, 0x10000000


def enter() -> None:
    """Move this process, which must have one thread, into a new network namespace, in which it is root."""
    uid, gid = os.geteuid(), os.getegid()
    flags = CLONE_NEWNET if uid == 0 else CLONE_NEWNET | CLONE_NEWUSER
    if ctypes.CDLL(None, use_errno=True).unshare(flags):
        number = ctypes.get_errno()
        raise OSError(number, f"unshare: {os.strerror(number)}")
    if uid != 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


def inside(*command: str) -> list[str]:
    """The command that runs this command in a new network namespace, as the same process."""
    return [sys.executable, __file__, *command]


def private_net(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test in a child process with a network namespace of its own."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            ours.close()
            _child(theirs, functools.partial(test, *args, **kwargs))
        theirs.close()
        with ours:
            report = b"".join(iter(lambda: ours.recv(1 << 16), b"")).decode()
        _, status = os.waitpid(pid, 0)
        assert (status, report) == (0, ""), f"in the child process:\n{report}"

    return run


@contextmanager
def container() -> Iterator[int]:
    """Another namespace, which lives as long as a process in it; its pid."""
    script = "import ctypes, sys; ctypes.CDLL(None).unshare(0x40000000); print('in', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"in\n"
        try:
            yield process.pid
        finally:
            process.kill()


def set_up(pid: int, name: str) -> None:
    """Bring up a device of that container."""
    subprocess.run(["nsenter", "-t", str(pid), "-n", "ip", "link", "set", name, "up"], check=True)


def _child(report: socket.socket, test: Callable[[], None]) -> None:
    status = 1
    try:
        enter()
        test()
        status = 0
    except BaseException:
        report.sendall(traceback.format_exc().encode())
    finally:
        report.close()
        os._exit(status)


if __name__ == "__main__":
    enter()
    os.execvp(sys.argv[1], sys.argv[1:])
