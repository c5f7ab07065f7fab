"""Other programs add and remove addresses and routes."""

from __future__ import annotations

import socket
import struct

from failoverd_lab.chaos import ledger
from failoverd_lab.chaos.events.base import ask, target
from failoverd_lab.chaos.machine import ChaosMachine, ChaosPair
from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire
from failoverd_lab.simkernel.inetmsg import IFADDR
from failoverd_lab.simkernel.state import Device


def address(chaos: ChaosMachine, pair: ChaosPair, t: str, cidr: str, valid: int = 0) -> None:
    """A device gets an address, for `valid` seconds or for ever. On a slave it is a stray, which failoverd may
    remove."""
    if (device := target(chaos, pair, t)) is None:
        return
    cidr = cidr.format(p=pair.number)
    item = ledger.address(cidr)
    if _is_slave(chaos, pair, device):
        chaos.strays.add(item)
    text, _, length = cidr.partition("/")
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    raw = socket.inet_pton(family, text)
    flags = n.IFA_F_NODAD if family == socket.AF_INET6 else 0
    body = IFADDR.pack(int(family), int(length), flags, 0, device.index)
    body += wire.attr(n.IFA_LOCAL, raw) + wire.attr(n.IFA_ADDRESS, raw)
    if valid:
        body += wire.attr(n.IFA_CACHEINFO, struct.pack("=IIII", valid // 2, valid, 0, 0))
    ask(chaos, n.RTM_NEWADDR, body, n.NLM_F_CREATE | n.NLM_F_EXCL)
    if ledger.configuration(chaos.kernel.net)[item] > 1:
        chaos.doubled.add(item)


def _is_slave(chaos: ChaosMachine, pair: ChaosPair, device: Device) -> bool:
    """Return whether this is a slave, or may become one at any moment."""
    return device is not (chaos.bond(pair) or chaos.device(pair.nic)) or device.master is not None


def drop_address(chaos: ChaosMachine, _pair: ChaosPair, cidr: str) -> None:
    """The program that added an address removes it, wherever it is."""
    raw = socket.inet_aton(cidr.partition("/")[0])
    for device in chaos.kernel.net.devices.values():
        if any(one.local == raw for one in device.v4):
            chaos.kernel.admin.del_address(device.index, cidr)
            return


def no_address(chaos: ChaosMachine, pair: ChaosPair, t: str, which: int) -> None:
    """A device loses one of its addresses."""
    if (device := target(chaos, pair, t)) is None:
        return
    found = [a for a in (*device.v4, *device.v6) if a.family == n.AF_INET or a.scope != n.RT_SCOPE_LINK]
    if found:
        one = found[which % len(found)]
        family = socket.AF_INET if one.family == n.AF_INET else socket.AF_INET6
        cidr = f"{socket.inet_ntop(family, one.local)}/{one.prefixlen}"
        if chaos.engine is not None or not any(journal.cut for journal in chaos.store.kept.journals.values()):
            # Where a move was cut off, its journal is the truth, and a start brings back what is in it.
            chaos.removed.add(ledger.address(cidr))
        chaos.kernel.admin.del_address(device.index, cidr)


def route(chaos: ChaosMachine, pair: ChaosPair, t: str, dst: str, gw: str, metric: int) -> None:
    """A device gets a route. Where that is a slave or may become one, the route is a stray."""
    if (device := target(chaos, pair, t)) is None:
        return
    if _is_slave(chaos, pair, device):
        chaos.strays.add(("route", ""))
    dst, gateway = dst.format(p=pair.number), gw.format(p=pair.number)
    chaos.kernel.admin.add_route(dst, device.index, gateway, metric)


def no_route(chaos: ChaosMachine, pair: ChaosPair, t: str, which: int) -> None:
    """A device loses one of its routes."""
    device, net = target(chaos, pair, t), chaos.kernel.net
    found = [r for r in net.routes if device and r.protocol == n.RTPROT_STATIC and r.leads_through(device.index)]
    if found:
        net.routes.remove(found[which % len(found)])
