"""Machines of any size for the pure step: links, joined pairs, and events on them."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from failoverd.config.spec import Config, Master
from failoverd.core.state import State
from failoverd.core.step import step
from failoverd.kinds import Bond
from failoverd.kinds.bond import SIGNATURE
from failoverd.model.actions import AskUdev, FetchInet, Send
from failoverd.model.events import Event, InetSeen, LinkGone, LinkSeen, Synced, TimePassed, UdevDone
from failoverd.model.links import Link
from failoverd.model.pairs import Inet
from failoverd.policy.naming import mark

VETH = Link(5000, "v0", kind="veth")


@dataclass
class Machine:
    """A machine with joined pairs and other devices, in random order."""

    state: State
    now: float = 0.0

    def tell(self, *events: Event) -> None:
        """Process these events and all that follows from them, with the kernel's answers."""
        todo = list(events)
        while todo:
            for action in step(self.state, todo.pop(0), self.now):
                match action:
                    case AskUdev(ifindex):
                        todo.append(UdevDone(ifindex))
                    case FetchInet(owner, ifindexes, closely):
                        todo.append(InetSeen(owner, dict.fromkeys(ifindexes, Inet()), dict.fromkeys(closely, "")))
                    case Send():
                        raise AssertionError(f"asked of a pair that is joined: {action}")


def machine(links: int, pairs: int) -> Machine:
    """Return a machine as a start of failoverd finds it."""
    state = State(Config(master=Master(create="always", datapath="bond")))
    pair = [joined_pair(number) for number in range(pairs)]
    others = [Link(10_000 + number, f"other{number}", kind="veth") for number in range(links - 3 * pairs)]
    every = [*(link for members in pair for link in members), *others]
    random.Random(links).shuffle(every)  # noqa: S311 - it is to be the same each time
    made = Machine(state)
    made.tell(Synced(tuple(every)))
    made.now = 100.0
    made.tell(TimePassed())
    assert all(pair.state == "accelerated" for pair in state.pairs.values())
    assert len(state.pairs) == pairs
    return made


def joined_pair(number: int) -> tuple[Link, Link, Link]:
    """Return a master with its standby and its VF, which carries."""
    mac, first = f"52:54:00:fa:{number >> 8:02x}:{number & 255:02x}", 10 + 3 * number
    names = frozenset({mark(mac), f"altname{number}"})
    bond = Bond(mode=1, miimon=100, active=first + 2, fail_over_mac=1, lp_interval=SIGNATURE)
    return (
        Link(first, f"ens{number}", mac, up=True, carrier=True, kind="bond", info=bond, altnames=names),
        slave(Link(first + 1, f"ens{number}nsby", mac, mac, master=first, bus="virtio"), number, "standby"),
        slave(Link(first + 2, f"vf{number}", mac, mac, master=first, bus="pci"), number, "primary"),
    )


def slave(link: Link, number: int, role: str) -> Link:
    """Return one of the two slaves as it is in its master."""
    names = frozenset({f"ens{number}-{role}"})
    return replace(link, up=True, carrier=True, parent=f"parent{link.ifindex}", driver="some", altnames=names)


def unrelated(machine: Machine) -> list[Event]:
    """Return the events of a NIC in no pair that goes down and up."""
    alone = Link(9000, "usb0", "52:54:00:aa:00:01", "52:54:00:aa:00:01", up=True, bus="usb")
    step(machine.state, LinkSeen(alone), machine.now)
    return [LinkSeen(replace(alone, up=False)), LinkSeen(alone)]


def virtual(_machine: Machine) -> list[Event]:
    """Return the events of a veth that is created and removed."""
    return [LinkSeen(VETH), LinkGone(VETH.ifindex)]


def carrier(machine: Machine) -> list[Event]:
    """Return the event of a pair's VF that loses its carrier."""
    vf = next(link for link in machine.state.links.values() if link.name == "vf0")
    return [LinkSeen(replace(vf, carrier=False, medium=False, mii_up=False))]
