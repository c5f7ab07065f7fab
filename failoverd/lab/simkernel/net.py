"""The state of one network namespace and what every part of the simulated kernel calls: tables, events, groups.

The parts do not call each other. As in the kernel, who changes a device tells a chain of notifiers, and each part
(addresses, routes, VLANs, bonding) takes from it what concerns it. The order of the chain is the order in which the
parts were added, and it can be seen from outside: it is the order of the notifications.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import Protocol

from failoverd.lab.simkernel import linkmsg
from failoverd.lab.simkernel import uapi as n
from failoverd.lab.simkernel.linkwatch import LinkWatch
from failoverd.lab.simkernel.state import Device, Refused, Route
from failoverd.lab.simkernel.tcstate import Mirred
from failoverd.lab.simkernel.timers import Timers
from failoverd.lab.simkernel.wire import Message


class Event(Enum):
    """The netdevice notifier's events that somebody here listens to (include/linux/netdevice.h)."""

    UP = auto()
    DOWN = auto()
    CHANGE = auto()
    CHANGENAME = auto()
    CHANGEADDR = auto()
    CHANGEMTU = auto()
    NOTIFY_PEERS = auto()
    UNREGISTER = auto()


class Listener(Protocol):
    """A socket, as far as a sender of notifications cares."""

    groups: set[int]

    def deliver(self, message: bytes) -> None:
        """Queue it, or note the overrun."""


class Kind:
    """What a driver or a kind of device does its own way (net_device_ops and rtnl_link_ops). This does little."""

    name = ""
    deletable = True
    master = False
    """Whether other devices can be put in it (ndo_add_slave)."""

    def create(self, net: Net, device: Device, attrs: dict[int, bytes], data: bytes) -> None:
        """Take the kind's own attributes in the creating message. Raises Refused."""

    def change(self, _net: Net, _device: Device, _data: bytes) -> None:
        """New IFLA_INFO_DATA for a device that exists. Raises Refused."""
        raise Refused(errno.EOPNOTSUPP)

    def open(self, net: Net, device: Device) -> None:
        """It was brought up. Raises Refused, and then it is not."""

    def stop(self, net: Net, device: Device) -> None:
        """It was taken down."""

    def set_mtu(self, net: Net, device: Device, mtu: int) -> None:
        """Before the MTU changes. Raises Refused."""

    def set_mac(self, _net: Net, device: Device, mac: bytes) -> None:
        """Change the MAC. Raises Refused."""
        device.mac = mac

    def add_slave(self, _net: Net, _master: Device, _device: Device) -> None:
        """Put a device in this master. Raises Refused."""
        raise Refused(errno.EOPNOTSUPP)

    def del_slave(self, net: Net, master: Device, device: Device) -> None:
        """Take a device out of this master."""

    def removed(self, net: Net, device: Device) -> None:
        """It is about to vanish: let go what it holds."""


Notifier = Callable[["Net", Event, Device], None]


class Net:
    """One namespace. `link_seq` and `address_seq` count changes, for dumps to notice them."""

    def __init__(self, clock: Callable[[], float], release: tuple[int, int]) -> None:
        self.clock = clock
        self.release = release
        self.born = clock()
        self.timers = Timers()
        self.watch = LinkWatch(self)
        self.kinds: dict[str, Kind] = {}
        self.devices: dict[int, Device] = {}
        self.routes: list[Route] = []
        self.mirreds: dict[int, Mirred] = {}
        self.sockets: list[Listener] = []
        self.chain: list[Notifier] = []
        self.urgent: list[Callable[[], None]] = []
        self.announcements: list[tuple[float, int, str]] = []
        self.promote_secondaries = False
        self.link_seq = 1
        self.address_seq = 1
        self._next_index = 1
        self._dice = random.Random(0)  # noqa: S311 (reproducible MACs, not secrets)

    @property
    def now(self) -> float:
        """Seconds of the caller's clock."""
        return self.clock()

    def new_index(self) -> int:
        """The next free ifindex; none is ever used twice."""
        while self._next_index in self.devices:
            self._next_index += 1
        self._next_index += 1
        return self._next_index - 1

    def random_mac(self) -> bytes:
        """eth_random_addr(): local, unicast."""
        return bytes([self._dice.randrange(256) & 0xFE | 0x02]) + self._dice.randbytes(5)

    def device(self, name: str) -> Device | None:
        """By name or alternative name."""
        return next((d for d in self.devices.values() if name == d.name or name in d.altnames), None)

    def name_for(self, template: str) -> str:
        """`eth%d` to the first free number (dev_alloc_name)."""
        return next(t for t in map(template.replace("%d", "{}").format, range(1 << 15)) if not self.device(t))

    def vlans_of(self, device: Device) -> Iterator[Device]:
        """The VLAN devices on top of a device."""
        return iter([d for d in self.devices.values() if d.lower is device])

    def call(self, event: Event, device: Device) -> None:
        """Run the notifier chain."""
        for notifier in self.chain:
            notifier(self, event, device)

    def publish(self, group: int, *messages: Message) -> None:
        """Send everybody in a group a datagram of one message, or of several."""
        packed = b"".join(message.pack() for message in messages)
        for sock in self.sockets:
            if group in sock.groups:
                sock.deliver(packed)

    def announce_link(self, device: Device, change: int = 0, kind: int = n.RTM_NEWLINK) -> None:
        """rtmsg_ifinfo(): tell the group of links. Header pid and seq are 0 whoever caused it.
        A device that is only being made or already being taken away is not spoken of."""
        if device.registered:
            self.publish(n.RTNLGRP_LINK, Message(kind, 0, 0, 0, linkmsg.body(device, change)))

    def announce_port(self, device: Device, kind: int = n.RTM_NEWLINK) -> None:
        """br_ifinfo_notify(): the same group, family AF_BRIDGE."""
        self.publish(n.RTNLGRP_LINK, Message(kind, 0, 0, 0, linkmsg.bridge_body(device)))

    def changed(self, device: Device) -> None:
        """netdev_state_change(): says nothing of a device that is down."""
        if device.up:
            self.call(Event.CHANGE, device)
            self.announce_link(device)

    def settle(self) -> None:
        """Run what waits for the rtnl lock to be free: the link watch, duplicate address detection."""
        while self.urgent:
            self.urgent.pop(0)()
