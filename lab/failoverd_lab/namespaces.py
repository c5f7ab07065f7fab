"""Network namespaces of the lab's own, without root, made and entered by this process itself.

The lab moves into one for good (`enter`) before it has a second thread or opens anything: that is the host's side, with
nothing in it but what the lab puts there. The guest's side is a further namespace, kept by an open file. A namespace
belongs to a thread, not to a process: so the lab steps into the guest's for the moment in which it opens a socket or
starts a process there, and steps out again. No helper process is needed, and nothing has to be taken down: when the
last process and the last file let go, the kernel removes the namespace with all that is in it.

root gets a network namespace and no user namespace: inside one, root would lose its power over other users' files, and
could not write a picture into another user's checkout. Where root may not (a container), and for every other user, a
user namespace comes along, in which the user has all capabilities over these devices and no others.

Python 3.11 has neither os.unshare nor os.setns; both are in the C library.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from failoverd_lab.world import CannotTell

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
HERE = "/proc/thread-self/ns/net"
NO_IPV6 = Path("/proc/sys/net/ipv6/conf/default/disable_ipv6")
HINTS = {
    "kernel/unprivileged_userns_clone": ("0", "as root: sysctl kernel.unprivileged_userns_clone=1"),
    "kernel/apparmor_restrict_unprivileged_userns": (
        "1",
        "as root: sysctl kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    "user/max_user_namespaces": ("0", "as root: sysctl user.max_user_namespaces=10000"),
    "user/max_net_namespaces": ("0", "as root: sysctl user.max_net_namespaces=10000"),
}
"""Files under /proc/sys: the value with which a distribution or an administrator refuses namespaces, and what to do."""

_libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """A network namespace. It lives as long as this object is open, or a process or a socket is in it."""

    def __init__(self, file: int) -> None:
        self.file = file

    @classmethod
    def here(cls) -> Namespace:
        """Return the namespace of this thread."""
        return cls(os.open(HERE, os.O_RDONLY | os.O_CLOEXEC))

    @classmethod
    def new(cls) -> Namespace:
        """Make an empty namespace. This thread is back in its own when this returns. Raises CannotTell."""
        home = cls.here()
        try:
            _unshare(CLONE_NEWNET)
            try:
                return cls.here()
            finally:
                home._move_in()
        except OSError as error:
            raise CannotTell(_namespace_refusal(error)) from error
        finally:
            home.close()

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Enter the namespace for the block, which must have no `await`: no other task may run meanwhile."""
        home = Namespace.here()
        try:
            self._move_in()
            try:
                yield
            finally:
                home._move_in()
        finally:
            home.close()

    def close(self) -> None:
        """Let go of the namespace; safe to call twice."""
        file, self.file = self.file, -1
        if file >= 0:
            os.close(file)

    def _move_in(self) -> None:
        if _libc.setns(self.file, CLONE_NEWNET):
            raise _error("setns")


@functools.cache
def enter() -> None:
    """Move this process into a network namespace of its own, for good; later calls do nothing.

    The process must have one thread (unshare(2), CLONE_NEWUSER). Raises CannotTell.
    """
    uid, gid = os.geteuid(), os.getegid()
    try:
        if uid == 0 and _unshared_as_root():
            return
        _unshare(CLONE_NEWUSER | CLONE_NEWNET)
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1", encoding="ascii")
        # A security module may allow the namespace and no rights in it.
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    except OSError as error:
        raise CannotTell(_namespace_refusal(error)) from error
    _without_ipv6()


def _unshared_as_root() -> bool:
    try:
        _unshare(CLONE_NEWNET)
    except PermissionError:
        return False
    _without_ipv6()
    return True


def _without_ipv6() -> None:
    """Turn IPv6 off on the host's ends of the wires: they are cables, not stations, and the kernel would send frames on
    them.

    Where /proc/sys may not be written (a container) it does send: a few unsolicited frames, which do no harm.
    """
    with contextlib.suppress(OSError):
        NO_IPV6.write_text("1", encoding="ascii")


def _unshare(flags: int) -> None:
    if _libc.unshare(flags):
        raise _error("unshare")


def _error(call: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{call}: {os.strerror(number)}")


def _namespace_refusal(error: OSError) -> str:
    """Return what refuses namespaces here, and what to do about it."""
    what = f"this machine refuses a network namespace ({error.strerror or error})"
    if error.errno == errno.EINVAL:
        return f"{what}: this process has several threads; enter the lab's namespace before any is started"
    for name, (bad, cure) in HINTS.items():
        path = Path("/proc/sys", name)
        with contextlib.suppress(OSError):
            if path.read_text(encoding="ascii").strip() == bad:
                return f"{what}: {path} is {bad}; {cure}; or use --in sim or --in vm"
    return f"{what}: perhaps a container's seccomp profile; run it outside of the container, or use --in sim or --in vm"
