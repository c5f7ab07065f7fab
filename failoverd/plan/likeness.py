"""Making a master like its NIC: it gets the NIC's settings before anything moves, while it is not in use yet.

A new device has the administrator's settings for new devices (net.ipv6.conf.default), and those are another wish than
the one about the NIC: where IPv6 is off by default, a bond would take no IPv6 address. Written settings are read back,
so that a setting that cannot be had is known while the NIC still has everything. Rejected: to write the settings after
the move.

A release brings back the master's settings as they are by then, as settings changed since the join were changed on the
master.
"""

from __future__ import annotations

from failoverd.model.links import Link
from failoverd.model.pairs import Inet
from failoverd.model.requests import Request, SetAttribute, SetSysctl
from failoverd.model.settings import ADDRESS_MODE, IPV6_FORWARDING, IPV6_MTU, STABLE, SYSCTLS, full_name
from failoverd.plan.inet_sets import NTF_PROXY
from failoverd.plan.situation import Do, Situation

ON = "1"


def differing(wanted: Inet, there: Inet, ifindex: int) -> list[Request]:
    """Return the requests that give a device the settings it lacks: sysctls first, as some of the rest depend on them.

    A device whose settings are not known (one that --dry-run predicts) lacks nothing.
    """
    known = dict(there.settings)
    changed = [(name, value) for name, value in wanted.settings if known and known.get(name) != value]
    requests: list[Request] = [SetSysctl(ifindex, name, value) for name, value in changed if name in SYSCTLS]
    return [*requests, *(SetAttribute(ifindex, name, value) for name, value in changed if name not in SYSCTLS)]


def unsettled_reason(s: Situation, wanted: Inet, master: Link) -> str:
    """Return why a master that has just come up may still lose IPv6's own MTU, or "".

    IPv6 takes the device's MTU when the link watch reports the carrier (net/ipv6/addrconf.c, addrconf_notify:
    NETDEV_CHANGE before IF_READY).
    """
    is_own = IPV6_MTU in dict(wanted.settings)
    is_coming = master.up and not master.operational and any(s.can_carry(slave) for slave in (s.vf, s.nic))
    return f"the kernel has not yet told IPv6 of the link of {master.name}" if is_own and is_coming else ""


def forgotten(wanted: Inet, there: Inet, ifindex: int) -> list[Request]:
    """Return the requests for what a device lost when it came up: IPv6's own MTU (net/ipv6/addrconf.c, NETDEV_UP)."""
    found = files(differing(wanted, there, ifindex))
    return [request for request in found if isinstance(request, SetSysctl) and request.name == IPV6_MTU]


def write(requests: list[Request], why: str) -> Do:
    """Sysctls are files, so they are a step of their own, ahead of the rest."""
    return Do(tuple(files(requests) or requests), why)


def files(requests: list[Request]) -> list[Request]:
    """Return the requests that write files."""
    return [request for request in requests if isinstance(request, SetSysctl)]


def bond_mismatch(s: Situation, requests: list[Request], name: str) -> str:
    """Return why these requests cannot make a master like the NIC of that name, or ""."""
    if refusal := s.refusal(requests):
        return f"a bond cannot be made like {name}: {refusal}"
    for request in requests:
        if not isinstance(request, SetSysctl | SetAttribute):
            continue
        setting = full_name(request.name, name)
        if request.name == IPV6_FORWARDING and request.value == ON:
            # net/ipv6/addrconf.c, addrconf_fixup_forwarding: it purges such routes on every device.
            what = "to set it for a bond would take other NICs' default routes by router advertisements away"
            return f"{setting} is 1 and not so for new devices: {what}; set net.ipv6.conf.default.forwarding"
        if request in s.hopeless:
            return f"a bond cannot be made like {name}: {setting} = {request.value} does not stay so on it"
    return ""


def unlike_bond_reason(inet: Inet, name: str) -> str:
    """Return what no bond can have, or keep, of a NIC, in words, or ""."""
    if any(not neighbour.flags & NTF_PROXY for neighbour in inet.neighbours):
        # bond_do_fail_over_mac announces a new MAC, even an equal one, and neigh_changeaddr spares no entry.
        return f"{name} has permanent neighbours, which a bond forgets at each switch; set datapath to tc"
    mode = dict(inet.settings).get(ADDRESS_MODE, "")
    if mode not in STABLE:
        return ""
    how = f"{full_name(ADDRESS_MODE, name)} is {mode} ({STABLE[mode]})"
    return f"{how}: the kernel would make other IPv6 addresses for a bond than for {name}; set datapath to tc"
