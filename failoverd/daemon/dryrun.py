"""--dry-run: look at this machine, and tell what would be done, without doing any of it.

The daemon's own step decides; its requests go into a foreseen world in place of the kernel. Nothing is written either.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from failoverd.config.spec import Config
from failoverd.core.state import PairState, State
from failoverd.core.status import nics
from failoverd.core.step import step
from failoverd.core.words import describe
from failoverd.daemon.store import Store
from failoverd.model.actions import Action, AskLetGo, AskUdev, FetchInet, Say, Send
from failoverd.model.events import Answered, Event, InetSeen, LetGo, LinkGone, LinkSeen, Synced, UdevDone
from failoverd.netlink.conversation import Complete
from failoverd.netlink.fetch import Opener, fetch_inet
from failoverd.netlink.listing import list_links
from failoverd.netlink.transport import Transport
from failoverd.plan.foresee import Foreseen

STEPS = 1000
"""More events than any plan has."""


async def dry_run(
    config: Config, transport: Transport, open_inet: Opener, complete: Complete, store: Store, no_bond: str
) -> list[str]:
    """The lines to print: every NIC with its verdict, then what would be done, in order.

    Raises OSError, NetlinkError, InterruptedDumpError.
    """
    links = await list_links(transport, complete)
    inet = await fetch_inet(open_inet, [link.ifindex for link in links])
    world = Foreseen({link.ifindex: link for link in links}, dict(inet))
    state = State(config, no_bond=no_bond)
    kept = store.load()
    state.remembered |= {mac for mac, word in kept.memory.items() if word == "joined"}
    state.pairs |= {mac: PairState(mac, held=True) for mac, word in kept.memory.items() if word == "released"}
    for mac, journal in kept.journals.items():
        state.pairs.setdefault(mac, PairState(mac)).journal = journal
    first = step(state, Synced(links), 0.0)
    verdicts = [f"{row['name']}: {row['verdict']}: {row['reason']}" for row in nics(state)]
    return [*verdicts, "", *(list(_foresee(state, world, first)) or ["nothing to do"])]


def _foresee(state: State, world: Foreseen, actions: list[Action]) -> Iterator[str]:
    events: deque[Event] = deque()
    for _ in range(STEPS):
        for action in actions:
            yield from _take(action, state, world, events)
        if not events:
            return
        actions = step(state, events.popleft(), 0.0)


def _take(action: Action, state: State, world: Foreseen, events: deque[Event]) -> Iterator[str]:
    match action:
        case Send(mac, requests, why):
            yield f"{why}:"
            for request in requests:
                yield f"  {describe(request, lambda i: world.links[i].name if i in world.links else state.name(i))}"
                for ifindex in world.apply(request):
                    link = world.links.get(ifindex)
                    events.append(LinkSeen(link) if link is not None else LinkGone(ifindex))
            events.append(Answered(mac, requests, tuple((0, "") for _ in requests)))
        case FetchInet(mac, ifindexes):
            events.append(InetSeen(mac, world.look(ifindexes)))
        case AskUdev(ifindex, _):
            events.append(UdevDone(ifindex))
        case AskLetGo(ifindex):
            events.append(LetGo(ifindex))
        case Say(_, text):
            yield text
