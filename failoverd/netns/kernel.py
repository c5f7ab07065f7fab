"""What the kernel is asked about network namespaces: is this file one, run there, make one, watch a directory.

A thread that has called setns or unshare ends, and is never used for anything else: what ran in it next would run in
somebody's container.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from failoverd.netlink.transport import NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK, NETLINK_ROUTE, SOL_NETLINK

T = TypeVar("T")

CLONE_NEWNET = 0x40000000
NS_GET_NSTYPE = 0xB703
"""linux/nsfs.h."""
SO_NETNS_COOKIE = 71
"""Since 5.14: a number that the kernel gives to no other namespace until the next boot."""
MS_BIND, MS_REC, MS_SHARED = 0x1000, 0x4000, 0x100000
OWN = "/proc/thread-self/ns/net"

_libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: object) -> int:
    """Call a function of the C library. Raises OSError."""
    result = int(getattr(_libc, name)(*arguments))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


class NotANamespaceError(Exception):
    """The file is no network namespace; the text says what it is."""


def open_namespace(path: str) -> int:
    """Open a network namespace by its path, for reading. Raises NotANamespaceError, OSError.

    Until it is known to be a namespace it is opened with O_PATH only, so that a FIFO cannot keep this process waiting
    and no device is set off. All files of the kernel's nsfs are on one device, that of our own namespace's.
    """
    found = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if os.fstat(found).st_dev != os.stat(OWN).st_dev:  # noqa: PTH116 - by thread, not by path
            raise NotANamespaceError("a file that is no namespace")
        # An O_PATH file takes no ioctl, and is no namespace to setns either (EBADF).
        fd = os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(found)
    if fcntl.ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET:
        os.close(fd)
        raise NotANamespaceError("a namespace of another type")
    return fd


def is_own(fd: int) -> bool:
    """Return whether this open namespace is that of this process."""
    return os.path.samestat(os.fstat(fd), os.stat(OWN))  # noqa: PTH116 - as above


def run_inside(fd: int, do: Callable[[], T]) -> T:
    """Run a function in that namespace, in a thread that ends with it. Raises OSError, and what the function raises."""
    return _in_a_thread(lambda: _entered(fd, do))


def _entered(fd: int, do: Callable[[], T]) -> T:
    call("setns", fd, CLONE_NEWNET)
    return do()


def _in_a_thread(do: Callable[[], T]) -> T:
    done: list[T] = []
    failed: list[BaseException] = []

    def body() -> None:
        try:
            done.append(do())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]


def open_netlink() -> socket.socket:
    """Open a NETLINK_ROUTE socket in this thread's namespace. Raises OSError."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_ROUTE)
    try:
        sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        sock.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
        sock.bind((0, 0))
    except BaseException:
        sock.close()
        raise
    return sock


def cookie_of(sock: socket.socket) -> int:
    """Return the cookie of a socket's namespace. Raises OSError, ENOPROTOOPT on kernels before 5.14."""
    return int(struct.unpack("=Q", sock.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8))[0])


def cookie_inside(fd: int) -> int:
    """Return the cookie of this open namespace. Raises OSError."""
    with run_inside(fd, open_netlink) as sock:
        return cookie_of(sock)


def create_named(path: Path) -> None:
    """Make a network namespace with a name, as `ip netns add` does. Raises OSError, EEXIST where anything stands there.

    It has to be done in the machine's own mount namespace: a mount made in a service's own one is not seen outside.
    """
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    _share(path.parent)
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0))

    def make() -> None:
        call("unshare", CLONE_NEWNET)
        call("mount", OWN.encode(), os.fsencode(path), b"none", ctypes.c_ulong(MS_BIND), None)

    try:
        _in_a_thread(make)
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        raise


def _share(directory: Path) -> None:
    """Let mounts in this directory be seen by services that have a mount namespace, and their ends, too."""
    name, shared = os.fsencode(directory), ctypes.c_ulong(MS_SHARED | MS_REC)
    try:
        call("mount", b"", name, b"none", shared, None)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # It is no mount point yet.
        call("mount", name, name, b"none", ctypes.c_ulong(MS_BIND | MS_REC), None)
        call("mount", b"", name, b"none", shared, None)
