"""The engine loop: one task that owns the state, calls `step`, and carries out the actions.

    kernel ------------------ datagrams ----> engine: step(state, event, now) --> actions
    udev  ------------------+                   ^ |                                  |
    administrators ---------+-> bounded channel-+ +<-- requests, journals, signals, timers
    looked-up configuration +

The engine reads the kernel's socket itself: between a carrier loss and the response no other task has to be scheduled.
An item put into the channel wakes it. What the kernel has queued is taken in by kernel_queue.py, and the actions are
carried out by perform.py. The engine decides nothing, and only `step` changes the state. The engine reads no disk:
files kept from earlier runs and the network's configuration are read in threads. It does write journals, drains and
marks, below /run.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable
from functools import partial

import trio

from failoverd.config.spec import Config
from failoverd.core.configurers import READING
from failoverd.core.inputs import Input, NamesConfigured
from failoverd.core.state import State, is_settled
from failoverd.core.step import step
from failoverd.daemon.background import Background
from failoverd.daemon.kernel_queue import KernelQueue
from failoverd.daemon.nic_waits import NicWaits
from failoverd.daemon.perform import Performer
from failoverd.daemon.ports import Ports, recall
from failoverd.model.actions import Action
from failoverd.model.events import Ending, Event, TimePassed

BACKLOG = 1000
SHORTEST_WAIT = 0.001
"""Seconds. A timer that is due already waits this long too, so that timers can never keep the queue from being read."""
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

Command = Callable[[State, float], Iterable[Event | Input]]


class Engine:
    """The engine; see the module. `state` may be read at any time; only `step` changes it."""

    def __init__(self, config: Config, ports: Ports) -> None:
        self.state = State(config, renames_live=ports.renames_live)
        self._ports = ports
        self._kernel = KernelQueue(ports.link_socket, ports.complete)
        self._send_event, self._events = trio.open_memory_channel[Event | Input | Command](BACKLOG)
        self._nap = trio.CancelScope()
        self._is_times_turn = True
        self._performer: Performer
        self._nic_waits = NicWaits(ports)
        self.stepped = trio.Event()
        """Set when the present turn, or else the next one, is over; then a new trio.Event replaces it."""

    async def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Run until cancelled. Calls `on_ready` once the pairs present at the start are joined, or cannot be.

        So services ordered after failoverd that configure the network find the masters. It takes no longer than
        STARTING, or on a slow machine SLOWNESS times what the process took to begin, at most STARTING_AT_MOST.
        """
        async with trio.open_nursery() as nursery:
            ports = self._ports
            background = Background(
                nursery,
                ports.open_inet,
                ports.announce,
                ports.no_bond,
                ports.hanging,
                ports.open_probe,
                ports.read_mode,
            )
            self._performer = Performer(
                self.state, ports, self._kernel, background, self._nic_waits, self.udev_spoke, self.tell
            )
            heard_of_names = trio.Event()
            nursery.start_soon(self._ask_for_names, heard_of_names)
            # This comes first. A start that does not know of a move, or of a release, would undo it.
            await self._step(await ports.read(partial(recall, ports.store)))
            with trio.move_on_after(READING):
                await heard_of_names.wait()
            self._kernel.resync(self.state, trio.current_time())
            await self._kernel.flush()
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
        since, patience = self.state.arrivals.asked, self.state.config.join.udev_wait
        is_waiting = any(trio.current_time() < since.get(i, -math.inf) + patience for i in self._nic_waits.new)
        return self._ports.is_udev_idle() and not is_waiting and is_settled(self.state)

    async def tell(self, what: Event | Input | Command) -> None:
        """Put an event, or a command that makes events out of the state, into the engine's queue."""
        await self._send_event.send(what)
        self._nap.cancel()

    async def resync(self) -> None:
        """Look at every device again."""
        await self.tell(self._kernel.resync)

    async def retire(self) -> None:
        """Bring traffic to paths that work without failoverd, in RETIRING seconds at most, or none if all are safe."""
        with trio.move_on_after(RETIRING):
            if self._is_unsafe():
                await self.tell(Ending())
            while self._is_unsafe() or any(pair.heard.announcing for pair in self.state.pairs.values()):
                await self.stepped.wait()

    def _is_unsafe(self) -> bool:
        """Return whether a VF alone carries, or a VF's loss would go unnoticed without failoverd."""
        return self.state.at_risk() or bool(self.state.arrivals.held_on)

    def udev_spoke(self) -> None:
        """udev has finished with some device: check whether it is one that the engine waits for.

        If the queue is full, the check happens at udev's next message, or the device's deadline passes.
        """
        with contextlib.suppress(trio.WouldBlock):
            for event in self._nic_waits.look(self.state, trio.current_time()):
                self._send_event.send_nowait(event)
                self._nap.cancel()

    async def _next(self, deadline: float) -> Event | Input | Command:
        """Return the next event from the channel, else from the kernel, else the passing of the deadline.

        While the kernel has much queued, timers get every other turn.
        """
        try:
            return self._events.receive_nowait()
        except trio.WouldBlock:
            pass
        if self._kernel.is_behind:
            await trio.lowlevel.checkpoint()
            self._is_times_turn = not self._is_times_turn and trio.current_time() >= deadline
            return TimePassed() if self._is_times_turn else self._kernel.work
        with trio.CancelScope(deadline=max(deadline, trio.current_time() + SHORTEST_WAIT)) as self._nap:
            return self._kernel.work if await self._kernel.receive() else self._kernel.overrun
        return TimePassed()

    async def _turn(self, latest: float = math.inf) -> None:
        """Wait for the next event or the next deadline, and take it in."""
        timeout = self.state.config.netlink.request_timeout
        due = self._kernel.deadline(timeout)
        deadline = min(self._performer.wake, latest, math.inf if due is None else due)
        item = await self._next(deadline)
        now = trio.current_time()
        events = item(self.state, now) if callable(item) else (item,)
        for event in events:
            await self._step(event)
        for event in self._kernel.late(now, timeout) if not self._kernel.is_behind else ():
            await self._step(event)
        if self._nic_waits.is_worth_a_look:
            self.udev_spoke()
        await self._kernel.flush()
        self._ports.on_step(self.state)
        self._tell_waiters()

    def _tell_waiters(self) -> None:
        self.stepped.set()
        self.stepped = trio.Event()

    async def _step(self, event: Event | Input) -> None:
        """Make one step and carry out its actions."""
        actions = step(self.state, event, trio.current_time())
        for follows in await self._performer.perform(actions, self._do):
            await self._step(follows)

    async def _do(self, action: Action) -> None:
        """Carry out one action. Simulations count and cut here."""
        await self._performer.do(action)
