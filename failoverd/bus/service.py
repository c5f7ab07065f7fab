"""A service on the bus for as long as there is one: connected, named, answering; and back again when the bus is.

    no bus, or no name -> 0.5 s, 1 s ... 10 s -> connect, Hello, RequestName -> answer, emit -> connection lost -> again

Nothing outside waits for any of it. A bus may be missing at boot, be restarted, stop reading, or refuse the name; the
objects are there all the same and are shown as they are when the bus is back. The log has one line for each of these.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import trio
from dbus_next import AuthError, InvalidAddressError, Message, MessageFlag, RequestNameReply

from failoverd.bus.connection import PATIENCE, Connection, system_bus
from failoverd.bus.dispatch import ERROR, Asked, answer
from failoverd.bus.faces import BusError, signature
from failoverd.bus.seldom import Seldom
from failoverd.bus.tree import Tree
from failoverd.bus.turns import Turns
from failoverd.bus.wire import WireError

log = logging.getLogger("failoverd")

FIRST_WAIT, LONGEST_WAIT = 0.5, 10.0
"""Seconds until a bus is tried again, doubled each time."""
LONGEST_DENIED = 60.0
"""The longest wait where the bus is there and gives nobody the name: that lasts until somebody installs the policy."""
SHARE = 0.25
"""So much of a connection's queue may be taken when a signal is begun; the rest is for answers."""
DO_NOT_QUEUE = 4
LOST = (OSError, WireError, BusError, AuthError, InvalidAddressError, ValueError, trio.TooSlowError)
LOST_STREAM = (trio.BrokenResourceError, trio.ClosedResourceError)

CarryOut = Callable[[Asked, int | None], Awaitable[list[Any]]]
"""Carry out a call, and give the values to answer with. The caller's uid is looked up for calls that change something,
and is None where he has gone. Raises BusError."""


class Service:
    """The objects of `tree` under the name `name`. `refresh` is called before anything is read of them."""

    def __init__(self, name: str, tree: Tree, carry_out: CarryOut, refresh: Callable[[], None]) -> None:
        self.name = name
        self.tree = tree
        self._carry_out = carry_out
        self._refresh = refresh
        self._connection: Connection | None = None
        self._connected = trio.Event()
        self._turns = Turns()
        self._said = ""
        self._is_denied = False
        self._complaints = Seldom()

    def emit(self, message: Message) -> None:
        """Send a signal, if there is a bus. Wait for `room` before."""
        if self._connection is not None:
            self._send(self._connection, message)

    async def room(self) -> None:
        """Wait until there is a bus, and its queue is mostly empty."""
        while self._connection is None or not self._connection.has_room(SHARE):
            if self._connection is None:
                await self._connected.wait()
            else:
                await self._connection.room(SHARE)

    @property
    def connection(self) -> object:
        """What tells one connection to a bus from the next; None for none."""
        return self._connection

    @property
    def is_connected(self) -> bool:
        """Whether anybody could hear a signal now."""
        return self._connection is not None

    @property
    def queued(self) -> int:
        """Bytes that wait to be sent."""
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
        """One connection, from its beginning to its end, which is an error."""
        async with trio.open_nursery() as calls:
            connection = Connection(system_bus(), lambda call: self._called(connection, call, calls))
            await connection.open()
            try:
                await connection.run(lambda: self._take_name(connection, named))
            finally:
                self._connection = None
                if self._connected.is_set():
                    # One that is not set is waited for, and must be the one that the next connection sets.
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
            raise BusError(f"{ERROR}.Failed", f"{self.name} belongs to somebody else on this bus")
        self._connection = connection
        self._said = ""
        self._connected.set()
        log.info("on the bus as %s", self.name)
        named()

    def _denied(self) -> str:
        """Not in the bus's own words: they have the connection's number in them, so each time would be news."""
        return (
            f"the bus does not let uid {os.geteuid()} have the name {self.name}: put {self.name}.conf into "
            "/usr/share/dbus-1/system.d, or say enabled = false in [dbus]"
        )

    def _say_lost(self, error: Exception, was_named: bool) -> None:
        """One line where it is something new. Raises what has nothing to do with the bus."""
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

    def _called(self, connection: Connection, call: Message, calls: trio.Nursery) -> None:
        """Answer at once what can be, or start what has to be carried out."""
        try:
            self._refresh()
            found = answer(self.tree, call)
            if not isinstance(found, Asked):
                self._reply(connection, call, *found)
                return
            self._turns.begin(found)
            calls.start_soon(self._carry, connection, call, found)
        except BusError as error:
            self._refuse(connection, call, error)
        except Exception as error:
            self._broken(connection, call, error)

    async def _carry(self, connection: Connection, call: Message, asked: Asked) -> None:
        try:
            uid = await _uid(connection, asked) if asked.method.changes else None
            body = await self._carry_out(asked, uid)
            self._reply(connection, call, signature(asked.method.gives), body)
        except BusError as error:
            self._refuse(connection, call, error)
        except Exception as error:
            self._broken(connection, call, error)
        finally:
            self._turns.end(asked)

    def _broken(self, connection: Connection, call: Message, error: Exception) -> None:
        """Whoever calls must not be able to end a daemon that others depend on."""
        self._complaints.warn("D-Bus: %s at %s failed: %r; please report this", call.member, call.path, error)
        text = f"failoverd failed over {call.member} at {call.path}; its log says more"
        self._refuse(connection, call, BusError(f"{ERROR}.Failed", text))

    def _refuse(self, connection: Connection, call: Message, error: BusError) -> None:
        if not call.flags & MessageFlag.NO_REPLY_EXPECTED:
            self._send(connection, Message.new_error(call, error.name, str(error).replace("\0", "\\0")))

    def _reply(self, connection: Connection, call: Message, gives: str, body: list[Any]) -> None:
        if not call.flags & MessageFlag.NO_REPLY_EXPECTED:
            connection.send(Message.new_method_return(call, gives, body))

    def _send(self, connection: Connection, message: Message) -> None:
        try:
            connection.send(message)
        except ValueError as error:
            self._complaints.warn("D-Bus: %s of %s is not sent: %s", message.member, message.path, error)


async def _uid(connection: Connection, asked: Asked) -> int | None:
    """Who calls; None where he has gone already, as one does who wants no reply. The bus has let him call."""
    try:
        return int(await connection.ask("GetConnectionUnixUser", "s", asked.sender))
    except BusError:
        return None


def _text(error: BaseException) -> str:
    if isinstance(error, trio.TooSlowError):
        return f"it has not answered for {PATIENCE:g} s"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """What is in a group of errors, or the error itself: that depends on the release of trio."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _causes(inner)
    else:
        yield error
