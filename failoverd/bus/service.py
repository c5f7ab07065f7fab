"""A service on the message bus: connected, named, answering, and restored whenever the bus comes back.

    no bus, or no name -> 0.5 s, 1 s ... 10 s -> connect, Hello, RequestName -> answer, emit -> connection lost -> again

No other part waits for any of it. A bus may be missing at boot, be restarted, stop reading, or refuse the name. The
objects are kept all the same, and shown in their present state when the bus is back. The log has one line for each of
these events.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator

import trio
from dbus_next import AuthError, InvalidAddressError, Message, RequestNameReply

from failoverd.bus.connection import PATIENCE, Connection
from failoverd.bus.desk import CarryOut, Desk, send
from failoverd.bus.dispatch import ERROR
from failoverd.bus.interfaces import BusError
from failoverd.bus.rate_limit import RateLimit
from failoverd.bus.tree import Tree
from failoverd.bus.wire import WireError

log = logging.getLogger("failoverd")

FIRST_WAIT, LONGEST_WAIT = 0.5, 10.0
"""Seconds until the next attempt to connect, doubled each time."""
LONGEST_DENIED = 60.0
"""The longest wait in seconds where the bus refuses the name: that lasts until an administrator installs the policy."""
SHARE = 0.25
"""The share of a connection's queue up to which a signal is begun; the rest is for answers."""
DO_NOT_QUEUE = 4
LOST = (OSError, WireError, BusError, AuthError, InvalidAddressError, ValueError, trio.TooSlowError)
LOST_STREAM = (trio.BrokenResourceError, trio.ClosedResourceError)


class Service:
    """Serves the objects of `tree` under the bus name `name`. `refresh` is called before they are read."""

    def __init__(self, name: str, tree: Tree, carry_out: CarryOut, refresh: Callable[[], None]) -> None:
        self.name = name
        self.tree = tree
        self._carry_out = carry_out
        self._refresh = refresh
        self._connection: Connection | None = None
        self._desk: Desk
        self._connected = trio.Event()
        self._said = ""
        self._is_denied = False
        self._complaints = RateLimit()

    def emit(self, message: Message) -> None:
        """Send a signal, if there is a bus. Wait for `room` first."""
        if self._connection is not None:
            send(self._connection, message, self._complaints)

    async def room(self) -> None:
        """Wait until there is a bus and its queue is mostly empty."""
        while self._connection is None or not self._connection.has_room(SHARE):
            if self._connection is None:
                await self._connected.wait()
            else:
                await self._connection.room(SHARE)

    @property
    def connection(self) -> object:
        """The identity of the present connection to a bus; None without one."""
        return self._connection

    @property
    def is_connected(self) -> bool:
        """Whether a signal could reach the bus now."""
        return self._connection is not None

    @property
    def under_way(self) -> int:
        """The number of orders under way."""
        return self._desk.under_way if self._connection else 0

    @property
    def queued(self) -> int:
        """The number of bytes that wait to be sent."""
        return self._connection.queued if self._connection else 0

    async def run(self) -> None:
        """Run until cancelled."""
        wait = FIRST_WAIT
        while True:
            was_named = False

            def named() -> None:
                nonlocal was_named
                was_named = True

            self._is_denied = False
            try:
                await self._once(named)
            except Exception as error:
                self._say_lost(error, was_named)
            wait = FIRST_WAIT if was_named else wait
            await trio.sleep(wait)
            wait = min(wait * 2, LONGEST_DENIED if self._is_denied else LONGEST_WAIT)

    async def _once(self, named: Callable[[], None]) -> None:
        """Run one connection from its beginning to its end, which is an error."""
        async with trio.open_nursery() as calls:
            self._desk = Desk(self.tree, self._carry_out, self._refresh, self._complaints)
            connection = self._desk.connection
            await connection.open()
            try:
                calls.start_soon(self._desk.run)
                await connection.run(lambda: self._take_name(connection, named))
            finally:
                self._connection = None
                if self._connected.is_set():
                    # An event that is not set has waiters, and must be the one that the next connection sets.
                    self._connected = trio.Event()
                calls.cancel_scope.cancel()

    async def _take_name(self, connection: Connection, named: Callable[[], None]) -> None:
        connection.unique_name = await connection.ask("Hello")
        try:
            reply = await connection.ask("RequestName", "su", self.name, DO_NOT_QUEUE)
        except BusError as error:
            self._is_denied = error.name == f"{ERROR}.AccessDenied"
            raise BusError(error.name, self._denied() if self._is_denied else str(error)) from error
        if reply not in (RequestNameReply.PRIMARY_OWNER.value, RequestNameReply.ALREADY_OWNER.value):
            raise BusError(f"{ERROR}.Failed", f"{self.name} belongs to another program on this bus")
        self._connection = connection
        self._said = ""
        self._connected.set()
        log.info("on the bus as %s", self.name)
        named()

    def _denied(self) -> str:
        """Return the refusal without the bus's own text: that has the connection's number in it, so each time would be
        news."""
        return (
            f"the bus does not let uid {os.geteuid()} have the name {self.name}: put {self.name}.conf into "
            "/usr/share/dbus-1/system.d, or say enabled = false in [dbus]"
        )

    def _say_lost(self, error: Exception, was_named: bool) -> None:
        """Log the loss where it is something new. Re-raises an error that has nothing to do with the bus."""
        causes = list(_causes(error))
        foreign = [cause for cause in causes if not isinstance(cause, LOST + LOST_STREAM)]
        if foreign:
            raise error
        text = "; ".join(dict.fromkeys(_text(cause) for cause in causes))
        if was_named:
            log.warning("the bus is gone (%s); failoverd goes on without it and comes back with it", text)
        elif text != self._said:
            log.info("not on a bus (%s); failoverd works without it and keeps trying", text)
        self._said = text


def _text(error: BaseException) -> str:
    if isinstance(error, trio.TooSlowError):
        return f"it has not answered for {PATIENCE:g} s"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors in a group, or the error itself: it depends on the release of trio."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _causes(inner)
    else:
        yield error
