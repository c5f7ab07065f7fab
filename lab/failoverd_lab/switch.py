"""A learning Ethernet switch in user space: the network between the lab's guests and peers.

QEMU's `-netdev dgram` hands every frame over as one datagram on a Unix socket. So a switch port needs neither a tap nor
root, and every frame passes through here and can be counted. The switch behaves as hardware does: a source MAC is known
at the port where it was last seen, and moves at once; a frame to an unknown or a group address goes to all other ports.
That is why gratuitous ARPs matter in the lab: only a frame from the new port tells the switch that a guest has moved.

A port never waits for its guest. QEMU reads nothing while its guest is stopped, and the kernel queues only
net.unix.max_dgram_qlen datagrams (10). So a port has a queue of its own, as a tap device has, and frames that do not
fit are dropped and counted.

The time of a frame is the kernel's, taken when QEMU wrote it (SO_TIMESTAMPNS), not the time at which this busy process
came to read it.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trio

from failoverd_lab.host import open_nursery

QUEUE = 2000
"""Frames a port holds for a guest that does not read. A tap device holds 500; without KVM, on a busy machine, a guest
may not run for a second, and probes are sent at 1,000 a second."""

SO_TIMESTAMPNS = 35
"""asm-generic/socket.h; the socket module lacks it. AF_UNIX datagrams carry it: unix_dgram_sendmsg()."""

HEADER = 14
"""An Ethernet header: destination, source, type."""

HEAD = 64
"""Bytes kept of each frame: enough for every ARP and for the headers of the rest."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as it came in: when (seconds, time.monotonic), at which port, its length and its first bytes."""

    at: float
    port: str
    size: int
    head: bytes


Deliver = Callable[[bytes, str, float], None]
"""Receives frames for a station in this process: the frame, the port where it came in, and when it did."""


class Port:
    """One port. `sent` counts the frames from its station, `received` those to it.

    `dropped` counts those of `received` that found no station, or one that has not read for long. `is_dead` stands for
    a switch that is broken or misconfigured: the port has its link, and no frame passes.
    """

    def __init__(self, switch: Switch, name: str) -> None:
        self.name = name
        self.sent = self.received = self.dropped = 0
        self.is_dead = False
        self._switch = switch

    def send(self, frame: bytes, at: float | None = None) -> None:
        """Put a frame from the station on the wire."""
        self.sent += 1
        self._switch.forward(self, frame, time.monotonic() if at is None else at)

    def deliver(self, frame: bytes, came_by: str, at: float) -> None:
        """Deliver a frame to the station, without waiting."""
        raise NotImplementedError

    def close(self) -> None:
        """Pull the cable; safe to call twice."""
        self._switch.remove(self)


class LocalPort(Port):
    """A port whose station lives in this process."""

    def __init__(self, switch: Switch, name: str, deliver: Deliver) -> None:
        super().__init__(switch, name)
        self._deliver = deliver

    def deliver(self, frame: bytes, came_by: str, at: float) -> None:
        self._deliver(frame, came_by, at)


class SocketPort(Port):
    """A port whose station is behind a datagram socket.

    The socket is connected as soon as there is a peer: only then does poll(2) tell when *that* station reads again
    (unix_dgram_poll()).
    """

    def __init__(self, switch: Switch, name: str, sock: socket.socket, theirs: str) -> None:
        super().__init__(switch, name)
        self._sock = sock
        self._theirs = theirs
        self._connected = False
        self._queue: deque[bytes] = deque()
        self._queued = trio.Event()
        self._scope = trio.CancelScope()

    def deliver(self, frame: bytes, *_: object) -> None:
        if not self._queue and self._try(frame):
            return
        if len(self._queue) < QUEUE:
            self._queue.append(frame)
            self._queued.set()
        else:
            self.dropped += 1

    def close(self) -> None:
        super().close()
        self._scope.cancel()

    async def run(self) -> None:
        """Move frames in both directions until the port is closed."""
        with self._sock, self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._drain)
                while True:
                    await trio.lowlevel.wait_readable(self._sock.fileno())
                    self._read()

    def _read(self) -> None:
        while True:
            try:
                frame, ancillary, _, _ = self._sock.recvmsg(65536, 64)
            except BlockingIOError:
                return
            self.send(frame, _stamp(ancillary))

    async def _drain(self) -> None:
        while True:
            await self._queued.wait()
            self._queued = trio.Event()
            while self._queue:
                await trio.lowlevel.wait_writable(self._sock.fileno())
                while self._queue and self._try(self._queue[0]):
                    self._queue.popleft()

    def _try(self, frame: bytes) -> bool:
        """Send a frame, and return whether it need not be kept: it was sent, or there is no station to receive it."""
        try:
            if not self._connected:
                self._sock.connect(self._theirs)
                self._connected = True
            self._sock.send(frame)
        except BlockingIOError:
            return False
        except OSError:
            # No such path, no socket bound to it, or the connected station has gone: perhaps another one comes.
            self._connected = False
            self.dropped += 1
        return True


class Switch:
    """The switch (see the module). Made by `open_switch`."""

    def __init__(self, nursery: trio.Nursery, keep: int) -> None:
        self.ports: dict[str, Port] = {}
        self.where: dict[bytes, Port] = {}
        self.frames: deque[Frame] = deque(maxlen=keep)
        self._nursery = nursery

    def attach(self, name: str, deliver: Deliver) -> Port:
        """Add a port for a station in this process. Raises ValueError if the name is taken."""
        return self._add(LocalPort(self, name, deliver))

    def attach_socket(self, name: str, mine: Path, theirs: Path) -> Port:
        """Add a port for a process that binds `theirs` and sends to `mine`, now or later.

        Raises ValueError if the name is taken, OSError if `mine` cannot be bound.
        """
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            sock.bind(os.fspath(mine))
            port = SocketPort(self, name, sock, os.fspath(theirs))
            self.start(port)
        except BaseException:
            sock.close()
            raise
        return port

    def start(self, port: SocketPort) -> None:
        """Add a port, and move its frames until it is closed. Raises ValueError if its name is taken."""
        self._add(port)
        self._nursery.start_soon(port.run)

    def _add(self, port: Port) -> Port:
        if port.name in self.ports:
            raise ValueError(f"the switch has a port {port.name} already")
        self.ports[port.name] = port
        return port

    def forward(self, port: Port, frame: bytes, at: float) -> None:
        """Take in a frame at `port`: record it, learn from it, pass it on."""
        if self.ports.get(port.name) is not port or port.is_dead or len(frame) < HEADER:
            return
        self.frames.append(Frame(at, port.name, len(frame), frame[:HEAD]))
        destination, source = frame[:6], frame[6:12]
        if not source[0] & 1:
            self.where[source] = port
        known = self.where.get(destination)
        for target in [known] if known else list(self.ports.values()):
            if target is not port and not target.is_dead:
                target.received += 1
                target.deliver(frame, port.name, at)

    def forget(self, port: Port) -> None:
        """Forget the MACs behind a port, as a switch does when the port loses its link."""
        self.where = {mac: where for mac, where in self.where.items() if where is not port}

    def remove(self, port: Port) -> None:
        """Remove a port, and forget the MACs behind it."""
        if self.ports.get(port.name) is port:
            del self.ports[port.name]
            self.forget(port)


def _stamp(ancillary: list[tuple[int, int, bytes]]) -> float | None:
    """Return the kernel's time of a datagram, in time.monotonic's seconds."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, nanoseconds = struct.unpack("qq", data[:16])
            age: float = time.time() - (seconds + nanoseconds / 1e9)
            return time.monotonic() - age
    return None


@asynccontextmanager
async def open_switch(*, keep: int = 200_000) -> AsyncIterator[Switch]:
    """Open a switch that forwards as long as the context is open, and keeps the last `keep` frames."""
    async with open_nursery() as nursery:
        yield Switch(nursery, keep)
        nursery.cancel_scope.cancel()
