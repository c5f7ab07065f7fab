"""A toy of a kernel on the model's own nouns, for the tests of plan and core: what the product foretells of a request
(failoverd/plan/predict), and around it a world that does something by itself.

NICs are plugged and unplugged, wires die, other programs ask for things, a request is refused for no reason. (The
simulated kernel of the lab is the real judge, but it speaks netlink; here thousands of histories have to be cheap.)
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from failoverd.model.inet import Address, Route
from failoverd.model.links import Filter, Link, Tc
from failoverd.model.requests import AddAddress, AddRoute, Request
from failoverd.plan.predict import predict
from failoverd.plan.predict.machine import Machine
from failoverd.plan.predict.masters import release, set_up, watch

MAC = "52:54:00:fa:11:01"
RTA_DST, RTA_GATEWAY, RTA_PRIORITY = 1, 5, 6
IFA_LABEL = 3
KERNEL, STATIC = 2, 4


def address(text: str, ifindex: int, flags: int = 0, label: str = "") -> Address:
    """10.0.0.2/24"""
    found = ipaddress.ip_interface(text)
    family = 2 if found.version == 4 else 10
    attrs = ((IFA_LABEL, label.encode()),) if label else ()
    scope = 253 if found.is_link_local and family == 10 else 0
    return Address(ifindex, family, found.network.prefixlen, scope, flags, found.packed, attrs)


def route(text: str, ifindex: int, via: str = "", protocol: int = STATIC, table: int = 254, metric: int = 0) -> Route:
    """10.1.0.0/16 via 10.0.0.1"""
    net = ipaddress.ip_network(text)
    attrs = [(RTA_DST, net.network_address.packed)] if net.prefixlen else []
    attrs += [(RTA_GATEWAY, ipaddress.ip_address(via).packed)] if via else []
    attrs += [(RTA_PRIORITY, metric.to_bytes(4, "little"))] if metric else []
    family = 2 if net.version == 4 else 10
    return Route(ifindex, family, net.prefixlen, 0, 0, table, protocol, 0, 1, 0, tuple(attrs))


def address_words(found: Address) -> str:
    return f"{ipaddress.ip_address(found.local)}/{found.prefixlen}"


def route_words(found: Route) -> str:
    attrs = dict(found.attrs)
    zero = bytes(4 if found.family == 2 else 16)
    via = attrs.get(RTA_GATEWAY, b"")
    words = f"{ipaddress.ip_address(attrs.get(RTA_DST, zero))}/{found.dst_len}"
    return words + (f" via {ipaddress.ip_address(via)}" if via else "")


@dataclass
class ToyKernel(Machine):
    """A machine in its world."""

    refuse: Callable[[Request], int] = lambda _request: 0
    """An errno for a request that is to be refused, whatever the kernel would say."""

    hanging: dict[int, str] = field(default_factory=dict)
    """What a close look finds."""

    # What the world does

    def plug(
        self, name: str, bus: str, up: bool = False, wire: bool = True, mac: str = MAC, max_mtu: int = 9000
    ) -> int:
        self.last += 1
        self.wires[self.last] = wire
        link = Link(self.last, name, mac, mac, bus=bus, parent=f"{bus}{self.last}", driver="some", max_mtu=max_mtu)
        self.put(replace(link, link_local=True))
        if up:
            self.set_up(self.last, True)
        return self.last

    @property
    def hearing(self) -> set[int]:
        """The bonds that take in what comes to any slave."""
        return {link.ifindex for link in self.links.values() if getattr(link.info, "hears_both", False)}

    def set_up(self, ifindex: int, up: bool) -> None:
        set_up(self, ifindex, up)

    def unplug(self, ifindex: int) -> None:
        """The kernel closes it, unlinks it from its bond, and says it is gone."""
        self.set_up(ifindex, False)
        release(self, ifindex)
        self.forget(ifindex)

    def lend(self, ifindex: int) -> None:
        """It goes to another namespace and comes back at once: down, with its ifindex and its names, without its
        configuration and its qdiscs (net/core/dev.c, __dev_change_net_namespace)."""
        link = self.links[ifindex]
        self.unplug(ifindex)
        self.put(replace(link, up=False, carrier=False, tc=Tc()))

    def filter_by_others(self, ifindex: int, hook: str, kind: str = "bpf", pref: int = 1) -> None:
        """Another program's filter, and the qdisc it needs."""
        tc = self.links[ifindex].tc
        self.put_tc(ifindex, replace(tc, slot="clsact", filters=tc.filters | {Filter(hook, pref, 1, kind)}))

    def wire(self, ifindex: int, alive: bool) -> None:
        self.wires[ifindex] = alive
        self.put(self.links[ifindex])
        watch(self, self.links[ifindex].master)

    def closely(self, ifindexes: tuple[int, ...]) -> dict[int, str]:
        return {ifindex: self.hanging.get(ifindex, "") for ifindex in ifindexes}

    # What is asked of it

    def do(self, requests: tuple[Request, ...]) -> tuple[tuple[int, str], ...]:
        return tuple((self._answer(request), "") for request in requests)

    def do_all(self, *items: Address | Route) -> None:
        """What an administrator configures."""
        for item in items:
            assert not self._answer(AddAddress(item) if isinstance(item, Address) else AddRoute(item))

    def by_others(self, *requests: Request) -> None:
        """What other programs ask for; they are refused only what any kernel would refuse."""
        for request in requests:
            predict(self, request)

    def _answer(self, request: Request) -> int:
        return self.refuse(request) or predict(self, request)
