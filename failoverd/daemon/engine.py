"""The engine loop: one task that owns the state, calls `step`, and does what it says.

    kernel ------------------ datagrams ----> engine: step(state, event, now) --> actions
    udev  ------------------+                   ^ |                                  |
    administrators ---------+-> bounded channel-+ +<-- requests, journals, signals, timers
    looked-up configuration +

The engine reads the kernel's socket itself: between a carrier loss and its answer no other task has to be scheduled.
Who puts something into the channel wakes it. Where the engine cannot keep up, nobody reads, the kernel's queue fills,
and its overrun is answered as any other. Nothing here decides anything, and nothing but `step` changes the state.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import trio

from failoverd.config.spec import Config
from failoverd.core.choice import rejudge
from failoverd.core.state import NO_BONDING, State, is_settled
from failoverd.core.step import step
from failoverd.core.words import describe
from failoverd.daemon.errands import Errands
from failoverd.daemon.outside import Outside, recall
from failoverd.daemon.patience import Patience
from failoverd.daemon.store import JournalNotKeptError, keep
from failoverd.model.actions import (
    Action,
    Announce,
    AskLetGo,
    AskUdev,
    DropJournal,
    Emit,
    FetchInet,
    KeepDrain,
    KeepMarks,
    Peek,
    Remember,
    SaveJournal,
    Say,
    Send,
    WakeAt,
)
from failoverd.model.events import Ending, Event, LinkSeen, NotSaved, TimePassed
from failoverd.model.requests import Request
from failoverd.netlink.conversation import Conversation
from failoverd.netlink.transport import is_overrun

log = logging.getLogger("failoverd")

BACKLOG = 1000
SHORTEST_WAIT = 0.001
"""Seconds. A timer that is due already waits as long, so that timers can never keep the queue from being read."""
STARTING = 10.0
"""Seconds in which the pairs that are found at the start are to be joined, before failoverd says that it is ready
all the same: a boot waits for that."""
LOOKING = 0.1
"""Seconds between two looks at whether udev is idle, which it does not tell."""
RETIRING = 1.0
"""Seconds in which traffic can be moved to where it needs nobody, when failoverd ends."""

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
Command = Callable[[State, float], Iterable[Event]]


class Engine:
    """See the module. `state` may be read at any time, and is changed by `step` alone."""

    def __init__(self, config: Config, outside: Outside) -> None:
        self.state = State(config)
        self._outside = outside
        self._talk = Conversation(outside.complete)
        self._send_event, self._events = trio.open_memory_channel[Event | Command](BACKLOG)
        self._nap = trio.CancelScope()
        self._wake = math.inf
        self._errands: Errands
        self._patience = Patience(outside)
        self.stepped = trio.Event()
        """Set when the turn that is under way, or else the next one, is over; another one takes its place then."""

    async def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Run until cancelled. Calls `on_ready` once the pairs that are there at the start are joined, or cannot be.

        So whoever configures the network after us finds the masters. It takes no longer than STARTING.
        """
        recall(self.state, self._outside.store)
        self.look_around()
        async with trio.open_nursery() as nursery:
            self._errands = Errands(nursery, self._outside.open_inet, self._outside.announce)
            self._talk.resync(trio.current_time())
            await self._flush()
            while not self.state.synced:
                await self._turn()
            latest = trio.current_time() + STARTING
            while trio.current_time() < latest and not self._is_settled():
                await self._turn(trio.current_time() + LOOKING)
            on_ready()
            while True:
                await self._turn()

    def _is_settled(self) -> bool:
        """A device udev has given up is not waited for any longer than the plan does."""
        since, patience = self.state.asked, self.state.config.join.udev_wait
        is_waiting = any(trio.current_time() < since.get(i, -math.inf) + patience for i in self._patience.new)
        return self._outside.is_udev_idle() and not is_waiting and is_settled(self.state)

    async def tell(self, what: Event | Command) -> None:
        """Put an event, or something that makes events out of the state, into the engine's queue."""
        await self._send_event.send(what)
        self._nap.cancel()

    def look_around(self) -> None:
        """See what on this machine speaks against a bond: at the start, at a reload, and for each NIC that is new."""
        why = self._outside.no_bond()
        if self.state.no_bond in (why, NO_BONDING):
            return
        if why:
            log.info("where the configuration leaves it open, pairs are joined by tc: %s", why)
        self.state.no_bond = why
        rejudge(self.state)

    async def resync(self) -> None:
        """Look at every device again."""
        await self.tell(self._ask_again)

    async def retire(self) -> None:
        """Make everything safe without failoverd. Takes RETIRING seconds at most, and no time where all is safe."""
        with trio.move_on_after(RETIRING):
            if self._is_unsafe():
                await self.tell(Ending())
            while self._is_unsafe() or any(pair.announcing for pair in self.state.pairs.values()):
                await self.stepped.wait()

    def _is_unsafe(self) -> bool:
        """Whether a VF is all that carries, or its loss would be noticed by nobody but failoverd."""
        return self.state.at_risk() or bool(self.state.held_on)

    def udev_spoke(self) -> None:
        """udev has finished with some device: see whether it was one that is waited for.

        Where the queue is full, it is seen again at udev's next word, or its deadline passes."""
        with contextlib.suppress(trio.WouldBlock):
            for event in self._patience.look(self.state, trio.current_time()):
                self._send_event.send_nowait(event)
                self._nap.cancel()

    def _ask_again(self, _state: State, now: float) -> Sequence[Event]:
        self._talk.resync(now)
        return ()

    async def _next(self, deadline: float) -> Event | Command:
        """What was told, or else the kernel's next datagram, or else that the deadline has passed."""
        try:
            return self._events.receive_nowait()
        except trio.WouldBlock:
            pass
        with trio.CancelScope(deadline=max(deadline, trio.current_time() + SHORTEST_WAIT)) as self._nap:
            try:
                return partial(self._feed, await self._outside.link_socket.recv())
            except OSError as error:
                if not is_overrun(error):
                    raise
                return self._overrun
        return TimePassed()

    def _feed(self, datagram: bytes, _state: State, now: float) -> Iterable[Event]:
        return self._talk.feed(datagram, now)

    def _overrun(self, _state: State, now: float) -> Sequence[Event]:
        log.warning("the kernel's queue overflowed and events were lost; looking at all devices again")
        return self._talk.overrun(now)

    async def _turn(self, latest: float = math.inf) -> None:
        """Wait for the next event or the next deadline, and take it in."""
        timeout = self.state.config.netlink.request_timeout
        due = self._talk.deadline(timeout)
        deadline = min(self._wake, latest, math.inf if due is None else due)
        item = await self._next(deadline)
        now = trio.current_time()
        events = item(self.state, now) if callable(item) else (item,)
        for event in events:
            await self._step(event)
        for event in self._late(now, timeout):
            await self._step(event)
        if self._patience.is_worth_a_look:
            self.udev_spoke()
        await self._flush()
        self._outside.on_step(self.state)
        self._tell_waiters()

    def _tell_waiters(self) -> None:
        self.stepped.set()
        self.stepped = trio.Event()

    def _late(self, now: float, timeout: float) -> Sequence[Event]:
        due = self._talk.deadline(timeout)
        if due is None or now < due:
            return []
        log.warning("the kernel has not answered for %g s; looking at all devices again", timeout)
        return self._talk.overdue(now, timeout)

    async def _step(self, event: Event) -> None:
        """One step and its actions. Where a journal cannot be kept, what would follow it for its pair is not done."""
        self._wake = math.inf
        if isinstance(event, LinkSeen) and event.link.bus and event.link.ifindex not in self.state.links:
            self.look_around()
        unkept: set[str] = set()
        for action in step(self.state, event, trio.current_time()):
            if _is_about(action, unkept):
                continue
            try:
                await self._do(action)
            except JournalNotKeptError as error:
                log.error("%s", error)
                unkept.add(error.mac)
        for mac in sorted(unkept):
            await self._step(NotSaved(mac))

    async def _do(self, action: Action) -> None:
        match action:
            case Send(mac, requests, why):
                await self._send(mac, requests, why)
            case WakeAt(at):
                self._wake = at
            case Say(level, text):
                log.log(LEVELS[level], "%s", text)
            case Emit(signal):
                self._outside.on_signal(signal)
            case FetchInet(mac, ifindexes):
                self._errands.fetch(mac, ifindexes, self.tell)
            case Peek(ifindex):
                self._talk.peek(ifindex)
            case Announce():
                self._errands.announce(action, self.tell)
            case AskUdev() | AskLetGo():
                self._patience.ask(action)
                self.udev_spoke()
            case SaveJournal() | DropJournal() | Remember() | KeepDrain() | KeepMarks():
                keep(self._outside.store, action)

    async def _send(self, mac: str, requests: tuple[Request, ...], why: str) -> None:
        """First to the kernel, then to the log: a line to the journal takes longer than the kernel's part."""
        lines = [describe(request, self.state.name) for request in requests] if log.isEnabledFor(logging.DEBUG) else []
        self._talk.request(mac, requests, trio.current_time())
        await self._flush()
        log.info("%s: %s", mac, why)
        for line in lines:
            log.debug("%s:   %s", mac, line)

    async def _flush(self) -> None:
        """What cannot be sent is not answered either, and is tried again for that."""
        while self._talk.out:
            try:
                await self._outside.link_socket.send(self._talk.out.pop(0))
            except OSError as error:
                log.warning("the kernel does not take a request: %s; looking at all devices again soon", error)


def _is_about(action: Action, macs: set[str]) -> bool:
    """Whether this would change something for one of these pairs, on disk or in the kernel."""
    if isinstance(action, SaveJournal):
        return action.journal.mac in macs
    return isinstance(action, Send | FetchInet | DropJournal) and action.mac in macs
