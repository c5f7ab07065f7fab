"""What is different about a device that is there: the requests that make it as it was declared.

They are in an order in which the kernel takes them: addresses before the device comes up, so that IPv6 begins with
them; routes last, as they need both.
"""

from __future__ import annotations

from collections.abc import Iterator

from failoverd.links.addresses import (
    is_duplicate,
    missing_addresses,
    missing_routes,
    surplus_addresses,
    surplus_routes,
    tentative,
)
from failoverd.links.findings import Batch, Finding
from failoverd.links.picture import Device
from failoverd.links.sight import Sight
from failoverd.model.declared import EXISTING, End
from failoverd.model.links import Link
from failoverd.model.linkstatus import LinkState
from failoverd.model.places import Absent, Place
from failoverd.model.requests import (
    AddAddress,
    AddAltname,
    AddRoute,
    ChangeLink,
    DropAddress,
    DropRoute,
    Rename,
    Request,
    SetMac,
    SetMaster,
    SetMtu,
    SetUp,
)

TENTATIVE = "address-tentative"


def differences(sight: Sight, end: End, place: Place, device: Device) -> Iterator[Request]:
    """Yield the requests that this device needs, in their order."""
    link, i, is_up = device.link, device.link.ifindex, device.link.up
    if end.kind != EXISTING:
        mark = sight.identity.mark(end.name)
        if sight.pictures[place].named(mark) is None:
            yield AddAltname(i, mark)
        if link.name != end.device:
            if is_up and not sight.renames_live:
                # What it loses by that is found missing by the next look.
                is_up = False
                yield SetUp(i, up=False)
            yield Rename(i, end.device)
        if end.options is not None and link.info != end.options:
            yield ChangeLink(i, end.options)
    mac = mac_of(sight, end)
    if mac and link.mac != mac:
        yield SetMac(i, mac)
    if end.mtu and link.mtu != end.mtu:
        yield SetMtu(i, end.mtu)
    yield from (DropRoute(one) for one in surplus_routes(end, i, device.routes))
    yield from (DropAddress(one) for one in surplus_addresses(end, device.addresses))
    yield from (AddAddress(one) for one in missing_addresses(end, i, device.addresses))
    if is_up != end.up:
        yield SetUp(i, up=end.up)
    if end.up:
        yield from (AddRoute(one) for one in missing_routes(end, i, device.routes))
    yield from _ports(sight, end, place, i)


def as_it_is(sight: Sight, end: End, place: Place, device: Device, peer: End | None = None) -> Finding:
    """Return the finding of an end whose device is there. `peer` is a veth's other end."""
    requests = tuple(differences(sight, end, place, device))
    ifindex = device.link.ifindex
    if requests:
        return Finding(LinkState.MAKING, batches=(Batch(place, end.name, requests),), ifindex=ifindex)
    # Without its other end a veth has no carrier, as declared.
    needs_carrier = end.up and (peer is None or peer.up)
    reason, detail = _shortcoming(sight, end, place, device, needs_carrier)
    state = LinkState.MAKING if reason == TENTATIVE else LinkState.DEGRADED if reason else LinkState.READY
    return Finding(state, reason, detail, ifindex=ifindex)


def at_once(sight: Sight, end: End, place: Place, ifindex: int) -> Iterator[Request]:
    """Yield what a device needs that is made in the same datagram, with this ifindex, its name, MAC, MTU and mark."""
    mark = frozenset({sight.identity.mark(end.name)})
    made = Link(ifindex, end.device, mac_of(sight, end), mtu=end.mtu, altnames=mark, info=end.options)
    yield AddAltname(ifindex, sight.identity.mark(end.name))
    yield from (one for one in differences(sight, end, place, Device(made)) if not isinstance(one, AddAltname))


def mac_of(sight: Sight, end: End) -> str:
    """Return the MAC that a device shall have, "" where it is its lower device's, or its own affair."""
    if end.mac or end.kind in {"existing", "vlan", "ipvlan"}:
        return end.mac
    return sight.identity.mac(end.name)


def _ports(sight: Sight, end: End, place: Place, master: int) -> Iterator[Request]:
    for wanted, refs in ((0, sight.loosened.get(end.name, frozenset())), (master, end.ports)):
        for ref in refs:
            port = sight.port(ref, place)
            if port is not None and (port.link.master == master) != bool(wanted):
                yield SetMaster(port.link.ifindex, wanted)


def _shortcoming(sight: Sight, end: End, place: Place, device: Device, needs_carrier: bool) -> tuple[str, str]:
    """Return the reason (a code and a sentence) why a device with no difference is not ready, ("", "") where it is."""
    mark = sight.identity.mark(end.name)
    if end.kind != EXISTING and mark not in device.link.altnames:
        return "mark-forged", f"another device there bears its mark {mark}; remove that alternative name"
    waits = tentative(end, device.addresses)
    for one in waits:
        if is_duplicate(one):
            return "address-refused", f"another machine has {one}; change one of them, then failoverctl links resync"
    # Without a carrier the kernel does not begin to find out.
    if waits and device.link.carrier:
        return TENTATIVE, f"the kernel is finding out whether {waits[0]} is unique"
    for ref in end.ports:
        found = sight.lookup(ref, place)
        if isinstance(found, Absent):
            return "port-absent", f"its port {ref} is not there: {found.detail}"
        if found[0] != place:
            return "port-absent", f"its port {ref} is in another network namespace"
    if needs_carrier and not device.link.carrier:
        return "no-carrier", "it has no carrier: its other end, or what it stands on, is down"
    return "", ""
