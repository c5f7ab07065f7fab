"""The engine loop: one task that owns the state, calls `step`, and carries out the actions.

    kernel ------------------ datagrams ----> engine: step(state, event, now) --> actions
    udev  ------------------+                   ^ |                                  |
    administrators ---------+-> bounded channel-+ +<-- requests, journals, signals, timers
    looked-up configuration +

The engine reads the kernel's socket itself: between a carrier loss and the response no other task has to be scheduled.
An item put into the channel wakes it. All datagrams that the kernel has queued are looked at before the oldest is
handled (netlink/lookahead.py), so a lost carrier does not wait behind links that another program creates. If the engine
still cannot keep up, the kernel's queue overruns, and that is handled like any other overrun. The engine decides
nothing, and only `step` changes the state. The engine reads no disk: files kept from earlier runs and the network's
configuration are read in threads. It does write journals, drains and marks, below /run.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import trio

from failoverd.config.spec import Config
from failoverd.core.configurers import READING
from failoverd.core.inputs import Input, NamesConfigured
from failoverd.core.state import State, is_settled
from failoverd.core.step import step
from failoverd.daemon.background import Background
from failoverd.daemon.keeping import JournalNotKeptError, MarksNotKeptError, keep
from failoverd.daemon.ports import Ports, recall
from failoverd.daemon.udev_wait import UdevWait
from failoverd.model.actions import (
    Action,
    Announce,
    AskConfigurer,
    AskLetGo,
    AskMode,
    AskUdev,
    DropJournal,
    Emit,
    FetchInet,
    KeepDamping,
    KeepDrain,
    KeepLost,
    KeepMarks,
    Peek,
    ProbePaths,
    Remember,
    RememberName,
    SaveJournal,
    Say,
    Send,
    WakeAt,
    Withheld,
)
from failoverd.model.events import Answered, Ending, Event, NotMarked, NotSaved, TimePassed
from failoverd.model.owners import Owner
from failoverd.model.requests import SetSysctl
from failoverd.netlink.conversation import Conversation
from failoverd.netlink.transport import is_overrun

log = logging.getLogger("failoverd")

BACKLOG = 1000
SHORTEST_WAIT = 0.001
"""Seconds. A timer that is due already waits this long too, so that timers can never keep the queue from being read."""
SLICE = 0.002
"""Seconds for which queued events are handled at a stretch, before other tasks get their turn."""
STARTING = 10.0
"""Seconds in which the pairs found at the start are to be joined. READY follows in any case, as a boot waits for it."""
SLOWNESS = 3.0
"""The start may take this many times as long as the process took to begin, if that is more. On a machine so slow or so
busy, everything else takes longer as well, and network configuration that starts before the join finds the NIC without
its master."""
STARTING_AT_MOST = 60.0
"""The upper bound of it in seconds, however slow the machine."""
LOOKING = 0.1
"""Seconds between two looks at whether udev is idle; udev sends no message about that."""
RETIRING = 1.0
"""Seconds that an ending failoverd has to move traffic to a path that works without it."""

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
Command = Callable[[State, float], Iterable[Event | Input]]


class Engine:
    """The engine; see the module. `state` may be read at any time; only `step` changes it."""

    def __init__(self, config: Config, ports: Ports) -> None:
        self.state = State(config, renames_live=ports.renames_live)
        self._ports = ports
        self._talk = Conversation(ports.complete)
        self._send_event, self._events = trio.open_memory_channel[Event | Input | Command](BACKLOG)
        self._nap = trio.CancelScope()
        self._wake = math.inf
        self._is_times_turn = True
        self._background: Background
        self._udev_wait = UdevWait(ports)
        self.stepped = trio.Event()
        """Set when the present turn, or else the next one, is over; then a new trio.Event replaces it."""

    async def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Run until cancelled. Calls `on_ready` once the pairs present at the start are joined, or cannot be.

        So services ordered after failoverd that configure the network find the masters. It takes no longer than
        STARTING, or on a slow machine SLOWNESS times what the process took to begin, at most STARTING_AT_MOST.
        """
        async with trio.open_nursery() as nursery:
            ports = self._ports
            self._background = Background(
                nursery,
                ports.open_inet,
                ports.announce,
                ports.no_bond,
                ports.hanging,
                ports.open_probe,
                ports.read_mode,
            )
            heard_of_names = trio.Event()
            nursery.start_soon(self._ask_for_names, heard_of_names)
            # This comes first. A start that does not know of a move, or of a release, would undo it.
            await self._step(await ports.read(partial(recall, ports.store)))
            with trio.move_on_after(READING):
                await heard_of_names.wait()
            self._talk.resync(trio.current_time())
            await self._flush()
            while not self.state.synced:
                await self._turn()
            patience = min(max(STARTING, SLOWNESS * ports.took_to_begin), STARTING_AT_MOST)
            latest = trio.current_time() + patience
            while trio.current_time() < latest and not self._is_settled():
                await self._turn(trio.current_time() + LOOKING)
                self.udev_spoke()
            on_ready()
            while True:
                await self._turn()

    async def _ask_for_names(self, done: trio.Event) -> None:
        """Have the network's configuration searched for names. It may be on a disk that does not answer."""
        words = await self._ports.configured()
        await self.tell(NamesConfigured(words))
        done.set()

    def _is_settled(self) -> bool:
        """Return whether the start has nothing left to wait for. A device that udev has given up is waited for no
        longer than the plan waits."""
        since, patience = self.state.asked, self.state.config.join.udev_wait
        is_waiting = any(trio.current_time() < since.get(i, -math.inf) + patience for i in self._udev_wait.new)
        return self._ports.is_udev_idle() and not is_waiting and is_settled(self.state)

    async def tell(self, what: Event | Input | Command) -> None:
        """Put an event, or a command that makes events out of the state, into the engine's queue."""
        await self._send_event.send(what)
        self._nap.cancel()

    async def resync(self) -> None:
        """Look at every device again."""
        await self.tell(self._ask_again)

    async def retire(self) -> None:
        """Bring traffic to paths that work without failoverd, in RETIRING seconds at most, or none if all are safe."""
        with trio.move_on_after(RETIRING):
            if self._is_unsafe():
                await self.tell(Ending())
            while self._is_unsafe() or any(pair.heard.announcing for pair in self.state.pairs.values()):
                await self.stepped.wait()

    def _is_unsafe(self) -> bool:
        """Return whether a VF alone carries, or a VF's loss would go unnoticed without failoverd."""
        return self.state.at_risk() or bool(self.state.held_on)

    def udev_spoke(self) -> None:
        """udev has finished with some device: check whether it is one that the engine waits for.

        If the queue is full, the check happens at udev's next message, or the device's deadline passes.
        """
        with contextlib.suppress(trio.WouldBlock):
            for event in self._udev_wait.look(self.state, trio.current_time()):
                self._send_event.send_nowait(event)
                self._nap.cancel()

    def _ask_again(self, _state: State, now: float) -> Sequence[Event]:
        self._talk.resync(now)
        return ()

    async def _next(self, deadline: float) -> Event | Input | Command:
        """Return the next event from the channel, else from the kernel, else the passing of the deadline.

        While the kernel has much queued, timers get every other turn.
        """
        try:
            return self._events.receive_nowait()
        except trio.WouldBlock:
            pass
        if self._talk.is_behind:
            await trio.lowlevel.checkpoint()
            self._is_times_turn = not self._is_times_turn and trio.current_time() >= deadline
            return TimePassed() if self._is_times_turn else self._work
        with trio.CancelScope(deadline=max(deadline, trio.current_time() + SHORTEST_WAIT)) as self._nap:
            try:
                self._talk.queue(await self._ports.link_socket.recv())
            except OSError as error:
                if not is_overrun(error):
                    raise
                return self._overrun
            return self._work
        return TimePassed()

    def _work(self, _state: State, now: float) -> Iterator[Event]:
        """Take in all that the kernel has queued, yield its most important events first, and handle a part."""
        while self._talk.is_behind:
            yield from self._take_all(now)
            yield from self._talk.foresee()
            yield from self._talk.work(now)
            if trio.current_time() >= now + SLICE:
                return

    def _take_all(self, now: float) -> Iterator[Event]:
        while self._talk.has_room:
            try:
                datagram = self._ports.link_socket.recv_nowait()
            except OSError as error:
                if not is_overrun(error):
                    raise
                yield from self._overrun(self.state, now)
            else:
                if datagram is None:
                    return
                self._talk.queue(datagram)

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
        for event in self._late(now, timeout) if not self._talk.is_behind else ():
            await self._step(event)
        if self._udev_wait.is_worth_a_look:
            self.udev_spoke()
        await self._flush()
        self._ports.on_step(self.state)
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

    async def _step(self, event: Event | Input) -> None:
        """Make one step and carry out its actions. After a journal that cannot be written, its owner's actions
        are skipped."""
        self._wake = math.inf
        unkept: set[Owner] = set()
        written: list[Answered] = []
        unmarked: dict[str, str] = {}
        for action in step(self.state, event, trio.current_time()):
            if isinstance(action, Withheld) and action.owner in unkept:
                continue
            if isinstance(action, Send) and isinstance(action.requests[0], SetSysctl):
                written.append(self._write(action))
                continue
            try:
                await self._do(action)
            except JournalNotKeptError as error:
                log.error("%s", error)
                unkept.add(error.owner)
            except MarksNotKeptError as error:
                unmarked[error.mac] = str(error)
        for owner in sorted(unkept, key=str):
            await self._step(NotSaved(owner))
        for answered in written:
            await self._step(answered)
        for mac, why in unmarked.items():
            await self._step(NotMarked(mac, why))

    async def _do(self, action: Action) -> None:
        match action:
            case Send():
                await self._send(action)
            case WakeAt(at):
                self._wake = at
            case Say(level, text):
                log.log(LEVELS[level], "%s", text)
            case Emit(signal):
                self._ports.on_signal(signal)
            case Peek(ifindex):
                self._talk.peek(ifindex)
            case FetchInet() | AskConfigurer() | AskMode() | Announce() | ProbePaths():
                self._background.do(action, self.tell)
            case AskUdev() | AskLetGo():
                self._udev_wait.ask(action)
                self.udev_spoke()
            case (
                SaveJournal()
                | DropJournal()
                | KeepLost()
                | Remember()
                | RememberName()
                | KeepDrain()
                | KeepDamping()
                | KeepMarks()
            ):
                keep(self._ports.store, action)

    def _write(self, action: Send) -> Answered:
        """Write settings that are files. This happens at once, as the kernel applies each during the write. A plan puts
        no other requests into a batch with them."""
        log.info("%s: %s", action.ticket.owner, action.why)
        sysctls = [request for request in action.requests if isinstance(request, SetSysctl)]
        answers = tuple(self._ports.write_sysctl(one, self.state.name(one.ifindex)) for one in sysctls)
        for request in sysctls:
            log.debug("%s:   %s", action.ticket.owner, request.describe(self.state.name))
        return Answered(action.ticket, action.requests, answers)

    async def _send(self, action: Send) -> None:
        """Send to the kernel first, then log: a line to the journal takes longer than the kernel's part."""
        requests = action.requests if log.isEnabledFor(logging.DEBUG) else ()
        lines = [request.describe(self.state.name) for request in requests]
        self._talk.request(action.ticket, action.requests, trio.current_time())
        await self._flush()
        log.info("%s: %s", action.ticket.owner, action.why)
        for line in lines:
            log.debug("%s:   %s", action.ticket.owner, line)

    async def _flush(self) -> None:
        """Flush the requests. What cannot be sent is not answered either, and is retried for that reason."""
        while self._talk.out:
            try:
                await self._ports.link_socket.send(self._talk.out.pop(0))
            except OSError as error:
                log.warning("the kernel does not take a request: %s; looking at all devices again soon", error)
