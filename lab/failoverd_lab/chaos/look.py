"""The simulated kernel and the daemon's status as a machine for the invariants."""

from __future__ import annotations

import socket

from failoverd.core.status import masters
from failoverd.policy.health import suppressed_reason
from failoverd_lab.chaos.machine import ChaosMachine, ChaosPair
from failoverd_lab.invariants import Device, Hardware, Machine
from failoverd_lab.simkernel import state
from failoverd_lab.simkernel.net import Net
from failoverd_lab.simkernel.wire import mac_text

COOKIE = b"failoverd"
"""The cookie that marks the actions of failoverd's filters."""


def devices(net: Net) -> dict[int, Device]:
    """Return every device but loopback."""
    return {device.index: _device(device) for device in net.devices.values() if device.index != 1}


def machine(chaos: ChaosMachine) -> Machine:
    """Return the machine's present state. Devices that failoverd must not touch are not among its hardware."""
    said = masters(chaos.engine.state)["masters"] if chaos.engine is not None else None
    hindered = {*(["refused"] if chaos.faults.refused else []), *(["touched"] if chaos.touched else [])}
    found = devices(chaos.kernel.net)
    pairs = [] if chaos.config.pairing.ignore else chaos.pairs
    return Machine(found, [_hardware(chaos, pair) for pair in pairs], said, frozenset(hindered))


def _device(device: state.Device) -> Device:
    blocks = device.ingress.blocks.values()
    filters = (one for block in blocks for proto in block.protos for one in proto.filters)
    ours = sum(any(action.cookie == COOKIE for action in one.actions) for one in filters)
    bond = device.bond
    return Device(
        device.index,
        device.name,
        device.kind,
        mac_text(device.mac),
        device.master.index if device.master else 0,
        device.up,
        device.running,
        device.medium,
        device.mtu,
        bond.active.index if bond is not None and bond.active else 0,
        device.lower.index if device.lower else 0,
        tuple(device.altnames),
        ours,
        device.max_mtu,
    )


def _hardware(chaos: ChaosMachine, pair: ChaosPair) -> Hardware:
    holder = chaos.holder(pair)
    raw = socket.inet_aton(pair.address)
    count = sum(any(one.local == raw for one in device.v4) for device in chaos.kernel.net.devices.values())
    vfs = tuple(index for index in (pair.vf, pair.vf2) if chaos.device(index) is not None)
    if holder is not None and len(vfs) > 1 and holder.index in vfs and holder.master is None:
        # Another program's: of two VFs with one MAC neither is joined, and the pair has lost its address.
        holder = None
    return Hardware(
        pair.mac,
        pair.nic if chaos.device(pair.nic) is not None else 0,
        vfs,
        pair.address,
        holder.index if holder is not None else 0,
        chaos.kernel.path_to(pair.address) or 0,
        is_doubled=count > 1,
        wants_up=pair.wants_up,
        automatic=_is_automatic(chaos, pair),
    )


def _is_automatic(chaos: ChaosMachine, pair: ChaosPair) -> bool:
    known = chaos.engine.state.pairs.get(pair.mac) if chaos.engine is not None else None
    is_ordered = known is None or known.orders.drain is not None or known.held or not known.joined
    if is_ordered or not chaos.config.failback.automatic:
        return False
    return known is not None and not suppressed_reason(known.health.damping, chaos.config.damping)
