"""The ledger: the daemon's requests, and the configuration of the machine that came and went by them.

Configuration is every address but the kernel's own link-local ones, every static route, and every alternative name that
failoverd has not given, on any device. The additions and removals of each of the daemon's datagrams are booked; over a
whole history the sum is zero. Changes by other programs are not in it.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections import Counter
from collections.abc import Iterator

from failoverd.policy.naming import PREFIX
from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire
from failoverd_lab.simkernel.inetmsg import IFADDR, RTMSG
from failoverd_lab.simkernel.linkmsg import IFINFO
from failoverd_lab.simkernel.net import Net
from failoverd_lab.simkernel.requests import Request
from failoverd_lab.simkernel.tcmsg import TCMSG

Item = tuple[str, str]
"""("address", "10.0.0.2/24"), ("route", ...) or ("altname", ...)."""

ROLES = re.compile(r".*(nsby|stby|-standby|-primary|vf)")
"""Alternative names for a slave's role, which failoverd gives where it is configured to (`[naming] altnames`)."""

WORDS = {
    n.RTM_NEWLINK: "NEWLINK", n.RTM_DELLINK: "DELLINK", n.RTM_SETLINK: "SETLINK", n.RTM_NEWADDR: "NEWADDR",
    n.RTM_DELADDR: "DELADDR", n.RTM_NEWROUTE: "NEWROUTE", n.RTM_DELROUTE: "DELROUTE", n.RTM_NEWQDISC: "NEWQDISC",
    n.RTM_DELQDISC: "DELQDISC", n.RTM_NEWTFILTER: "NEWTFILTER", n.RTM_DELTFILTER: "DELTFILTER",
    n.RTM_NEWLINKPROP: "NEWLINKPROP", n.RTM_DELLINKPROP: "DELLINKPROP",
}  # fmt: skip


class Ledger:
    """The ledger (see the module). `changed` is the daemon's part in each item, `requests` has every change that it
    asked for."""

    def __init__(self) -> None:
        self.changed: Counter[Item] = Counter()
        self.requests: list[str] = []

    def booked(self, before: Counter[Item], after: Counter[Item]) -> None:
        """Book a message of the daemon's, by the configuration before and after it."""
        if before != after:
            self.changed.update(after)
            self.changed.subtract(before)

    def asked(self, kind: int) -> None:
        """Note a change requested by the daemon."""
        self.requests.append(WORDS.get(kind, str(kind)))

    def balance(self) -> Iterator[tuple[Item, int]]:
        """Yield the items that do not balance."""
        return ((item, count) for item, count in sorted(self.changed.items()) if count)


def configuration(net: Net) -> Counter[Item]:
    """Return the present configuration (see the module)."""
    found: list[Item] = []
    for device in net.devices.values():
        if device.index == 1:
            continue
        chosen = (a for a in (*device.v4, *device.v6) if a.family == n.AF_INET or a.scope != n.RT_SCOPE_LINK)
        found += [("address", f"{_ip(one.family, one.local)}/{one.prefixlen}") for one in chosen]
        names = (name for name in device.altnames if not name.startswith(PREFIX) and not ROLES.fullmatch(name))
        found += [("altname", name) for name in names]
    for route in net.routes:
        if route.protocol == n.RTPROT_STATIC:
            by = _ip(route.family, route.hops[0].gateway) if route.hops and route.hops[0].gateway else "link"
            to = f"{_ip(route.family, route.dst)}/{route.dst_len}"
            found.append(("route", f"{to} via {by} metric {route.priority}"))
    return Counter(found)


def address(cidr: str) -> Item:
    """Return the item for an address, however it is written."""
    return ("address", str(ipaddress.ip_interface(cidr)))


def _ip(family: int, raw: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if family == n.AF_INET else socket.AF_INET6, raw)


def subject(request: Request) -> int:
    """Return the ifindex that a request is about, 0 for one that makes a device."""
    layouts = {4: (IFINFO, 2), 5: (IFADDR, 4), 9: (TCMSG, 1), 11: (TCMSG, 1), 27: (IFINFO, 2)}
    if request.type // 4 == 6:
        attrs = wire.table(request.body[RTMSG.size :])
        return wire.number(attrs[n.RTA_OIF]) if n.RTA_OIF in attrs else 0
    if request.type // 4 not in layouts:
        return 0
    layout, at = layouts[request.type // 4]
    return int(layout.unpack_from(request.body)[at])
