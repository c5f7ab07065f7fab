"""The pod's network namespace: a netlink socket in it, and sysctls.

The socket is made inside and stays there; the process goes back at once. So requests reach the pod from outside, and
IPAM plugins run on the host, as they must.
"""

from __future__ import annotations

import _socket
import errno
import posix
import time

from failoverd_cni import netlink
from failoverd_cni.errors import INVALID_NAMESPACE, UNKNOWN_CONTAINER, CniError
from failoverd_cni.inet import AF_INET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from failoverd_cni.inet import Address

CLONE_NEWNET = 0x40000000
OWN = "/proc/self/ns/net"
AF_NETLINK, SOL_NETLINK = 16, 270
CAP_ACK, EXT_ACK, STRICT = 10, 11, 12
"""Socket options (linux/netlink.h): short acknowledgements, errors in words, dumps that the kernel sorts out."""
IPV6_ADDRESSES = 1 << 8
"""The multicast group RTNLGRP_IPV6_IFADDR."""
DUMPS = 10
"""So many times an interrupted dump is begun again."""
PATIENCE = 10.0
"""Seconds for duplicate address detection, as other CNI plugins wait."""


class RefusedError(Exception):
    """The kernel has refused a request."""

    def __init__(self, number: int, words: str = "") -> None:
        super().__init__(f"{posix.strerror(number)}{f' ({words})' if words else ''}")
        self.number = number
        """The errno."""


class Pod:
    """The namespace of a pod, open; a context manager."""

    def __init__(self, path: str) -> None:
        """Open it. Raises CniError: code 3 where the path is missing, 8 where it is no network namespace."""
        self.path = path
        self._namespace = self._own = -1
        self._number = 0
        self._socket: _socket.socket | None = None
        try:
            self._own = posix.open(OWN, posix.O_RDONLY | posix.O_CLOEXEC)
            self._namespace = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
            self._socket = self._open(0)
        except OSError as error:
            self.close()
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                raise CniError(UNKNOWN_CONTAINER, f"CNI_NETNS {path!r}: {error.strerror}") from None
            what = "it is no network namespace" if error.errno == errno.EINVAL else error.strerror
            raise CniError(INVALID_NAMESPACE, f"CNI_NETNS {path!r}: {what}") from None

    def __enter__(self) -> Pod:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it."""
        if self._socket is not None:
            self._socket.close()
        for number in (self._namespace, self._own):
            if number >= 0:
                posix.close(number)
        self._namespace = self._own = -1

    def is_the_hosts(self) -> bool:
        """Tell whether this process is in the same namespace."""
        one, other = posix.fstat(self._namespace), posix.fstat(self._own)
        return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)

    def link(self, name: str) -> netlink.Link | None:
        """Look up a device. None where there is none."""
        try:
            found = self._ask(netlink.get_link(name))
        except RefusedError as error:
            if error.number == errno.ENODEV:
                return None
            raise
        return netlink.Link(found[0])

    def make_vlan(self, name: str, parent: int, vid: int, protocol: int, mtu: int, mac: bytes) -> None:
        """Make a VLAN. Raises RefusedError: EEXIST where the name or the id is taken."""
        self._ask(netlink.new_vlan(name, parent, vid, protocol, mtu, mac))

    def delete(self, index: int, name: str = "") -> None:
        """Delete a device, by its name if the index is 0; one that is gone is no error. Raises RefusedError."""
        try:
            self._ask(netlink.delete_link(index, name))
        except RefusedError as error:
            if error.number != errno.ENODEV:
                raise

    def set_up(self, index: int) -> None:
        """Set a device up. Raises RefusedError."""
        self._ask(netlink.set_up(index))

    def add_address(self, index: int, address: Address, *, detects: bool) -> None:
        """Give a device an address, with or without duplicate detection. Raises RefusedError."""
        self._ask(netlink.new_address(index, address, 0 if detects else netlink.NODAD))

    def add_route(self, index: int, dst: Address, gateway: Address | None, numbers: dict[str, int]) -> None:
        """Add a route. Raises RefusedError: EEXIST where there is one with that destination and metric."""
        self._ask(netlink.new_route(index, dst, gateway, numbers))

    def addresses(self, index: int) -> set[tuple[int, bytes, int]]:
        """Return (family, address, prefix length) of all addresses of a device. Raises RefusedError."""
        rows = [netlink.read_address(body) for body in self._ask(netlink.get_addresses(index))]
        return {address for found, address, _ in rows if found == index}

    def flush(self, index: int, name: str) -> None:
        """Take all addresses from a device, and its routes with them. Raises RefusedError and OSError.

        IPv4 routes go with the last address (net/ipv4/fib_frontend.c, fib_inetaddr_event); IPv6 has to be turned off,
        and on again, since routes stay without an address there.
        """
        self.write_sysctls([(f"ipv6/conf/{name}/disable_ipv6", "1"), (f"ipv6/conf/{name}/disable_ipv6", "0")])
        for family, raw, bits in self.addresses(index):
            if family == AF_INET:
                self._ask(netlink.delete_address(index, family, raw, bits))

    def settle(self, waiting: Sequence[tuple[int, Address]]) -> Address | None:
        """Wait until duplicate address detection has passed all of these addresses, each with its device's index.

        Returns the first that failed, or None. Raises RefusedError where an address is gone, or after PATIENCE.
        """
        left, deadline = list(waiting), time.monotonic() + PATIENCE
        events = self._open(IPV6_ADDRESSES)
        try:
            while left:
                flags = self._flags(*left[0])
                if flags & netlink.DADFAILED:
                    return left[0][1]
                if not flags & netlink.TENTATIVE:
                    left.pop(0)
                    continue
                # What changed since the question is in the socket's queue.
                seconds = deadline - time.monotonic()
                if seconds <= 0:
                    raise RefusedError(errno.ETIMEDOUT, f"still tentative after {PATIENCE:g} s; is there a carrier?")
                events.settimeout(seconds)
                _wait(events)
        finally:
            events.close()
        return None

    def write_sysctls(self, values: Sequence[tuple[str, str]]) -> None:
        """Write files below /proc/sys/net, those that this kernel has. Raises OSError."""
        self._enter()
        try:
            for name, value in values:
                try:
                    number = posix.open(f"/proc/sys/net/{name}", posix.O_WRONLY | posix.O_CLOEXEC)
                except FileNotFoundError:
                    continue
                try:
                    posix.write(number, value.encode())
                finally:
                    posix.close(number)
        finally:
            setns(self._own)

    def _flags(self, index: int, address: Address) -> int:
        return netlink.read_address(self._ask(netlink.get_address(index, address))[0])[2]

    def _open(self, groups: int) -> _socket.socket:
        """Return a netlink socket in the pod."""
        self._enter()
        try:
            found = _socket.socket(AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, 0)
        finally:
            setns(self._own)
        found.bind((0, groups))
        for option in (CAP_ACK, EXT_ACK, STRICT):
            found.setsockopt(SOL_NETLINK, option, 1)
        return found

    def _enter(self) -> None:
        setns(self._namespace)

    def _ask(self, request: bytes) -> list[bytes]:
        """Return the bodies of what the kernel answers a request with. Raises RefusedError."""
        for _ in range(DUMPS):
            bodies, whole = self._answers(request)
            if whole:
                return bodies
        raise RefusedError(errno.EINTR, f"the dump was interrupted {DUMPS} times")

    def _answers(self, request: bytes) -> tuple[list[bytes], bool]:
        """Return the bodies, and whether no change interrupted them."""
        assert self._socket is not None
        self._number += 1
        self._socket.send(netlink.numbered(request, self._number))
        bodies: list[bytes] = []
        whole = True
        while True:
            for kind, flags, number, body in netlink.messages(self._socket.recv(1 << 17)):
                if number != self._number:
                    continue
                whole = whole and not flags & netlink.DUMP_INTERRUPTED
                if kind == netlink.DONE:
                    return bodies, whole
                if kind == netlink.ERROR:
                    error, words = netlink.refusal(body, flags)
                    if error:
                        raise RefusedError(error, words)
                    return bodies, whole
                bodies.append(body)


def _wait(events: _socket.socket) -> None:
    """Wait for an event, or for the socket's timeout. Lost events are events."""
    try:
        events.recv(1 << 16)
    except TimeoutError:
        return
    except OSError as error:
        if error.errno != errno.ENOBUFS:
            raise


def setns(number: int) -> None:
    """Move this process, which has one thread, into a network namespace. Raises OSError.

    Python 3.12 and later have it. Before, `_ctypes` alone takes a seventh of what importing `ctypes` does, and tells no
    errno; so only a failure is tried once more, by `ctypes`.
    """
    by_python: Any = getattr(posix, "setns", None)
    if by_python is not None:
        by_python(number, CLONE_NEWNET)
    elif _quick_setns(number):
        import ctypes

        if ctypes.CDLL(None, use_errno=True).setns(number, CLONE_NEWNET):
            failed = ctypes.get_errno()
            raise OSError(failed, posix.strerror(failed))


def _quick_setns(number: int) -> int:
    import _ctypes

    private: Any = _ctypes
    return int(private.call_function(private.dlsym(private.dlopen(None, 2), "setns"), (number, CLONE_NEWNET)))
