"""The engine's end of the kernel's socket: it takes in what the kernel has queued, and sends requests.

The kernel's messages and the answers to requests come from netlink/conversation.py, which knows no socket. All
datagrams that the kernel has queued are looked at before the oldest is handled (netlink/lookahead.py), so a lost
carrier does not wait behind links that another program creates. If the engine still cannot keep up, the kernel's queue
overruns, and that is handled like any other overrun.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence

import trio

from failoverd.core.state import State
from failoverd.model.events import Event
from failoverd.model.owners import Ticket
from failoverd.model.requests import Request
from failoverd.netlink.conversation import Conversation
from failoverd.netlink.known_devices import Complete
from failoverd.netlink.transport import Transport, is_overrun

log = logging.getLogger("failoverd")

SLICE = 0.002
"""Seconds for which queued events are handled at a stretch, before other tasks get their turn."""
SOON, LATER = 0.01, 0.32
"""Seconds until a datagram that the kernel did not take is sent again: SOON at first, then twice as long each time, and
LATER at most. sendmsg(2) takes a whole datagram or nothing.
"""


class KernelQueue:
    """The queue; see the module. What takes `_state` is a command of the engine's."""

    def __init__(self, socket: Transport, complete: Complete) -> None:
        self._socket = socket
        self._talk = Conversation(complete)
        self._pause = 0.0
        self._again_at = -math.inf

    @property
    def is_behind(self) -> bool:
        """Whether datagrams were taken in and not handled yet."""
        return self._talk.is_behind

    def deadline(self, timeout: float) -> float | None:
        """Return when `late` and `flush` have to be called, None while no answer is awaited."""
        due = self._talk.deadline(timeout)
        return self._again_at if self._talk.out and (due is None or self._again_at < due) else due

    def peek(self, ifindex: int) -> None:
        """Ask for a device's present state, with the next flush."""
        self._talk.peek(ifindex)

    def resync(self, _state: State, now: float) -> Sequence[Event]:
        """Ask for every device, with the next flush."""
        self._talk.resync(now)
        return ()

    async def receive(self) -> bool:
        """Wait for the next datagram. Returns whether it was one; if not, the queue has overrun. Raises OSError."""
        try:
            self._talk.queue(await self._socket.recv())
        except OSError as error:
            if not is_overrun(error):
                raise
            return False
        return True

    def work(self, _state: State, now: float) -> Iterator[Event]:
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
                datagram = self._socket.recv_nowait()
            except OSError as error:
                if not is_overrun(error):
                    raise
                yield from self._overrun(now)
            else:
                if datagram is None:
                    return
                self._talk.queue(datagram)

    def overrun(self, _state: State, now: float) -> Sequence[Event]:
        """Events were lost: look at all devices again."""
        return self._overrun(now)

    def _overrun(self, now: float) -> Sequence[Event]:
        log.warning("the kernel's queue overflowed and events were lost; looking at all devices again")
        return self._talk.overrun(now)

    def late(self, now: float, timeout: float) -> Sequence[Event]:
        """Report answers that did not come within `timeout` seconds as lost."""
        due = self._talk.deadline(timeout)
        if due is None or now < due:
            return []
        log.warning("the kernel has not answered for %g s; looking at all devices again", timeout)
        return self._talk.overdue(now, timeout)

    async def send(self, ticket: Ticket, requests: tuple[Request, ...]) -> None:
        """Send a batch now."""
        self._talk.request(ticket, requests, trio.current_time())
        await self.flush()

    async def flush(self) -> None:
        """Send the datagrams in their order. One that the kernel does not take now stays the first, and is sent again
        soon, until its answers are overdue."""
        while self._talk.out and trio.current_time() >= self._again_at:
            try:
                await self._socket.send(self._talk.out[0])
            except OSError as error:
                if not self._pause:
                    log.warning("the kernel does not take a request: %s; trying again", error)
                self._pause = min(2 * self._pause, LATER) if self._pause else SOON
                self._again_at = trio.current_time() + self._pause
            else:
                del self._talk.out[0]
                self._pause, self._again_at = 0.0, -math.inf
