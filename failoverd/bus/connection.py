"""One connection to a message bus, on trio: a BaseMessageBus of dbus-next with other ends.

dbus-next does the serials, the matching of replies and the codec; the socket, the queue and everything that is
answered is ours. Nobody waits in `send`: what is sent goes to a queue. It is bounded from its other end. While it is
full no more calls are read, so it grows by one answer at most; and who has signals to send waits for `room` first, and
decides what to drop meanwhile. A queue that drops by itself would also drop what a client cannot miss.
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

from failoverd.bus.faces import BusError
from failoverd.bus.seldom import Seldom
from failoverd.bus.wire import Reader, TooLongError, UnreadableError, WireError, marshal

log = logging.getLogger("failoverd")

BOUND = 1 << 18
"""Bytes that may wait to be sent before nothing more is begun. A signal is 200 to 300 bytes long."""
CHUNK = 1 << 14
"""Bytes read at once: so many that some calls fit, so few that the engine gets its turn between."""
PATIENCE = 25.0
"""Seconds the bus may take for an answer, as in libdbus."""
DEFAULT_ADDRESS = "unix:path=/run/dbus/system_bus_socket"
BUS = "org.freedesktop.DBus"

OnCall = Callable[[Message], None]


def system_bus() -> str:
    """The address of the system bus: $DBUS_SYSTEM_BUS_ADDRESS or the usual one."""
    return os.environ.get("DBUS_SYSTEM_BUS_ADDRESS") or DEFAULT_ADDRESS


class Connection(BaseMessageBus):  # type: ignore[misc]
    """See the module. `on_call` gets every method call and answers it, now or later, with `send`."""

    def __init__(self, address: str, on_call: OnCall) -> None:
        super().__init__(bus_address=address)
        self.queued = 0
        self._on_call = on_call
        self._out: deque[bytes] = deque()
        self._more = trio.Event()
        self._room = trio.Event()
        self._stream: trio.SocketStream
        self._is_over = False
        self._complaints = Seldom()
        self.add_message_handler(self._incoming)

    def _setup_socket(self) -> None:
        """dbus-next would connect here, and block; `open` does it."""

    async def open(self) -> None:
        """Connect and authenticate. Raises OSError, WireError or, for an address that cannot be used, ValueError."""
        with trio.fail_after(PATIENCE):
            self._stream = await _connect(self._bus_address)
            try:
                await _authenticate(self._stream)
            except BaseException:
                self._stream.socket.close()
                raise

    async def run(self, on_open: Callable[[], Any]) -> None:
        """Read and write until the connection ends. `on_open` is awaited beside it, once.

        Raises what ends it, in a group or not as the release of trio has it.
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
        """Call a method of the bus itself and give its first value. Raises BusError."""
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
        """Put it into the queue, unless the connection has ended. Raises what `marshal` raises."""
        if self._is_over:
            return
        if not msg.serial:
            msg.serial = self.next_serial()
        data = marshal(msg)
        self._out.append(data)
        self.queued += len(data)
        self._more.set()

    def has_room(self, share: float = 1.0) -> bool:
        """Whether less than this share of the queue is taken. Also when it is over: then nothing will be sent."""
        return self._is_over or self.queued < BOUND * share

    async def room(self, share: float = 1.0) -> None:
        """Wait for `has_room`."""
        while not self.has_room(share):
            self._room = trio.Event()
            await self._room.wait()

    async def _read(self) -> None:
        reader = Reader()
        while True:
            await self.room()
            data = await self._stream.receive_some(CHUNK)
            if not data:
                raise WireError("the bus has closed the connection")
            for found in reader.feed(data):
                self._take(found)
                await self.room()
                await trio.lowlevel.checkpoint()

    def _take(self, found: Message | TooLongError | UnreadableError) -> None:
        if isinstance(found, UnreadableError):
            self._complaints.warn("D-Bus: %s", found)
        elif isinstance(found, TooLongError):
            if found.message.message_type == MessageType.METHOD_CALL and not found.message.flags & 1:
                self.send(Message.new_error(found.message, f"{BUS}.Error.LimitsExceeded", str(found)))
        else:
            try:
                self._process_message(found)
            except Exception as error:  # A client must not be able to end the connection, whatever it finds.
                self._complaints.warn("D-Bus: %s from %s: %r", found.member, found.sender, error)

    def _incoming(self, message: Message) -> bool:
        """A call is taken here, past all that dbus-next would do with it. True means: this was all.

        dbus-next answers what is raised here with a traceback, and logs another.
        """
        if message.message_type != MessageType.METHOD_CALL:
            return False
        try:
            self._on_call(message)
        except Exception as error:
            self._complaints.warn("D-Bus: %s from %s cannot be answered: %r", message.member, message.sender, error)
        return True

    async def _write(self) -> None:
        while True:
            while self._out:
                data = self._out.popleft()
                await self._stream.send_all(data)
                self.queued -= len(data)
                if self.has_room(0.25):
                    self._room.set()
            self._more = trio.Event()
            await self._more.wait()


async def _connect(addresses: list[tuple[str, dict[str, str]]]) -> trio.SocketStream:
    """The first of these addresses that answers."""
    error: Exception = ValueError("the address of the bus names no place")
    for transport, options in addresses:
        name = options.get("path") or ("\0" + options["abstract"] if "abstract" in options else "")
        if transport != "unix" or not name:
            error = ValueError(f"the address of the bus is of the kind {transport!r}; give unix:path=...")
            continue
        sock = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            await sock.connect(name)
        except OSError as refused:
            sock.close()
            error = OSError(refused.errno, f"{name}: {refused.strerror}")
            continue
        return trio.SocketStream(sock)
    raise error


async def _authenticate(stream: trio.SocketStream) -> None:
    """Let the bus take our user from the socket (EXTERNAL without an identity, as systemd's own clients do).

    A uid that we say would be wrong in a user namespace.
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
