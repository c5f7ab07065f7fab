"""The routing tables themselves: find, add and remove one route."""

from __future__ import annotations

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel.inetmsg import announce_route
from failoverd_lab.simkernel.net import Net
from failoverd_lab.simkernel.state import Route


def subnet(address: bytes, prefixlen: int) -> bytes:
    """Return the address with its host bits cleared."""
    bits = len(address) * 8
    mask = ((1 << bits) - 1) ^ ((1 << (bits - prefixlen)) - 1)
    return (int.from_bytes(address, "big") & mask).to_bytes(len(address), "big")


def alike(one: Route, other: Route) -> bool:
    """Return whether two routes are the same to the kernel: equal key, kind, metric and next hops."""
    return one.same_place(other) and (one.type, one.priority, one.hops) == (
        (other.type, other.priority, other.hops)
    )  # fmt: skip


def install(net: Net, route: Route) -> None:
    """Add a route of the kernel's own, unless it exists."""
    if not any(alike(old, route) for old in net.routes):
        net.routes.append(route)
        announce_route(net, route)


def drop(net: Net, route: Route) -> None:
    """Remove a route of the kernel's own, if it exists."""
    for old in net.routes:
        if alike(old, route):
            net.routes.remove(old)
            announce_route(net, old, n.RTM_DELROUTE)
            return
