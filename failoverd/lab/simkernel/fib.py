"""The routing tables themselves: finding, adding and dropping one route."""

from __future__ import annotations

from failoverd.lab.simkernel import uapi as n
from failoverd.lab.simkernel.inetmsg import announce_route
from failoverd.lab.simkernel.net import Net
from failoverd.lab.simkernel.state import Route


def subnet(address: bytes, prefixlen: int) -> bytes:
    """The address with its host bits cleared."""
    bits = len(address) * 8
    mask = ((1 << bits) - 1) ^ ((1 << (bits - prefixlen)) - 1)
    return (int.from_bytes(address, "big") & mask).to_bytes(len(address), "big")


def alike(one: Route, other: Route) -> bool:
    """Whether two routes are one to the kernel: same key, kind, metric and next hops."""
    return one.same_place(other) and (one.type, one.priority, one.hops) == (
        (other.type, other.priority, other.hops)
    )  # fmt: skip


def install(net: Net, route: Route) -> None:
    """Add a route the kernel makes by itself, unless it is there."""
    if not any(alike(old, route) for old in net.routes):
        net.routes.append(route)
        announce_route(net, route)


def drop(net: Net, route: Route) -> None:
    """Remove a route the kernel made by itself, if it is there."""
    for old in net.routes:
        if alike(old, route):
            net.routes.remove(old)
            announce_route(net, old, n.RTM_DELROUTE)
            return
