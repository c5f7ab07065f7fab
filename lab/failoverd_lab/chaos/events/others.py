"""Administrators and other programs change devices."""

from __future__ import annotations

from failoverd_lab.chaos.events.base import link, target
from failoverd_lab.chaos.machine import ChaosMachine, ChaosPair
from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire
from failoverd_lab.simkernel.state import Device


def admin(chaos: ChaosMachine, pair: ChaosPair, t: str, on: bool) -> None:
    """A device is brought up or taken down."""
    if (device := target(chaos, pair, t)) is not None:
        chaos.kernel.admin.set_up(device.index, on)


def rename(chaos: ChaosMachine, pair: ChaosPair, t: str, name: str) -> None:
    """A device gets another name; on an old kernel it is taken down for that moment."""
    if (device := target(chaos, pair, t)) is not None:
        _rename(chaos, device, name)


def _rename(chaos: ChaosMachine, device: Device, name: str) -> None:
    must_be_down = device.up and chaos.kernel.net.release < (6, 2)
    if must_be_down:
        chaos.kernel.admin.set_up(device.index, False)
    try:
        chaos.kernel.admin.rename(device.index, name)
    finally:
        if must_be_down:
            chaos.kernel.admin.set_up(device.index, True)


def swap(chaos: ChaosMachine, pair: ChaosPair, t: str, t2: str, p2: int) -> None:
    """Two devices exchange their names."""
    one, other = target(chaos, pair, t), target(chaos, chaos.pairs[p2 % len(chaos.pairs)], t2)
    if one is not None and other is not None and one is not other:
        first, second = one.name, other.name
        _rename(chaos, one, "swap%d")
        _rename(chaos, other, first)
        _rename(chaos, one, second)


def grab(chaos: ChaosMachine, pair: ChaosPair, t: str, by: str) -> None:
    """Another program's bridge or bond enslaves a device."""
    device, master = target(chaos, pair, t), chaos.foreign["br9" if by == "bridge" else "bond9"]
    if device is None:
        return
    if by == "bond" and device.up:
        chaos.kernel.admin.set_up(device.index, False)
    chaos.kernel.admin.set_master(device.index, master)


def ungrab(chaos: ChaosMachine, pair: ChaosPair, t: str) -> None:
    """Another program's bridge or bond lets a device go."""
    device = target(chaos, pair, t)
    if device is None or device.master is None or device.master.index not in chaos.foreign.values():
        return
    was_bond = device.master.kind == "bond"
    chaos.kernel.admin.set_master(device.index, 0)
    if was_bond:
        chaos.kernel.admin.set_up(device.index, True)


def free(chaos: ChaosMachine, pair: ChaosPair, t: str) -> None:
    """A device is taken out of its master."""
    device = target(chaos, pair, t)
    if device is not None and device.master is not None:
        chaos.kernel.admin.set_master(device.index, 0)


def mtu(chaos: ChaosMachine, pair: ChaosPair, t: str, mtu: int) -> None:
    """A device gets another MTU."""
    if (device := target(chaos, pair, t)) is not None:
        chaos.kernel.admin.set_mtu(device.index, mtu)


def mac(chaos: ChaosMachine, pair: ChaosPair, t: str, mac: str) -> None:
    """A device gets another MAC, or its own."""
    if (device := target(chaos, pair, t)) is not None:
        chaos.touched.add("mac")
        chaos.kernel.admin.set_mac(device.index, pair.mac if mac == "own" else mac)


def altname(chaos: ChaosMachine, pair: ChaosPair, t: str, name: str) -> None:
    """A device gets an alternative name."""
    if (device := target(chaos, pair, t)) is not None:
        chaos.kernel.admin.add_altname(device.index, name)


def no_altname(chaos: ChaosMachine, pair: ChaosPair, t: str, which: int) -> None:
    """A device loses an alternative name, which may be a mark of failoverd's."""
    device = target(chaos, pair, t)
    if device is not None and device.altnames:
        chaos.touched.add("mark")
        name = wire.string(n.IFLA_ALT_IFNAME, device.altnames[which % len(device.altnames)])
        link(chaos, n.RTM_DELLINKPROP, device.index, wire.nest(n.IFLA_PROP_LIST, name))


def vlan(chaos: ChaosMachine, pair: ChaosPair, t: str, id: int) -> None:  # noqa: A002 (the event's key)
    """A VLAN is made on top of a device."""
    if (device := target(chaos, pair, t)) is not None:
        data = wire.u16(n.IFLA_VLAN_ID, id)
        chaos.kernel.admin.create("vlan", f"vl{pair.number}.{id}", data=data, lower=device.index)


def no_vlan(chaos: ChaosMachine, _pair: ChaosPair) -> None:
    """The oldest VLAN is deleted."""
    vlans = [device for device in chaos.kernel.net.devices.values() if device.kind == "vlan"]
    if vlans:
        chaos.kernel.admin.delete(vlans[0].index)


def qdisc(chaos: ChaosMachine, pair: ChaosPair, t: str, kind: str) -> None:
    """A device gets another program's qdisc, or loses it."""
    if (device := target(chaos, pair, t)) is None:
        return
    chaos.touched.add("tc")
    if kind in ("del", "no-root"):
        chaos.kernel.admin.del_qdisc(device.index, n.TC_H_ROOT if kind == "no-root" else n.TC_H_CLSACT)
    else:
        chaos.kernel.admin.add_qdisc(device.index, kind, 0 if kind == "clsact" else 0x10000)


def filter_(chaos: ChaosMachine, pair: ChaosPair, t: str, hook: str, kind: str, prio: int, off: bool) -> None:
    """Another program's filter comes or goes."""
    if (device := target(chaos, pair, t)) is None:
        return
    chaos.touched.add("tc")
    minor = n.TC_H_MIN_INGRESS if hook == "in" else n.TC_H_MIN_EGRESS
    if off:
        chaos.kernel.admin.del_filter(device.index, minor, prio)
    else:
        chaos.kernel.admin.add_filter(device.index, minor, kind, prio)


def xdp(chaos: ChaosMachine, pair: ChaosPair, t: str, on: bool) -> None:
    """Another program's XDP program comes or goes."""
    if (device := target(chaos, pair, t)) is not None:
        chaos.touched.add("tc")
        chaos.kernel.admin.set_xdp(device.index, 5 if on else -1)
