"""Answer the calls of one connection.

    the bus --> waiting.py --> orders: a task of its own for each
                           --> questions: one at a time, and a rest after it

Any user may ask questions (read-only calls), and must not be able to take the CPU from failoverd's proper work, nor to
delay an administrator's order. So questions are computed for a part of the time only; an answer that is not awaited is
not computed; and an order is never behind a question.

A question gets a quarter of a CPU at most (REST), and is answered beside the engine and without a turn of its loop. One
that has to wait for the kernel keeps other questions waiting, and no order. A call that will not be answered costs only
a look at its header (envelope.py). The control socket has the same shares.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio
from dbus_next import Message

from failoverd.bus.call_limits import CallLimits
from failoverd.bus.callers import Callers
from failoverd.bus.connection import Connection, system_bus
from failoverd.bus.dispatch import ERROR, Asked, answer
from failoverd.bus.envelope import Envelope, method_return, refusal
from failoverd.bus.interfaces import BusError, signature
from failoverd.bus.rate_limit import RateLimit
from failoverd.bus.tree import Tree
from failoverd.bus.waiting import ALL, EACH, Level, Waiting
from failoverd.bus.wire import TooLongError, UnreadableError, read

REST, LONGEST_REST = 3.0, 0.1
"""The pause after a question, as a multiple of the time it took, and the longest pause in seconds: that leaves
questions a quarter of a CPU at most."""
REFUSALS, QUESTIONS = 0.1, 0.2
"""The share of the queue to the bus up to which a refusal is sent, and the answer to a question begun. Refusals must
not keep answers from being begun, nor answers to questions those to orders, which stand behind them."""
LIMITS = f"{ERROR}.LimitsExceeded"
MANY = f"{EACH} calls of this user, or {ALL} of all, wait to be answered; try again"

CarryOut = Callable[[Asked, int | None], Awaitable[list[Any] | bytes]]
"""Carries out a call, and returns the values of the answer, or its body as body.py makes it. The caller's uid is looked
up for calls that change something, and is None where the client has disconnected. Raises BusError."""


class Desk:
    """The calls of one connection and their answers (see the module). `refresh` is called before the objects are
    read."""

    def __init__(self, tree: Tree, carry_out: CarryOut, refresh: Callable[[], None], complaints: RateLimit) -> None:
        self.connection = Connection(system_bus(), self.called)
        self.callers = Callers(self.connection)
        self._tree = tree
        self._carry_out = carry_out
        self._refresh = refresh
        self._complaints = complaints
        self._call_limits = CallLimits()
        self._waiting: Waiting[Envelope] = Waiting()
        self._asked = trio.Event()
        self._ordered = trio.Event()
        self._tasks: trio.Nursery
        interfaces = tree.interfaces.values()
        changing = [(found.name, one.name) for found in interfaces for one in found.methods if one.changes]
        self._orders = {(name.encode(), member.encode()) for interface, member in changing for name in (interface, "")}

    @property
    def under_way(self) -> int:
        """The number of orders under way."""
        return self._call_limits.count

    def called(self, call: Envelope) -> None:
        """Queue a call, or refuse it at once where there are too many. This has to cost next to nothing."""
        is_order = (call.interface, call.member) in self._orders
        if not call.can_be_answered or not (is_order or call.wants_reply):
            return
        level, who = self.callers.place(call, is_order)
        turned_away = self._waiting.put(level, who, call)
        if turned_away is not None and turned_away.wants_reply and self.connection.has_room(REFUSALS):
            serial = self.connection.next_serial()
            self.connection.send_raw(refusal(turned_away, serial, LIMITS.encode(), MANY.encode()))
        if turned_away is call:
            return
        (self._ordered if is_order else self._asked).set()

    async def run(self) -> None:
        """Answer until cancelled."""
        async with trio.open_nursery() as self._tasks:
            self._tasks.start_soon(self._take_orders)
            await self._take_questions()

    async def _take_orders(self) -> None:
        while True:
            await self.connection.room()
            call = self._waiting.take((Level.ORDER,))
            if call is not None:
                await self._answer(call)
            else:
                self._ordered = trio.Event()
                await self._ordered.wait()

    async def _take_questions(self) -> None:
        while True:
            await self.connection.room(QUESTIONS)
            call = self._waiting.take((Level.ROOT, Level.QUESTION))
            if call is not None:
                began = trio.current_time()
                await self._answer(call)
                await trio.sleep(min((trio.current_time() - began) * REST, LONGEST_REST))
            else:
                self._asked = trio.Event()
                await self._asked.wait()

    async def _answer(self, call: Envelope) -> None:
        try:
            message = read(call)
        except UnreadableError as error:
            self._complaints.warn("D-Bus: %s", error)
        except TooLongError as error:
            self._refuse(error.message, BusError(LIMITS, str(error)))
        else:
            self._tell_user(call)
            await self._answer_message(message)

    def _tell_user(self, call: Envelope) -> None:
        if not self.callers.knows(call.sender):
            self._tasks.start_soon(self.callers.uid, call.sender)

    async def _answer_message(self, call: Message) -> None:
        """Answer a call at once where possible, or start to carry it out."""
        try:
            self._refresh()
            found = answer(self._tree, call)
            if not isinstance(found, Asked):
                self._reply(call, *found)
            elif found.method.changes:
                self._call_limits.begin(found)
                self._tasks.start_soon(self._order, call, found)
            else:
                await self._carry(call, found, None)
        except BusError as error:
            self._refuse(call, error)
        except Exception as error:
            self._broken(call, error)

    async def _order(self, call: Message, asked: Asked) -> None:
        try:
            await self._carry(call, asked, await self.callers.uid(asked.sender.encode()))
        except BusError as error:
            self._refuse(call, error)
        except Exception as error:
            self._broken(call, error)
        finally:
            self._call_limits.end(asked)

    async def _carry(self, call: Message, asked: Asked, uid: int | None) -> None:
        self._reply(call, signature(asked.method.gives), await self._carry_out(asked, uid))

    def _broken(self, call: Message, error: Exception) -> None:
        """Log and answer an unexpected error: no caller may be able to end a daemon that others depend on."""
        self._complaints.warn("D-Bus: %s at %s failed: %r; please report this", call.member, call.path, error)
        text = f"failoverd failed over {call.member} at {call.path}; its log says more"
        self._refuse(call, BusError(f"{ERROR}.Failed", text))

    def _refuse(self, call: Message, error: BusError) -> None:
        if not call.flags & 1:
            text = str(error).replace("\0", "\\0")
            send(self.connection, Message.new_error(call, error.name, text), self._complaints)

    def _reply(self, call: Message, gives: str, body: list[Any] | bytes) -> None:
        if call.flags & 1:
            return
        if isinstance(body, bytes):
            serial = self.connection.next_serial()
            self.connection.send_raw(method_return(call.sender.encode(), call.serial, serial, gives.encode(), body))
        else:
            self.connection.send(Message.new_method_return(call, gives, body))


def send(connection: Connection, message: Message, complaints: RateLimit) -> None:
    """Send a message, or log why it is not sent."""
    try:
        connection.send(message)
    except ValueError as error:
        complaints.warn("D-Bus: %s of %s is not sent: %s", message.member, message.path, error)
