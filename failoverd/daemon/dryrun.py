"""--dry-run: look at this machine and print what failoverd would do, without doing any of it.

The daemon's own step decides; the kernel's reaction to its requests is predicted. Nothing is written either.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import partial

from failoverd.config.spec import Config
from failoverd.core.bonding import Bonding
from failoverd.core.inputs import NamesConfigured
from failoverd.core.state import State
from failoverd.core.status import nics
from failoverd.core.step import step
from failoverd.daemon.background import Closely, unseen
from failoverd.daemon.configured import configured
from failoverd.daemon.configurers import bond_obstacle
from failoverd.daemon.hanging import hanging
from failoverd.daemon.paths import Paths
from failoverd.daemon.ports import can_rename_live, recall
from failoverd.daemon.reading import NoBond
from failoverd.daemon.store import DiskStore, Store
from failoverd.dataclass import dataclass
from failoverd.kinds import Vlan
from failoverd.model.actions import Action, AskLetGo, AskUdev, FetchInet, Say, Send
from failoverd.model.events import Answered, Event, InetSeen, LetGo, Synced, UdevDone
from failoverd.model.links import Link
from failoverd.netlink.devices import Devices
from failoverd.netlink.fetch import Opener, fetch_inet
from failoverd.netlink.known_devices import Complete
from failoverd.netlink.listing import list_links
from failoverd.netlink.sockdiag import NETLINK_SOCK_DIAG
from failoverd.netlink.transport import KernelSocket, Transport
from failoverd.netlink.udev import Udev
from failoverd.plan.predict import predict
from failoverd.plan.predict.machine import Machine, machine_of

STEPS = 1000
"""More events than any plan has."""
Finished = Callable[[int, str], UdevDone]
"""Tells what udev has made of the device of an ifindex and a name."""


def plainly(ifindex: int, _name: str) -> UdevDone:
    """It has given every device its name."""
    return UdevDone(ifindex)


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would come of the pairs: the lines to print, the engine's state, and the devices before and then."""

    lines: list[str]
    state: State
    before: Mapping[int, Link]
    machine: Machine

    def changed(self) -> dict[int, Link]:
        """Return the devices that would be new, or other than they are."""
        return {i: link for i, link in self.machine.links.items() if self.before.get(i) != link}


async def dry_run(config: Config, paths: Paths) -> Foreseen:
    """Return what would come of the pairs of this machine. Raises OSError, NetlinkError, InterruptedDumpError."""
    sock = await KernelSocket.open()
    store = DiskStore(paths.runtime, paths.state, set_aside=False)
    try:
        opener = partial(KernelSocket.open, strict=True)
        closely = partial(hanging, opener, partial(KernelSocket.open, protocol=NETLINK_SOCK_DIAG))
        complete, now, udev = Devices().complete, time.monotonic(), Udev()

        def finished(ifindex: int, name: str) -> UdevDone:
            return UdevDone(ifindex, udev.wanted_name(ifindex, name), udev.is_plain(name))

        return await foresee(config, sock, opener, complete, store, bond_obstacle, now, closely, configured(), finished)
    finally:
        sock.close()


async def foresee(
    config: Config,
    transport: Transport,
    open_inet: Opener,
    complete: Complete,
    store: Store,
    no_bond: NoBond,
    now: float,
    closely: Closely = unseen,
    words: AbstractSet[str] = frozenset(),
    udev: Finished = plainly,
) -> Foreseen:
    """Return what would be done; its lines are every NIC with its verdict, then the actions in order. `now` is the
    engine's clock; `closely` finds what hangs on a NIC, or on a VLAN that goes along with it; `words` are those of the
    network's configuration (daemon/configured.py), and `udev` tells what it has made of a device of this ifindex and
    name.

    Raises OSError, NetlinkError, InterruptedDumpError.
    """
    links = await list_links(transport, complete)
    inet = await fetch_inet(open_inet, [link.ifindex for link in links])
    found = {link.ifindex: await closely(link.ifindex) for link in links if _may_move(link)}
    live = can_rename_live(os.uname().release)
    machine = machine_of(links, inet, live)
    # Known before the verdicts are made.
    bonding = Bonding(
        configurers={nic.ifindex: no_bond(nic, nic.name) for nic in links if nic.perm_mac and not nic.kind}
    )
    state = State(config, renames_live=live, bonding=bonding)
    step(state, recall(store), now)
    step(state, NamesConfigured(words), now)
    first = step(state, Synced(links), now)
    verdicts = [f"{row['name']}: {row['verdict']}: {row['reason']}" for row in nics(state)]
    lines = [*verdicts, "", *(list(_plan(state, machine, found, udev, first, now)) or ["nothing to do"])]
    return Foreseen(lines, state, {link.ifindex: link for link in links}, machine)


def _may_move(link: Link) -> bool:
    return link.kind == Vlan.kind or (bool(link.perm_mac) and not link.kind)


def _plan(
    state: State, machine: Machine, hanging: Mapping[int, str], udev: Finished, actions: list[Action], now: float
) -> Iterator[str]:
    events: deque[Event] = deque()
    for _ in range(STEPS):
        for action in actions:
            yield from _take(action, state, machine, hanging, udev, events)
        if not events:
            return
        actions = step(state, events.popleft(), now)


def _take(
    action: Action,
    state: State,
    machine: Machine,
    hanging: Mapping[int, str],
    udev: Finished,
    events: deque[Event],
) -> Iterator[str]:
    match action:
        case Send(ticket, requests, why):
            yield f"{why}:"
            answers = []
            for request in requests:
                yield f"  {request.describe(lambda i: machine.links[i].name if i in machine.links else state.name(i))}"
                answers.append((predict(machine, request), ""))
            events += machine.news
            machine.news.clear()
            events.append(Answered(ticket, requests, tuple(answers)))
        case FetchInet(owner, ifindexes, closely):
            events.append(InetSeen(owner, machine.look(ifindexes), {i: hanging.get(i, "") for i in closely}))
        case AskUdev(ifindex, _):
            events.append(udev(ifindex, state.name(ifindex)))
        case AskLetGo(ifindex):
            events.append(LetGo(ifindex))
        case Say(_, text):
            yield text
