"""What default routes tell of an interface: its gateway, and whether DHCP or a router advertisement made them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from failoverd.dataclass import dataclass
from failoverd.inventory.facts import RTPROT_DHCP, RTPROT_RA, DefaultRoute, IpAddress


@dataclass(frozen=True, slots=True)
class Nexthop:
    """A nexthop object (ip nexthop): one way, or a group of others."""

    id: int
    ifindex: int = 0
    gateway: str = ""
    members: tuple[int, ...] = ()


def resolved(routes: Iterable[DefaultRoute], nexthops: Mapping[int, Nexthop]) -> list[DefaultRoute]:
    """Return the routes, with nexthop objects replaced by their ways; a route to a missing object is left out."""
    found: list[DefaultRoute] = []
    for route in routes:
        if route.ifindex:
            found.append(route)
        elif (nexthop := nexthops.get(route.nexthop)) is not None:
            ways = [nexthops[one] for one in nexthop.members if one in nexthops] if nexthop.members else [nexthop]
            found += [replace(route, ifindex=way.ifindex, gateway=way.gateway) for way in ways if way.ifindex]
    return found


def gateway(routes: Iterable[DefaultRoute], family: int) -> str:
    """Return the gateway of the default route with the lowest metric, "" if no such route of the family has one."""
    best = min((route for route in routes if route.family == family and route.gateway), key=_metric, default=None)
    return best.gateway if best is not None else ""


def has_dhcp(routes: Iterable[DefaultRoute], family: int) -> bool:
    """Return whether a DHCP client made a default route (systemd-networkd, NetworkManager and dhcpcd mark theirs)."""
    return any(route.family == family and route.protocol == RTPROT_DHCP for route in routes)


def has_autoconf(addresses: Iterable[IpAddress], routes: Iterable[DefaultRoute]) -> bool:
    """Return whether router advertisements configure IPv6. A lifetime alone is no evidence."""
    if any(address.from_router for address in addresses):
        return True
    return any(route.family == 6 and route.protocol == RTPROT_RA for route in routes)


def _metric(route: DefaultRoute) -> int:
    return route.metric
