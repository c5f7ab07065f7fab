"""Carrying out the actions of a step, in their order: to the kernel, to disk, to the log, to background jobs.

A request is sent before it is logged. Settings that are files are written at once. After a journal that cannot be
written, the other actions of its owner are skipped, and the owner is told.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Iterable
from typing import assert_never

from failoverd.core.state import State
from failoverd.daemon.background import Background, Tell
from failoverd.daemon.keeping import JournalNotKeptError, MarksNotKeptError, keep
from failoverd.daemon.kernel_queue import KernelQueue
from failoverd.daemon.nic_waits import NicWaits
from failoverd.daemon.ports import Ports
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
from failoverd.model.events import Answered, Event, NotMarked, NotSaved
from failoverd.model.owners import Owner
from failoverd.model.requests import SetSysctl

log = logging.getLogger("failoverd")

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Performer:
    """Carries out actions; see the module. Results of background jobs go to `tell`."""

    def __init__(
        self,
        state: State,
        ports: Ports,
        kernel: KernelQueue,
        background: Background,
        nic_waits: NicWaits,
        udev_spoke: Callable[[], None],
        tell: Tell,
    ) -> None:
        self._state = state
        self._ports = ports
        self._kernel = kernel
        self._background = background
        self._nic_waits = nic_waits
        self._udev_spoke = udev_spoke
        self._tell = tell
        self.wake = math.inf
        """When the state wants the next step, as the last actions have it."""

    async def perform(self, actions: Iterable[Action], do: Callable[[Action], Awaitable[None]]) -> list[Event]:
        """Carry out the actions of one step, each by `do`. Returns the events that this leads to, to be taken in next.

        Settings that are files do not go by `do`.
        """
        self.wake = math.inf
        unkept: set[Owner] = set()
        written: list[Event] = []
        unmarked: dict[str, Event] = {}
        for action in actions:
            if isinstance(action, Withheld) and action.owner in unkept:
                continue
            if isinstance(action, Send) and isinstance(action.requests[0], SetSysctl):
                written.append(self._write(action))
                continue
            try:
                await do(action)
            except JournalNotKeptError as error:
                log.error("%s", error)
                unkept.add(error.owner)
            except MarksNotKeptError as error:
                unmarked[error.mac] = NotMarked(error.mac, str(error))
        return [*map(NotSaved, sorted(unkept, key=str)), *written, *unmarked.values()]

    async def do(self, action: Action) -> None:
        """Carry out one action. Raises JournalNotKeptError and MarksNotKeptError."""
        match action:
            case Send():
                await self._send(action)
            case WakeAt(at):
                self.wake = at
            case Say(level, text):
                log.log(LEVELS[level], "%s", text)
            case Emit(signal):
                self._ports.on_signal(signal)
            case Peek(ifindex):
                self._kernel.peek(ifindex)
            case FetchInet() | AskConfigurer() | AskMode() | Announce() | ProbePaths():
                self._background.do(action, self._tell)
            case AskUdev() | AskLetGo():
                self._nic_waits.ask(action)
                self._udev_spoke()
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
            case _:
                assert_never(action)

    def _write(self, action: Send) -> Answered:
        """Write settings that are files. This happens at once, as the kernel applies each during the write. A plan puts
        no other requests into a batch with them."""
        log.info("%s: %s", action.ticket.owner, action.why)
        sysctls = [request for request in action.requests if isinstance(request, SetSysctl)]
        answers = tuple(self._ports.write_sysctl(one, self._state.name(one.ifindex)) for one in sysctls)
        for request in sysctls:
            log.debug("%s:   %s", action.ticket.owner, request.describe(self._state.name))
        return Answered(action.ticket, action.requests, answers)

    async def _send(self, action: Send) -> None:
        """Send to the kernel first, then log: a line to the journal takes longer than the kernel's part."""
        requests = action.requests if log.isEnabledFor(logging.DEBUG) else ()
        lines = [request.describe(self._state.name) for request in requests]
        await self._kernel.send(action.ticket, action.requests)
        log.info("%s: %s", action.ticket.owner, action.why)
        for line in lines:
            log.debug("%s:   %s", action.ticket.owner, line)
