"""Faults between the daemon and the kernel, and between the daemon and its disk.

`Faults` has the end of each kind of trouble; the sockets, the store and the engine of this file consult it. The queue
of a real socket loses messages only by an overrun, which it reports, and keeps the order of its groups: link messages
never overtake each other, but an address's message may come behind a link's that is younger.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import trio

from failoverd.core.inputs import Input
from failoverd.daemon.engine import Engine
from failoverd.daemon.kept import Memory
from failoverd.daemon.store import MemoryStore
from failoverd.model.actions import Action, Peek, WakeAt
from failoverd.model.events import Event
from failoverd.model.orders import Drain
from failoverd.model.pairs import Inet, Journal
from failoverd_lab.simkernel import Refused, SimKernel, SimSocket, wire
from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel.requests import Reply, Request

NEVER = -1.0
ADDRESS_MESSAGES = (n.RTM_NEWADDR, n.RTM_DELADDR)
LATENESS = (0.01, 0.2, 1.0, 3.5)
"""Delays of an answer in seconds; failoverd waits 3 (`[netlink] request_timeout`)."""


@dataclass(slots=True)
class Refusing:
    """Refusals of requests until a time, with a probability and one of some errnos; `kinds` are RTM_*, empty for
    all."""

    until: float
    chance: float
    numbers: Sequence[int]
    kinds: Sequence[int] = ()


@dataclass(slots=True)
class Faults:
    """The faults. Each time is the end of a trouble, in the clock's seconds."""

    dice: random.Random
    now: Callable[[], float]
    late: float = NEVER
    """Datagrams are read late."""
    reorder: float = NEVER
    """Messages about addresses come late."""
    dumps: float = NEVER
    """Dumps are interrupted, overrun, slow, or there is no descriptor for one."""
    disk: float = NEVER
    """Writes to the disk fail; `disk_errno` is why."""
    disk_errno: int = errno.ENOSPC
    unsendable: float = NEVER
    """The kernel refuses every second datagram."""
    unheard: float = NEVER
    """Announcements cannot be sent."""
    udev_slow: float = NEVER
    """udev is slow with new devices."""
    refusing: Refusing | None = None
    refused: int = 0
    """The number of requests refused."""
    kill_in: int | None = None
    """The number of further actions after which the daemon is killed."""
    ambushes: list[tuple[int, Callable[[], None]]] = field(default_factory=list)
    """Events between the daemon's messages: the number of further messages, and the event."""

    def lasts(self, until: float, chance: float = 1.0) -> bool:
        """Return whether this trouble lasts, and strikes now."""
        return self.now() < until and self.dice.random() < chance

    def over(self) -> None:
        """End all trouble."""
        self.late = self.reorder = self.dumps = self.disk = self.unsendable = self.unheard = self.udev_slow = NEVER
        self.refusing = self.kill_in = None
        self.ambushes.clear()

    def refuses(self, request: Request) -> int:
        """Return the errno with which the kernel refuses this, 0 for none."""
        how = self.refusing
        if how is None or (how.kinds and request.type not in how.kinds) or not self.lasts(how.until, how.chance):
            return 0
        self.refused += 1
        return self.dice.choice(how.numbers)

    def message_is_done(self) -> None:
        """Note that one of the daemon's messages has been processed: an ambush set for this moment strikes before the
        next one."""
        due = [what for left, what in self.ambushes if left <= 0]
        self.ambushes = [(left - 1, what) for left, what in self.ambushes if left > 0]
        for what in due:
            what()


class LinkSocket:
    """The daemon's socket for events and requests. `around` is entered for each message that the kernel works
    through."""

    def __init__(
        self, inner: SimSocket, faults: Faults, around: Callable[[], contextlib.AbstractContextManager[None]]
    ) -> None:
        self._inner, self._faults, self._around = inner, faults, around
        self._behind: list[bytes] = []
        self._late: bytes | None = None
        self._due = NEVER

    async def send(self, datagram: bytes) -> None:
        """See Transport. Something may happen between any two messages of a datagram."""
        await trio.lowlevel.checkpoint()
        if self._faults.lasts(self._faults.unsendable, 0.5):
            raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))
        for message in wire.messages(datagram):
            with self._around():
                self._inner.send_nowait(message.pack())
            self._faults.message_is_done()

    async def recv(self) -> bytes:
        """See Transport. A late datagram stays the first in the queue where its reader is cancelled meanwhile."""
        if self._late is None:
            datagram = self._behind.pop() if self._behind else await self._inner.recv()
            if not self._faults.lasts(self._faults.late, 0.3):
                return self._pass(datagram)
            self._late, self._due = datagram, self._faults.now() + self._faults.dice.choice(LATENESS)
        await trio.sleep_until(self._due)
        return self._pass_late(self._late)

    def recv_nowait(self) -> bytes | None:
        """See Transport."""
        if self._late is not None:
            return None if self._faults.now() < self._due else self._pass_late(self._late)
        if (datagram := self._inner.recv_nowait()) is not None:
            return self._pass(datagram)
        return self._behind.pop() if self._behind else None

    def _pass_late(self, datagram: bytes) -> bytes:
        self._late = None
        return self._pass(datagram)

    def _pass(self, datagram: bytes) -> bytes:
        """Pass a datagram on. A message about an address may have to wait for the next datagram, or for the queue to be
        empty."""
        kinds = {message.type for message in wire.messages(datagram)}
        if self._faults.lasts(self._faults.reorder, 0.5) and kinds <= {*ADDRESS_MESSAGES} and not self._behind:
            self._behind.append(datagram)
            return self._inner.recv_nowait() or self._behind.pop()
        return datagram

    def close(self) -> None:
        """See Transport."""
        self._inner.close()


class InetSocket:
    """A socket for reading a configuration."""

    def __init__(self, inner: SimSocket, faults: Faults) -> None:
        self._inner, self._faults = inner, faults

    async def send(self, datagram: bytes) -> None:
        """See Transport."""
        await self._inner.send(datagram)

    async def recv(self) -> bytes:
        """See Transport. Interrupted, overrun or slow, where that is the trouble."""
        datagram = await self._inner.recv()
        if not self._faults.lasts(self._faults.dumps):
            return datagram
        chance = self._faults.dice.random()
        if chance < 0.3:
            found = (replace(one, flags=one.flags | n.NLM_F_DUMP_INTR) for one in wire.messages(datagram))
            return b"".join(one.pack() for one in found)
        if chance < 0.4:
            raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))
        if chance < 0.5:
            await trio.sleep(0.3)
        return datagram

    def recv_nowait(self) -> bytes | None:
        """See Transport."""
        return self._inner.recv_nowait()

    def close(self) -> None:
        """See Transport."""
        self._inner.close()


def refusals(kernel: SimKernel, faults: Faults, is_daemons: Callable[[Request], bool]) -> Callable[[], None]:
    """Make the kernel refuse the daemon's requests where `faults` says so. Returns a function that undoes it."""
    answer = kernel.answer

    def refusing(request: Request) -> list[Reply]:
        if is_daemons(request) and (number := faults.refuses(request)):
            raise Refused(number, "chaos")
        return answer(request)

    kernel.answer = refusing  # type: ignore[method-assign]

    def undo() -> None:
        kernel.answer = answer  # type: ignore[method-assign]

    return undo


class FaultyStore(MemoryStore):
    """A store on a disk that is full or read-only at times. Forgetting needs no room, but a writable disk."""

    def __init__(self, faults: Faults) -> None:
        super().__init__()
        self._faults = faults

    def _write(self, grows: bool = True) -> None:
        if self._faults.lasts(self._faults.disk) and (grows or self._faults.disk_errno == errno.EROFS):
            raise OSError(self._faults.disk_errno, os.strerror(self._faults.disk_errno))

    def save_journal(self, journal: Journal) -> None:
        """See Store."""
        self._write()
        super().save_journal(journal)

    def drop_journal(self, mac: str) -> None:
        """See Store."""
        self._write(grows=False)
        super().drop_journal(mac)

    def keep_lost(self, mac: str, lost: Inet) -> None:
        """See Store."""
        self._write(lost != Inet())
        if lost != Inet() or mac in self.kept.lost:
            super().keep_lost(mac, lost)

    def remember(self, mac: str, what: Memory | None) -> None:
        """See Store."""
        self._write(what is not None)
        super().remember(mac, what)

    def remember_name(self, mac: str, name: str) -> None:
        """See Store."""
        self._write(bool(name))
        super().remember_name(mac, name)

    def save_drain(self, mac: str, drain: Drain | None) -> None:
        """See Store."""
        self._write(drain is not None)
        super().save_drain(mac, drain)

    def keep_marks(self, mac: str, files: Mapping[str, str]) -> None:
        """See Store."""
        self._write(bool(files))
        super().keep_marks(mac, files)


class FaultyEngine(Engine):
    """The daemon's engine, which can be killed between any two of its actions. Set `faults`, `killed` and the rest
    before it runs."""

    faults: Faults
    killed: Callable[[Action], None]
    """Called to kill the engine where it stands."""
    told: Callable[[Event | Input], None]
    """Called with each step's event."""
    doing: Callable[[Action], None]
    """Called with each action."""

    async def _step(self, event: Event | Input) -> None:
        self.told(event)
        await super()._step(event)

    async def _do(self, action: Action) -> None:
        if self.faults.kill_in is not None and not isinstance(action, WakeAt | Peek):
            self.faults.kill_in -= 1
            if self.faults.kill_in < 0:
                self.faults.kill_in = None
                self.killed(action)
                await trio.lowlevel.checkpoint()
        self.doing(action)
        await super()._do(action)
