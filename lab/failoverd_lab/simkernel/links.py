"""RTM_GETLINK, NEWLINK, SETLINK, DELLINK and the properties (net/core/rtnetlink.c of 6.1).

A request is not a transaction: changes before the refused part stay, in the kernel and here.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

from failoverd_lab.simkernel import devices, linkmsg, linkspec, moves, nsidmsg, wire
from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel.linkmsg import IFINFO
from failoverd_lab.simkernel.net import Event, Net
from failoverd_lab.simkernel.requests import Reply, Request, Row, name_of, number_of
from failoverd_lab.simkernel.state import Device, Refused

UNKNOWN = "Unknown device type"


def get(net: Net, request: Request) -> list[Reply]:
    """RTM_GETLINK for one device. From Linux 6.8 on, a pending carrier change is reported first."""
    device = _found(net, request)
    if net.release >= (6, 8):
        net.watch.sync(device)
    return [(n.RTM_NEWLINK, linkmsg.body(device))]


def dump(net: Net, request: Request) -> Iterator[Row]:
    """RTM_GETLINK with NLM_F_DUMP, by ifindex; looks at the table anew for every row."""
    wanted = request.attrs(IFINFO).get(n.IFLA_MASTER)
    last = 0
    while following := [i for i in net.devices if i > last]:
        last = min(following)
        device = net.devices[last]
        if wanted is None or (device.master is not None and device.master.index == wire.number(wanted)):
            yield n.RTM_NEWLINK, linkmsg.body(device), net.link_seq


def new(net: Net, request: Request) -> list[Reply]:
    """RTM_NEWLINK: change a device, or create one."""
    attrs = _checked(request)
    # From 6.14 on, a device that is to be created elsewhere is looked for there (rtnl_newlink).
    device = _find(nsidmsg.target(net, attrs) if net.release >= (6, 14) else net, request, attrs)
    info = wire.table(attrs.get(n.IFLA_LINKINFO, b""))
    if device is None:
        _create(net, request, attrs, info)
        return []
    if request.wants(n.NLM_F_EXCL):
        raise Refused(errno.EEXIST)
    if request.wants(n.NLM_F_REPLACE):
        raise Refused(errno.EOPNOTSUPP)
    if n.IFLA_INFO_DATA in info:
        if not device.kind or wire.text(info.get(n.IFLA_INFO_KIND, b"")) != device.kind:
            raise Refused(errno.EOPNOTSUPP)
        net.kinds[device.kind].change(net, device, info[n.IFLA_INFO_DATA])
    _set(net, request, device, attrs)
    if n.IFLA_INFO_DATA in info:
        net.changed(device)
    return []


def set_(net: Net, request: Request) -> list[Reply]:
    """RTM_SETLINK."""
    attrs = _checked(request)
    _set(net, request, _found(net, request), attrs)
    return []


def delete(net: Net, request: Request) -> list[Reply]:
    """RTM_DELLINK: one device, or without its name all of a group. Hardware cannot be deleted."""
    attrs = request.attrs(IFINFO)
    named = request.head(IFINFO)[2] != 0 or attrs.keys() & {n.IFLA_IFNAME, n.IFLA_ALT_IFNAME}
    if named or n.IFLA_GROUP not in attrs:
        found = [_found(net, request)]
    else:
        group = number_of(attrs[n.IFLA_GROUP])
        found = [device for device in net.devices.values() if device.group == group]
    if not found:
        raise Refused(errno.ENODEV)
    if not all(net.kinds[device.kind].deletable for device in found):
        raise Refused(errno.EOPNOTSUPP)
    for device in found:
        devices.unregister(net, device)
    return []


def properties(net: Net, request: Request) -> list[Reply]:
    """RTM_NEWLINKPROP and RTM_DELLINKPROP. Reported only for a device that is up, and not if a later name is
    refused."""
    device = _found(net, request)
    names = wire.attributes(request.attrs(IFINFO).get(n.IFLA_PROP_LIST, b""))
    for kind, payload in names:
        if kind != n.IFLA_ALT_IFNAME:
            continue
        name = name_of(payload, n.ALTIFNAMSIZ)
        if request.type == n.RTM_NEWLINKPROP:
            _add_name(net, device, name)
        else:
            _drop_name(net, device, name)
    if names:
        net.changed(device)
    return []


def _add_name(net: Net, device: Device, name: str) -> None:
    if net.device(name) is not None:
        raise Refused(errno.EEXIST)
    device.altnames.append(name)


def _drop_name(net: Net, device: Device, name: str) -> None:
    owner = net.device(name)
    if owner is None:
        raise Refused(errno.ENOENT)
    if owner is not device or name == device.name:
        raise Refused(errno.EINVAL)
    device.altnames.remove(name)


def _checked(request: Request) -> dict[int, bytes]:
    """Return the attributes, after the checks of nla_policy and validate_linkmsg(), which come before any change."""
    request.head(IFINFO)
    attrs = request.attrs(IFINFO)
    if n.IFLA_IFNAME in attrs:
        name_of(attrs[n.IFLA_IFNAME])
    if len(attrs.get(n.IFLA_ADDRESS, bytes(6))) < 6:
        raise Refused(errno.EINVAL)
    return attrs


def _find(net: Net, request: Request, attrs: dict[int, bytes]) -> Device | None:
    """Find a device by ifindex where one is given, else by name or alternative name."""
    _, _, index, _, _ = request.head(IFINFO)
    if index > 0:
        return net.devices.get(index)
    if n.IFLA_IFNAME in attrs:
        return net.device(name_of(attrs[n.IFLA_IFNAME]))
    if n.IFLA_ALT_IFNAME in attrs:
        return net.device(name_of(attrs[n.IFLA_ALT_IFNAME], n.ALTIFNAMSIZ))
    return None


def _found(net: Net, request: Request) -> Device:
    attrs = request.attrs(IFINFO)
    device = _find(net, request, attrs)
    if device is None:
        named = request.head(IFINFO)[2] != 0 or n.IFLA_IFNAME in attrs or n.IFLA_ALT_IFNAME in attrs
        raise Refused(errno.ENODEV if named else errno.EINVAL)
    return device


def _set(net: Net, request: Request, device: Device, attrs: dict[int, bytes]) -> None:
    """do_setlink(), in its order: "up" comes before "master"."""
    linkspec.check(device, attrs)
    _, _, index, flags, change = request.head(IFINFO)
    name = wire.text(attrs.get(n.IFLA_IFNAME, b""))
    if attrs.keys() & {n.IFLA_NET_NS_PID, n.IFLA_NET_NS_FD}:
        there = nsidmsg.target(net, attrs)
        moves.move(device, there, name, number_of(attrs[n.IFLA_NEW_IFINDEX]) if n.IFLA_NEW_IFINDEX in attrs else 0)
        net = there
    if n.IFLA_ADDRESS in attrs:
        devices.set_mac(net, device, attrs[n.IFLA_ADDRESS])
    if n.IFLA_MTU in attrs:
        devices.set_mtu(net, device, number_of(attrs[n.IFLA_MTU]))
    if index > 0 and name:
        devices.rename(net, device, name)
    if flags or change:
        devices.change_flags(net, device, flags, change)
    if n.IFLA_MASTER in attrs:
        devices.set_master(net, device, number_of(attrs[n.IFLA_MASTER]))
    is_renewed = linkspec.change(device, attrs)
    if _describe(device, attrs) or is_renewed:
        net.changed(device)


def _describe(device: Device, attrs: dict[int, bytes]) -> bool:
    """Set the attributes that are only descriptive; returns whether there were any."""
    device.queue_length = number_of(attrs[n.IFLA_TXQLEN]) if n.IFLA_TXQLEN in attrs else device.queue_length
    device.group = number_of(attrs[n.IFLA_GROUP]) if n.IFLA_GROUP in attrs else device.group
    device.alias = wire.text(attrs[n.IFLA_IFALIAS]) if n.IFLA_IFALIAS in attrs else device.alias
    return bool(attrs.keys() & {n.IFLA_TXQLEN, n.IFLA_GROUP, n.IFLA_IFALIAS})


def _create(net: Net, request: Request, attrs: dict[int, bytes], info: dict[int, bytes]) -> None:
    """rtnl_newlink_create()."""
    _, _, index, flags, _ = request.head(IFINFO)
    if not request.wants(n.NLM_F_CREATE):
        raise Refused(errno.ENODEV)
    kind = wire.text(info.get(n.IFLA_INFO_KIND, b""))
    if not kind or kind not in net.kinds:
        raise Refused(errno.EOPNOTSUPP, UNKNOWN)
    mac = attrs.get(n.IFLA_ADDRESS, b"")[:6]
    if mac:
        devices.check_mac(mac)
    name = wire.text(attrs[n.IFLA_IFNAME]) if n.IFLA_IFNAME in attrs else kind + "%d"
    there = nsidmsg.target(net, attrs)
    device = Device(index, devices.valid_name(there, name), mac or net.system.random_mac(), kind)
    device.net = there
    if index in there.devices:
        raise Refused(errno.EBUSY)
    device.assigned = "set" if mac else "random"
    if n.IFLA_MTU in attrs:
        device.mtu = number_of(attrs[n.IFLA_MTU])
    net.kinds[kind].create(net, device, attrs, info.get(n.IFLA_INFO_DATA, b""))
    net = there
    device.index = index or net.new_index()
    devices.register(net, device)
    if flags & n.IFF_UP:
        device.flags |= n.IFF_UP
        net.kinds[kind].open(net, device)
        devices.activate(device)
    devices.tell(net, device)
    if device.up:
        net.call(Event.UP, device)
    if n.IFLA_MASTER in attrs:
        devices.set_master(net, device, number_of(attrs[n.IFLA_MASTER]))
