"""The link watch, which reports carrier changes in its own time (net/core/link_watch.c).

It is modelled because a daemon notices it. The loss of a plain NIC's carrier is not urgent, and such events go out at
most once a second for the whole system. So after any unrelated event, the one that matters can be 0.9 s late. Urgent
events (the ports of a bond, a bond, a VLAN, any carrier that comes back) go out as soon as the rtnl lock is free. From
6.8 on, a query of a single link sends that link's pending event at once; before, the answer is right and the event
still waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel.state import Device
from failoverd_lab.simkernel.timers import Timer

if TYPE_CHECKING:
    from failoverd_lab.simkernel.system import System

SPACING = 1.0
"""Seconds between two rounds of events that are not urgent."""


class LinkWatch:
    """The queue of devices with an unreported carrier change."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._queue: list[Device] = []
        self._next = system.now
        self._timer: Timer | None = None

    def set_carrier(self, device: Device, on: bool) -> None:
        """netif_carrier_on() and netif_carrier_off()."""
        if device.carrier == on:
            return
        device.carrier = on
        device.ups += on
        device.downs += not on
        self._fire(device)

    def sync(self, device: Device) -> None:
        """linkwatch_sync_dev(): send a pending event of this device now."""
        if device in self._queue:
            self._queue.remove(device)
            self._tell(device)

    def forget(self, device: Device) -> None:
        """Drop a device that is gone."""
        if device in self._queue:
            self._queue.remove(device)
        device.watched = False

    def _fire(self, device: Device) -> None:
        urgent = _urgent(device)
        if device not in self._queue:
            self._queue.append(device)
            device.watched = True
        elif not urgent:
            return
        self._schedule(urgent)

    def _schedule(self, urgent: bool) -> None:
        if urgent or self._next <= self._system.now:
            self._system.urgent.append(self._run)
        elif self._timer is None or self._timer.done:
            self._timer = self._system.timers.at(self._next, self._run)

    def _run(self) -> None:
        urgent_only = self._next > self._system.now
        if not urgent_only:
            self._next = self._system.now + SPACING
        batch, self._queue = self._queue, []
        for device in batch:
            if urgent_only and not _urgent(device):
                self._queue.append(device)
            elif device.net.devices.get(device.index) is device:
                self._tell(device)
        if self._queue:
            self._schedule(urgent=False)

    def _tell(self, device: Device) -> None:
        device.watched = False
        device.operstate = operstate(device)
        device.net.changed(device)


def operstate(device: Device) -> int:
    """rfc2863_policy(): derive IFLA_OPERSTATE from the carrier."""
    if device.carrier:
        return n.IF_OPER_UP
    return n.IF_OPER_LOWERLAYERDOWN if device.lower is not None or device.peer is not None else n.IF_OPER_DOWN


def _urgent(device: Device) -> bool:
    """linkwatch_urgent_event()."""
    if not device.up:
        return False
    is_linked = device.lower is not None or device.peer is not None
    return is_linked or device.slave or device.bond is not None or device.carrier
