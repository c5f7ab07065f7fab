"""The invariants: what has to hold of a machine whatever happens to it, in one list for every world.

A world makes a `Machine` of what it sees, by means independent of failoverd's own codec, and has the invariants judge
it. Each is a small function that yields a sentence for each violation. `ALWAYS` hold at any moment, `SOON` within
SOON_AFTER seconds of quiet, `SETTLED` when everything has been tried again.

What happens over time is judged from records: `signals_are_true`, `configuration_is_kept`, `is_at_rest`,
`restart_agrees`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from failoverd.links.marks import Identity
from failoverd.model.declared import EXISTING, Declared, End
from failoverd.model.signals import FailedOver, Joined, LinkRenamed, Released, Signal
from failoverd.policy.naming import MARK
from failoverd_lab.simkernel.seen import Seen

SOON_AFTER = 2.0
"""Seconds of quiet after which traffic flows again."""


@dataclass(frozen=True, slots=True)
class Device:
    """A network device, as the kernel has it."""

    ifindex: int
    name: str
    kind: str = ""
    """rtnetlink's, "" for hardware."""
    mac: str = ""
    master: int = 0
    up: bool = False
    carrier: bool = False
    wire: bool = False
    """Hardware: whether it has a carrier, or would have one if it were up."""
    mtu: int = 0
    active: int = 0
    """A bond's active slave."""
    lower: int = 0
    """The device below a VLAN or the like."""
    altnames: tuple[str, ...] = ()
    filters: int = 0
    """The number of failoverd's filters on it."""
    max_mtu: int = 65535


@dataclass(frozen=True, slots=True)
class Hardware:
    """The devices of one permanent MAC, by the world's own books: ifindexes, 0 for none."""

    mac: str
    nic: int = 0
    vfs: tuple[int, ...] = ()
    address: str = ""
    """An address at which the machine has to be reached by this pair, "" where it has lost it."""
    holder: int = 0
    """The device that has this address."""
    path: int = 0
    """The NIC by which frames to this address come in, 0 for none."""
    is_doubled: bool = False
    """Whether another device has this address, too, or is in the way of it."""
    wants_up: bool = True
    """Whether the administrator wants it up."""
    automatic: bool = True
    """Whether traffic has to be on the VF where that can carry, by configuration and orders."""

    @property
    def nics(self) -> tuple[int, ...]:
        """The NICs that exist."""
        return tuple(index for index in (self.nic, *self.vfs) if index)


@dataclass(frozen=True, slots=True)
class Machine:
    """One look at a machine."""

    devices: Mapping[int, Device]
    hardware: Sequence[Hardware] = ()
    masters: Sequence[Mapping[str, Any]] | None = None
    """The daemon's own view, as in `failoverctl status --json`; None while it is not running."""
    hindered: frozenset[str] = field(default_factory=frozenset)
    """Interference of other programs that cannot be undone at once: "refused", "touched"."""

    def bond(self, mac: str) -> Device | None:
        """Return the bond that failoverd has made for this MAC."""
        return next((d for d in self.devices.values() if d.kind == "bond" and mac in _marks(d)), None)

    def master(self, mac: str) -> Mapping[str, Any] | None:
        """Return the daemon's view of the pair."""
        return next((row for row in self.masters or () if row["mac"] == mac), None)

    def candidates(self, one: Hardware) -> list[int]:
        """Return the NICs of a pair that could carry and that failoverd may use: with a wire, and not in another
        master.

        Of two VFs with one MAC neither is joined (policy/one_mac.py), so only one that was joined already counts; nor
        is a VF that something stands on (policy/stacking.py).
        """
        bond = self.bond(one.mac)
        free = (0, bond.ifindex if bond else 0)
        found = [self.devices[index] for index in one.nics if index in self.devices]
        if len(one.vfs) > 1:
            found = [d for d in found if d.ifindex == one.nic or (bond is not None and d.master == bond.ifindex)]
        under = {device.lower for device in self.devices.values()}
        found = [d for d in found if d.ifindex not in under or d.ifindex == one.nic or d.master]
        mtu = bond.mtu if bond is not None else 0
        fit = [d for d in found if d.wire and d.master in free and (d.max_mtu >= mtu or d.master)]
        return [d.ifindex for d in fit if d.mac == one.mac]


Invariant = Callable[[Machine], Iterator[str]]


def one_master_for_a_mac(machine: Machine) -> Iterator[str]:
    """No MAC ever has two masters of failoverd's."""
    counts = Counter(mac for device in machine.devices.values() if device.kind == "bond" for mac in _marks(device))
    yield from (f"{count} masters for {mac}" for mac, count in counts.items() if count > 1)


def traffic_flows(machine: Machine) -> Iterator[str]:
    """An address is reached wherever any NIC of its pair can carry; otherwise the sentence says what was found."""
    for one in _reachable(machine):
        can = machine.candidates(one)
        if not one.path and can and not _is_unjoined(machine, one, can):
            yield f"no path to {one.address}, and {_names(machine, can)} could carry; {shape(machine, one)}"


def traffic_flows_soon(machine: Machine) -> Iterator[str]:
    """The same, within SOON_AFTER. A request that was refused, or a slave taken out of its master, has a wait of its
    own."""
    for one in _reachable(machine):
        can = [machine.devices[index] for index in machine.candidates(one)]
        bond = machine.bond(one.mac)
        ready = [d for d in can if d.up and (bond is None or d.master == bond.ifindex)]
        if one.path or not ready or machine.hindered or one.holder in one.vfs:
            continue
        if not _is_unjoined(machine, one, [d.ifindex for d in can]):
            yield f"no path to {one.address} after {SOON_AFTER:g} s of quiet; {shape(machine, one)}"


def traffic_is_on_the_vf(machine: Machine) -> Iterator[str]:
    """A joined VF that can carry does, unless an order or another program's interference keeps it from that."""
    for one in _reachable(machine):
        said, bond = machine.master(one.mac), machine.bond(one.mac)
        if machine.hindered or not one.automatic or said is None or len(one.vfs) != 1 or not one.path:
            continue
        vf, nic = machine.devices.get(one.vfs[0]), machine.devices.get(one.nic)
        if vf is None or nic is None or not vf.up or vf.ifindex not in machine.candidates(one):
            continue
        by_bond = bond is not None and vf.master == bond.ifindex and vf.mtu == bond.mtu
        by_tc = bond is None and _is_tc(vf) and nic.carrier and vf.mtu >= nic.mtu and not nic.master
        if (by_bond or by_tc) and one.path != vf.ifindex:
            yield f"{vf.name} could carry, and {_names(machine, [one.path])} does; {shape(machine, one)}"


def status_is_true(machine: Machine) -> Iterator[str]:
    """The daemon's status names the NIC that really carries."""
    for one in _reachable(machine):
        said, holder = machine.master(one.mac), machine.devices[one.holder]
        if said is None:
            continue
        if said["state"] == "accelerated" and one.path and one.path not in one.vfs:
            yield f"accelerated, and the traffic is on {_names(machine, [one.path])}; {shape(machine, one)}"
        if said["state"] == "on-standby" and one.path and one.path in one.vfs:
            yield f"on-standby, and the traffic is on the VF; {shape(machine, one)}"
        if said["state"] in ("accelerated", "on-standby") and not one.path and holder.up:
            yield f"{said['state']}, and there is no path to {one.address}; {shape(machine, one)}"


def nothing_is_left_behind(machine: Machine) -> Iterator[str]:
    """After a release no master, mark or filter of failoverd's is left on a pair's NICs."""
    for one in machine.hardware:
        if (bond := machine.bond(one.mac)) is not None:
            yield f"{bond.name} is still there: {(machine.master(one.mac) or {}).get('reason')}"
        for device in (machine.devices[index] for index in one.nics if index in machine.devices):
            marks = [name for name in device.altnames if name.startswith("failoverd-")]
            marks = [name for name in marks if not name.startswith("failoverd-was-")]
            if marks and not machine.hindered:
                yield f"{device.name} still has {marks}"
            if device.filters:
                yield f"{device.name} still has {device.filters} filters"


ALWAYS: tuple[Invariant, ...] = (one_master_for_a_mac,)
SOON: tuple[Invariant, ...] = (traffic_flows_soon,)
SETTLED: tuple[Invariant, ...] = (traffic_flows, traffic_is_on_the_vf, status_is_true)
RELEASED: tuple[Invariant, ...] = (nothing_is_left_behind,)


def broken(invariants: Iterable[Invariant], machine: Machine) -> Iterator[tuple[str, str]]:
    """Yield each invariant that does not hold: its name, and what is wrong."""
    for invariant in invariants:
        for text in invariant(machine):
            yield invariant.__name__.replace("_", "-"), text


def signals_are_true(signals: Iterable[tuple[int, Signal]], machine: Machine, life: int) -> Iterator[str]:
    """Each failover begins where the last one ended, after a Joined of the same life; the last one agrees with the
    machine.

    Each signal comes with the number of the daemon's life in which it was sent; `life` is the present one.
    """
    last: dict[str, tuple[int, int]] = {}
    for number, signal in signals:
        match signal:
            case Joined():
                last[signal.mac] = number, signal.active_ifindex
            case Released():
                last.pop(signal.mac, None)
            case FailedOver():
                before = last.get(signal.mac)
                if before is None or before[0] != number:
                    yield f"a failover of a pair that was never joined: {signal}"
                elif before[1] != signal.old_ifindex:
                    yield f"a failover from {signal.old_ifindex}, and {before[1]} carried by what was told: {signal}"
                last[signal.mac] = number, signal.new_ifindex
            case LinkRenamed():
                pass
    for mac, (number, active) in last.items():
        bond = machine.bond(mac)
        if number == life and bond is not None and machine.master(mac) is not None and bond.active != active:
            yield f"{active} carries by the last signal about {mac}, and {bond.active} does"


def is_at_rest(requests: Sequence[str], allowed: int, seconds: float) -> Iterator[str]:
    """Without events there are no requests: none is repeated for ever."""
    if len(requests) > allowed:
        yield f"{len(requests)} requests in {seconds:g} s of quiet: {dict(Counter(requests))}"


def restart_agrees(before: Machine, after: Machine, requests: Sequence[str]) -> Iterator[str]:
    """A restart in quiet sends no request, changes nothing, and judges as the running daemon did."""
    if requests:
        yield f"{len(requests)} requests after a restart in quiet: {dict(Counter(requests))}"
    for index in before.devices.keys() | after.devices.keys():
        old, new = before.devices.get(index), after.devices.get(index)
        if old != new:
            yield f"{old} became {new}"
    said = {row["mac"]: (row["state"], row["reason"]) for row in before.masters or ()}
    says = {row["mac"]: (row["state"], row["reason"]) for row in after.masters or ()}
    for mac in said.keys() | says.keys():
        if said.get(mac) != says.get(mac):
            yield f"{mac}: {said.get(mac)} before the restart, {says.get(mac)} after it"


def shape(machine: Machine, one: Hardware) -> str:
    """Describe a pair in one line."""
    bond = machine.bond(one.mac)
    indexes = dict.fromkeys([*one.nics, *([bond.ifindex] if bond else []), one.holder])
    said = machine.master(one.mac)
    parts = [_device(machine, machine.devices[index]) for index in indexes if index in machine.devices]
    return "; ".join([*parts, f"{said['state']}: {said['reason']}" if said else "the daemon knows no such pair"])


def _device(machine: Machine, device: Device) -> str:
    words = ["up" if device.up else "down", "carrier" if device.carrier else "no carrier"]
    words += [f"in {_names(machine, [device.master])}"] if device.master else []
    words += [f"active {_names(machine, [device.active])}"] if device.kind == "bond" else []
    return f"{device.name} ({', '.join(words)})"


def _names(machine: Machine, indexes: Iterable[int]) -> str:
    known = (machine.devices.get(index) for index in indexes)
    return " and ".join(device.name if device else "nothing" for device in known)


def _reachable(machine: Machine) -> Iterator[Hardware]:
    """Yield the pairs whose address is a valid test: exactly one device of the pair has it, and no other program has
    enslaved it or taken it down."""
    for one in machine.hardware:
        holder = machine.devices.get(one.holder)
        is_plain = holder is not None and not holder.master and not one.is_doubled
        if is_plain and holder is not None and (holder.up or one.wants_up) and _is_own(machine, one):
            yield one


def _is_unjoined(machine: Machine, one: Hardware, can: Sequence[int]) -> bool:
    """Return whether the address is on an unjoined NIC that cannot carry: only a join can help, and that may be
    refused."""
    return machine.bond(one.mac) is None and one.holder in one.nics and one.holder not in can


def _is_own(machine: Machine, one: Hardware) -> bool:
    bond = machine.bond(one.mac)
    return one.holder in (*one.nics, bond.ifindex if bond else 0)


def _is_tc(vf: Device) -> bool:
    return any(name.startswith("failoverd-vf-") for name in vf.altnames)


def _marks(device: Device) -> set[str]:
    """Return the MACs for which a bond is marked."""
    found = [m["mac"] for m in map(MARK.fullmatch, device.altnames) if m]
    return {":".join(mac[at : at + 2] for at in range(0, 12, 2)) for mac in found}


@dataclass(frozen=True, slots=True)
class Space:
    """One look at the network namespaces of a machine with declared links."""

    seen: Mapping[str, Sequence[Seen]]
    """The devices of each namespace by its name, "" for failoverd's own."""
    declared: Declared
    strangers: frozenset[tuple[str, str]]
    """Namespaces and names of devices that others have made."""
    identity: Identity

    def place(self, end: End) -> str | None:
        """Return the namespace that an end belongs into, None where it is not there."""
        name = end.namespace.value
        return name if name in self.seen else None

    def marked(self, end: End) -> list[tuple[str, Seen]]:
        """Return the devices that bear an end's mark, with their namespaces."""
        mark = self.identity.mark(end.name)
        return [(name, one) for name, found in self.seen.items() for one in found if mark in one.altnames]


def others_devices_stay(space: Space) -> Iterator[str]:
    """No device that others have made is deleted or renamed."""
    there = {(name, one.name) for name, found in space.seen.items() for one in found}
    yield from (
        f"{name} of others in {where or 'the own namespace'} is gone" for where, name in space.strangers - there
    )


def declared_is_there(space: Space) -> Iterator[str]:
    """Each end whose namespaces are there is, once, as it was declared; nothing else of failoverd's is."""
    for end in space.declared.values():
        peer = space.declared.get(end.peer)
        can_be = space.place(end) is not None and (not end.peer or (peer is not None and space.place(peer) is not None))
        if end.kind == EXISTING:
            found = [("", one) for one in space.seen[""] if one.name == end.device]
        else:
            found = space.marked(end)
        if [where for where, _ in found] != ([space.place(end)] if can_be else []):
            yield f"{end.name} is in {[where for where, _ in found]}, and should {'be there' if can_be else 'not be'}"
        yield from (f"{end.name}: {text}" for _, one in found for text in _unlike(space, end, one))
    marks = {space.identity.mark(name) for name in space.declared}
    # A namespace that no declaration names any more is not looked at by a daemon that is started then, and a veth in
    # another one whose peer is there cannot be proven to be failoverd's.
    looked_at = {"", *(end.namespace.value for end in space.declared.values())}
    for name in space.seen if space.seen.keys() <= looked_at else ("",):
        for one in space.seen[name]:
            if left := [mark for mark in one.altnames if mark.startswith(space.identity.prefix) and mark not in marks]:
                yield f"{one.name} in {name or 'the own namespace'} is left of {left}"


def _unlike(space: Space, end: End, one: Seen) -> Iterator[str]:
    """Yield what of a device is not as declared."""
    if one.up != end.up:
        yield f"up is {one.up}"
    if missing := set(end.addresses) - set(one.addresses):
        yield f"without {sorted(missing)}"
    if end.mtu and one.mtu != end.mtu:
        yield f"its MTU is {one.mtu}"
    if end.kind != EXISTING and (one.name, one.mac) != (end.device, space.identity.mac(end.name)):
        yield f"it is {one.name} with the MAC {one.mac}"
    for port in (space.declared[ref.value] for ref in end.ports if ref.value in space.declared):
        yield from (f"{port.name} is no port of it" for _, p in space.marked(port) if p.master != end.device)


LINKS_ALWAYS, LINKS_SOON = (others_devices_stay,), (declared_is_there,)
"""Of declared links: what holds at any moment, and what within some seconds of quiet."""
