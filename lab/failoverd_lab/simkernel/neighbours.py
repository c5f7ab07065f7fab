"""Permanent neighbours, proxies and address labels (net/core/neighbour.c, net/ipv6/addrlabel.c).

Nothing is learned here: the tables have only entries that were added by request. A device that goes down loses its
neighbours and its proxies, and keeps its labels until it is gone.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire
from failoverd_lab.simkernel.net import Event, Net
from failoverd_lab.simkernel.requests import Reply, Request, Row
from failoverd_lab.simkernel.state import Device, Entry, Label, Refused

NDMSG = struct.Struct("=BxxxiHBB")
ADDRLABEL = struct.Struct("=BxBBII")
SIZES = {n.AF_INET: 4, n.AF_INET6: 16}


def new(net: Net, request: Request) -> list[Reply]:
    """RTM_NEWNEIGH. Raises Refused."""
    family, index, state, flags, _ = request.head(NDMSG)
    attrs = request.attrs(NDMSG)
    if len(attrs.get(n.NDA_DST, b"")) != SIZES.get(family):
        raise Refused(errno.EINVAL, "Network address not specified")
    if index not in net.devices:
        raise Refused(errno.ENODEV)
    proxy = bool(flags & n.NTF_PROXY)
    entry = Entry(index, family, attrs[n.NDA_DST], proxy, 0 if proxy else state, attrs.get(n.NDA_LLADDR, b""))
    old = next((e for e in net.neighbours if _place(e) == _place(entry)), None)
    if old is not None and not proxy and request.wants(n.NLM_F_EXCL):
        raise Refused(errno.EEXIST)
    if old is not None:
        net.neighbours.remove(old)
    net.neighbours.append(entry)
    return []


def dump(net: Net, request: Request) -> Iterator[Row]:
    """RTM_GETNEIGH: the neighbours, or with NTF_PROXY the proxy entries, of one device where it is named."""
    flags = request.head(NDMSG)[3]
    only = wire.number(request.attrs(NDMSG).get(n.NDA_IFINDEX, b"\0"))
    for entry in list(net.neighbours):
        if entry.proxy == bool(flags & n.NTF_PROXY) and only in (0, entry.index):
            head = NDMSG.pack(entry.family, entry.index, entry.state, n.NTF_PROXY if entry.proxy else 0, 1)
            lladdr = wire.attr(n.NDA_LLADDR, entry.lladdr) if entry.lladdr else b""
            yield n.RTM_NEWNEIGH, head + wire.attr(n.NDA_DST, entry.dst) + lladdr, 1


def new_label(net: Net, request: Request) -> list[Reply]:
    """RTM_NEWADDRLABEL. Raises Refused."""
    _, length, _, index, _ = request.head(ADDRLABEL)
    attrs = request.attrs(ADDRLABEL)
    if n.IFAL_ADDRESS not in attrs or n.IFAL_LABEL not in attrs or (index and index not in net.devices):
        raise Refused(errno.EINVAL)
    label = Label(index, attrs[n.IFAL_ADDRESS], length, wire.number(attrs[n.IFAL_LABEL]))
    if any((old.index, old.prefix, old.length) == (index, label.prefix, length) for old in net.labels):
        raise Refused(errno.EEXIST)
    net.labels.append(label)
    return []


def dump_labels(net: Net, _request: Request) -> Iterator[Row]:
    """RTM_GETADDRLABEL."""
    for label in list(net.labels):
        head = ADDRLABEL.pack(n.AF_INET6, label.length, 0, label.index, 0)
        attrs = wire.attr(n.IFAL_ADDRESS, label.prefix) + wire.u32(n.IFAL_LABEL, label.label)
        yield n.RTM_NEWADDRLABEL, head + attrs, 1


def follow(net: Net, event: Event, device: Device) -> None:
    """neigh_ifdown() and pneigh_ifdown(); labels go with their device (ip6addrlbl_notify is the administrator's)."""
    if event in (Event.DOWN, Event.UNREGISTER):
        net.neighbours[:] = [entry for entry in net.neighbours if entry.index != device.index]
    elif event is Event.CHANGEADDR:
        # neigh_changeaddr(), also where the MAC is set to the present one.
        net.neighbours[:] = [entry for entry in net.neighbours if entry.index != device.index or entry.proxy]


def _place(entry: Entry) -> object:
    return (entry.index, entry.family, entry.dst, entry.proxy)
