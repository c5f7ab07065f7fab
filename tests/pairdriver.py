"""Drives `core.step` on the toy kernel, with a disk for journals, a clock that jumps, and every kind of accident.

An accident happens at a seam the daemon really has: it is killed between two actions, the disk is full, the answers of
a datagram are lost in an overrun, the kernel refuses a request. What must hold at every moment is asserted after each
action: no address and no route that was there at the start may be nowhere, neither in the kernel nor in a journal.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from toykernel import MAC, ToyKernel, address_words, route_words

from failoverd.config.spec import Config
from failoverd.core.inputs import Input, NamesConfigured, Recalled
from failoverd.core.state import State
from failoverd.core.step import step
from failoverd.core.work import Work
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
from failoverd.model.events import (
    Announced,
    Answered,
    ConfigurerSeen,
    Event,
    InetSeen,
    LetGo,
    LinkSeen,
    ModeSeen,
    NotSaved,
    Synced,
    TimePassed,
    UdevDone,
)
from failoverd.model.health import Damping, Mode
from failoverd.model.links import Link
from failoverd.model.orders import Drain
from failoverd.model.owners import PairOf, Part, Ticket
from failoverd.model.pairs import Inet, Journal
from failoverd.model.requests import Request
from failoverd.model.signals import Signal

TICKET = Ticket(PairOf(MAC), Part.MOVE)
"""Of a batch that nobody has sent."""

STEPS = 600
"""More steps than any history here needs; with more, it goes in circles."""


def under_way(work: Work) -> tuple[Ticket, tuple[Request, ...]]:
    """The batch that was sent last, with its ticket."""
    number, batch = list(work.batches.items())[-1]
    return Ticket(work.owner, batch.part, number), batch.requests


@dataclass
class Driver:
    """One machine and its daemon.

    Actions are numbered. After those in `kill_at` the daemon is killed, the answers to those in `lose_at` are lost, for
    those in `full_at` the disk is full. `lost_races` are names udev could not give, by those the kernel gave; `plain`
    are the kernel's, `words` those in the network's configuration.
    Where `udev_hangs` it is never done, where `held_on` no device is let go. `no_bond` is why what configures the NIC
    could not follow to a bond; where `files_hang` that is never known. `on_action` is called after each action,
    `on_step` between two events.
    """

    kernel: ToyKernel
    config: Config = field(default_factory=Config)
    kill_at: frozenset[int] = frozenset()
    lose_at: frozenset[int] = frozenset()
    full_at: frozenset[int] = frozenset()
    on_action: Callable[[int], None] = lambda _number: None
    on_step: Callable[[range], None] = lambda _numbers: None
    now: float = 0.0
    journals: dict[str, Journal] = field(default_factory=dict)
    lost: dict[str, Inet] = field(default_factory=dict)
    memory: dict[str, str] = field(default_factory=dict)
    drains: dict[str, Drain] = field(default_factory=dict)
    damping: dict[str, Damping] = field(default_factory=dict)
    probing: list[ProbePaths] = field(default_factory=list)
    events: deque[Event | Input | Callable[[], Event]] = field(default_factory=deque)
    signals: list[Signal] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    sent: list[tuple[Request, ...]] = field(default_factory=list)
    peeks: list[tuple[float, int]] = field(default_factory=list)
    announced: list[Announce] = field(default_factory=list)
    marks: dict[str, str] = field(default_factory=dict)
    state: State = field(init=False)
    wake: float | None = None
    done: int = 0
    precious: frozenset[str] = frozenset()
    lost_races: dict[str, str] = field(default_factory=dict)
    plain: frozenset[str] = frozenset()
    names: dict[str, str] = field(default_factory=dict)
    words: frozenset[str] = frozenset()
    udev_hangs: bool = False
    files_hang: bool = False
    no_bond: str = ""
    held_on: bool = False
    modes: dict[int, Mode] = field(default_factory=dict)
    asked_modes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.precious = self.configured()
        self.start()

    def start(self) -> None:
        """A new daemon: what it knows is on disk and in the kernel."""
        self.state = State(self.config, renames_live=self.kernel.live_renames)
        names = {mac: name for mac, name in self.names.items() if name}
        marked = {name[:17] for name in self.marks}
        step(
            self.state,
            Recalled(self.journals, self.lost, self.drains, self.memory, names, marked, self.damping),
            self.now,
        )
        step(self.state, NamesConfigured(self.words), self.now)
        self.wake = None
        self.kernel.news.clear()
        self.events = deque([Synced(tuple(self.kernel.links.values()))])

    def tell(self, *events: Event | Input) -> None:
        """Let events happen and everything that follows from them, but not what has to wait."""
        self.events.extend(events)
        for _ in range(STEPS):
            self._take_news()
            if not self.events:
                return
            item = self.events.popleft()
            first = self.done
            self._step(item() if callable(item) else item)
            self.on_step(range(first, self.done))
        raise AssertionError(f"it goes in circles: {self.sent[-6:]}")

    def settle(self, until: float = 9000.0) -> None:
        """Go on until nothing is waited for any more, or until this time. What rules a bond out is asked hourly, so a
        join that was refused twice is complete after two hours."""
        self.tell()
        for _ in range(STEPS):
            if self.wake is None or self.wake > until:
                return
            self.now = max(self.now, self.wake)
            self.tell(TimePassed())
        raise AssertionError(f"it never rests: {self.state.pairs[MAC]}")

    def _take_news(self) -> None:
        self.events.extend(self.kernel.news)
        self.kernel.news.clear()

    def _step(self, event: Event | Input) -> None:
        self.wake = None
        unkept = False
        for action in step(self.state, event, self.now):
            if unkept and isinstance(action, Withheld):
                continue
            if isinstance(action, SaveJournal) and self.done in self.full_at:
                unkept, self.done = True, self.done + 1
                continue
            self._do(action)
            self.check()
            self.done += 1
            self.on_action(self.done - 1)
            if self.done - 1 in self.kill_at:
                self.start()
                return
        if unkept:
            self._step(NotSaved(PairOf(MAC)))

    def _do(self, action: Action) -> None:
        match action:
            case Send(ticket, requests, _):
                self._send(ticket, requests)
            case FetchInet(owner, ifindexes, closely):
                self.events.append(lambda: InetSeen(owner, self.kernel.look(ifindexes), self.kernel.closely(closely)))
            case SaveJournal(journal):
                self.journals[journal.mac] = journal
            case DropJournal(mac):
                self.journals.pop(mac, None)
            case KeepLost() | Remember():
                self._remember(action)
            case AskUdev() | AskLetGo() | AskConfigurer() | AskMode():
                self._ask(action)
            case WakeAt(at):
                self.wake = at
            case Peek(ifindex):
                self._peek(ifindex)
            case KeepMarks(mac, files):
                others = {name: text for name, text in self.marks.items() if not name.startswith(mac)}
                self.marks = {**others, **files}
            case _:
                self._note(action)

    def _remember(self, action: KeepLost | Remember) -> None:
        match action:
            case KeepLost(mac, lost):
                self.lost[mac] = lost
            case Remember(mac, what):
                self.memory[mac] = str(what)

    def _ask(self, action: AskUdev | AskLetGo | AskConfigurer | AskMode) -> None:
        match action:
            case AskMode(mac, ifindex, name):
                self.asked_modes.append(name)
                if ifindex in self.modes:
                    self.events.append(ModeSeen(mac, ifindex, self.modes[ifindex]))
            case AskConfigurer(nic, _) if not self.files_hang:
                self.events.append(ConfigurerSeen(nic.ifindex, nic.name, self.no_bond))
            case AskUdev(ifindex, _) if not self.udev_hangs:
                self.events.append(lambda: self._udev_done(ifindex))
            case AskLetGo(ifindex) if not self.held_on:
                self.events.append(LetGo(ifindex))

    def _udev_done(self, ifindex: int) -> UdevDone:
        is_plain = ifindex in self.kernel.links and self.kernel.links[ifindex].name in self.plain
        return UdevDone(ifindex, self.udev_name(ifindex), is_plain)

    def udev_name(self, ifindex: int) -> str:
        """What udev wanted where somebody was faster; the kernel's names are the keys of `lost_races`."""
        link = self.kernel.links.get(ifindex)
        return self.lost_races.get(link.name, "") if link is not None else ""

    def _note(self, action: Emit | Say | Announce | KeepDrain | KeepDamping | ProbePaths | RememberName) -> None:
        match action:
            case RememberName(mac, name):
                self.names[mac] = name
            case KeepDrain(mac, None):
                self.drains.pop(mac, None)
            case KeepDrain(mac, drain) if drain is not None:
                self.drains[mac] = drain
            case ProbePaths():
                self.probing.append(action)
            case KeepDamping(mac, damping):
                self.damping[mac] = damping
            case Emit(signal):
                self.signals.append(signal)
            case Say(_, text):
                self.said.append(text)
            case Announce():
                self.announced.append(action)
                self.events.append(Announced(action.mac))

    def _peek(self, ifindex: int) -> None:
        """Only an answer that is news is told."""
        self.peeks.append((self.now, ifindex))
        link = self.kernel.links.get(ifindex)
        if link is not None and link != self.state.links.get(ifindex):
            self.events.append(LinkSeen(link))

    def _send(self, ticket: Ticket, requests: tuple[Request, ...]) -> None:
        assert requests, "an empty batch has no answer"
        self._take_news()
        answers = self.kernel.do(requests)
        self.sent.append(requests)
        if self.done in self.lose_at:
            self.kernel.news.clear()
            self.events.append(Answered(ticket, requests, None))
            self.events.append(Synced(tuple(self.kernel.links.values())))
        else:
            self._take_news()
            self.events.append(Answered(ticket, requests, answers))

    # What must hold

    def configured(self) -> frozenset[str]:
        """What the administrator configured, wherever it is in the kernel."""
        return words(self.kernel.inet.values())

    def check(self) -> None:
        """Nothing that was there at the start may be nowhere."""
        lost = self.precious - self.configured() - self.written()
        assert not lost, f"lost: {sorted(lost)} after {self.sent[-1:]}"

    def written(self, begun: bool = False) -> frozenset[str]:
        """What is in a journal on disk, or only in those of moves that may have begun."""
        journals = [journal for journal in self.journals.values() if journal.cut or not begun]
        moving = [inet for journal in journals for inet in (journal.inet, journal.extra)]
        moving += [vlan.inet for journal in journals for vlan in journal.vlans]
        return words([*moving, *self.lost.values()])

    def on(self, name: str) -> frozenset[str]:
        """What is configured on the device of this name."""
        link = self.kernel.named(name)
        return words([self.kernel.inet.get(link.ifindex, Inet())]) if link else frozenset()

    def is_reachable(self, word: str) -> bool:
        """Whether this address is on a device that can carry traffic: up, with a carrier, and nobody's slave. A device
        that is redirected carries by the other, which has to lead what it receives back."""
        return any(self.carries(link) and word in self.on(link.name) for link in self.kernel.links.values())

    def carries(self, link: Link) -> bool:
        """Whether what this device sends goes out, and what is meant for it comes in. The kernel redirects nothing to a
        device without carrier (net/sched/act_mirred.c), so the master needs its own in any case."""
        out = next((f.redirect for f in link.tc.filters if f.ours and f.hook == "egress"), None)
        if out is None:
            return link.up and link.carrier and not link.master
        way = self.kernel.links.get(out)
        back = [f.redirect for f in way.tc.filters if f.ours and f.hook == "ingress"] if way else []
        return link.up and link.carrier and way is not None and way.up and way.carrier and back == [link.ifindex]


def words(many: Iterable[Inet]) -> frozenset[str]:
    """Addresses and routes in words, but for what the kernel makes by itself."""
    every = list(many)
    addresses = (address_words(a) for inet in every for a in inet.addresses if a.scope != 253)
    routes = (route_words(r) for inet in every for r in inet.routes if r.protocol != 2)
    return frozenset(itertools.chain(addresses, routes))
