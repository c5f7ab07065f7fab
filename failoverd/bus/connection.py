"""One connection to a message bus, on trio: a BaseMessageBus of dbus-next with other ends.

dbus-next does the serials, the matching of replies and the codec; the socket, the queue and all the answers are
failoverd's. `send` never waits: messages go to a queue. The queue is bounded from its other end. A sender of answers or
signals waits for `room` first, and decides what to drop meanwhile. A queue that drops by itself would also drop what a
client cannot miss.

Incoming messages are read at once, whatever waits to be sent: the bus has one queue to failoverd, in which an order
stands behind everything that came before it.
"""

from __future__ import annotations

import logging
import os
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

import trio
from dbus_next import Message, MessageType
from dbus_next.message_bus import BaseMessageBus

from failoverd.bus.envelope import Envelope
from failoverd.bus.interfaces import BusError
from failoverd.bus.rate_limit import RateLimit
from failoverd.bus.wire import Reader, TooLongError, UnreadableError, WireError, marshal, read

log = logging.getLogger("failoverd")

BOUND = 1 << 18
"""Bytes in the queue at which nothing more is begun. A signal is 200 to 300 bytes long."""
CHUNK = 1 << 14
"""Bytes read and sent at once: enough for some calls, and few enough that the engine gets its turn between."""
IN_THE_KERNEL = 1 << 15
"""Bytes that may wait in the socket, where urgent messages cannot overtake. The kernel doubles it."""
PATIENCE = 25.0
"""Seconds within which the bus has to answer, as in libdbus."""
DEFAULT_ADDRESS = "unix:path=/run/dbus/system_bus_socket"
BUS = "org.freedesktop.DBus"

OnCall = Callable[[Envelope], None]


def system_bus() -> str:
    """Return the address of the system bus: $DBUS_SYSTEM_BUS_ADDRESS or the usual one."""
    return os.environ.get("DBUS_SYSTEM_BUS_ADDRESS") or DEFAULT_ADDRESS


class Connection(BaseMessageBus):  # type: ignore[misc]
    """A connection to a bus (see the module). `on_call` gets every method call, and must return quickly."""

    def __init__(self, address: str, on_call: OnCall) -> None:
        super().__init__(bus_address=address)
        self.queued = 0
        self._on_call = on_call
        self._out: deque[bytes] = deque()
        self._more = trio.Event()
        self._room = trio.Event()
        self._stream: trio.SocketStream
        self._is_over = False
        self._complaints = RateLimit()

    def _setup_socket(self) -> None:
        """Do nothing: dbus-next would connect here, and block. `open` connects."""

    async def open(self) -> None:
        """Connect and authenticate. Raises OSError, WireError, or ValueError for an address that cannot be used."""
        with trio.fail_after(PATIENCE):
            self._stream = await _connect(self._bus_address)
            try:
                await _authenticate(self._stream)
            except BaseException:
                self._stream.socket.close()
                raise

    async def run(self, on_open: Callable[[], Any]) -> None:
        """Read and write until the connection ends. `on_open` is awaited once, at the same time.

        Raises the error that ends it; whether in an exception group depends on the release of trio.
        """
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._read)
                nursery.start_soon(self._write)
                await on_open()
        finally:
            self._is_over = True
            self._room.set()
            self._stream.socket.close()

    async def ask(self, member: str, signature: str = "", *body: Any) -> Any:
        """Call a method of the bus itself and return its first value. Raises BusError."""
        answers: list[Message] = []
        answered = trio.Event()

        def on_reply(reply: Message | None, _error: Exception | None) -> None:
            if reply is not None:
                answers.append(reply)
            answered.set()

        message = Message(BUS, "/org/freedesktop/DBus", BUS, member, signature=signature, body=list(body))
        self._call(message, on_reply)
        with trio.move_on_after(PATIENCE):
            await answered.wait()
        self._method_return_handlers.pop(message.serial, None)
        if not answers:
            raise BusError(f"{BUS}.Error.NoReply", f"the bus has not answered {member} for {PATIENCE:g} s")
        if answers[0].message_type == MessageType.ERROR:
            raise BusError(answers[0].error_name, " ".join(str(word) for word in answers[0].body))
        return answers[0].body[0] if answers[0].body else None

    def send(self, msg: Message) -> None:
        """Queue a message, unless the connection has ended. Raises what `marshal` raises."""
        if self._is_over:
            return
        if not msg.serial:
            msg.serial = self.next_serial()
        self.send_raw(marshal(msg), is_urgent=msg.destination == BUS)

    def send_raw(self, data: bytes, is_urgent: bool = False) -> None:
        """Queue a message that is already marshalled. Calls to the bus itself go ahead of the queue: an order waits for
        the answer."""
        if not self._is_over:
            (self._out.appendleft if is_urgent else self._out.append)(data)
            self.queued += len(data)
            self._more.set()

    def has_room(self, share: float = 1.0) -> bool:
        """Return whether less than this share of the queue is taken. True also after the end: then nothing is sent."""
        return self._is_over or self.queued < BOUND * share

    async def room(self, share: float = 1.0) -> None:
        """Wait for `has_room`."""
        while not self.has_room(share):
            if self._room.is_set():
                self._room = trio.Event()
            await self._room.wait()

    async def _read(self) -> None:
        reader = Reader()
        while True:
            data = await self._stream.receive_some(CHUNK)
            if not data:
                raise WireError("the bus has closed the connection")
            for found in reader.feed(data):
                self._take(found)

    def _take(self, found: Envelope) -> None:
        """Handle one message; a call bypasses dbus-next. No error that a client causes may end the connection."""
        try:
            if found.is_call:
                self._on_call(found)
            elif found.is_answer:
                self._process_message(read(found))
        except (TooLongError, UnreadableError) as error:
            self._complaints.warn("D-Bus: %s", error)
        except Exception as error:
            self._complaints.warn("D-Bus: %r from %r: %r", found.member, found.sender, error)

    async def _write(self) -> None:
        while True:
            while self._out:
                data = self._batch()
                await self._stream.send_all(data)
                self.queued -= len(data)
                if self.has_room(0.25):
                    self._room.set()
            self._more = trio.Event()
            await self._more.wait()

    def _batch(self) -> bytes:
        """Take from the queue what is sent at once. One message a turn of the loop would mean one for each CHUNK that
        is read."""
        parts = [self._out.popleft()]
        size = len(parts[0])
        while self._out and size + len(self._out[0]) <= CHUNK:
            parts.append(self._out.popleft())
            size += len(parts[-1])
        return b"".join(parts)


async def _connect(addresses: list[tuple[str, dict[str, str]]]) -> trio.SocketStream:
    """Connect to the first of these addresses that answers."""
    error: Exception = ValueError("the address of the bus names no place")
    for transport, options in addresses:
        name = options.get("path") or ("\0" + options["abstract"] if "abstract" in options else "")
        if transport != "unix" or not name:
            error = ValueError(f"the address of the bus is of the kind {transport!r}; give unix:path=...")
            continue
        sock = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, IN_THE_KERNEL)
            await sock.connect(name)
        except OSError as refused:
            sock.close()
            error = OSError(refused.errno, f"{name}: {refused.strerror}")
            continue
        return trio.SocketStream(sock)
    raise error


async def _authenticate(stream: trio.SocketStream) -> None:
    """Authenticate with the user that the bus takes from the socket (EXTERNAL without an identity, as systemd's own
    clients do).

    A uid sent by the client would be wrong in a user namespace.
    """
    await stream.send_all(b"\0AUTH EXTERNAL\r\n")
    await _expect(stream, b"DATA")
    await stream.send_all(b"DATA\r\n")
    await _expect(stream, b"OK")
    await stream.send_all(b"BEGIN\r\n")


async def _expect(stream: trio.SocketStream, word: bytes) -> None:
    line = b""
    while not line.endswith(b"\r\n"):
        data = await stream.receive_some(1)
        if not data or len(line) > CHUNK:
            raise WireError(f"the bus has not let us in: it said {line!r} where {word!r} was due")
        line += data
    if line.split(None, 1)[:1] != [word]:
        raise WireError(f"the bus has not let us in: it said {line!r} where {word!r} was due")
