"""The state of one network namespace, and what all parts of the simulated kernel need of it: tables, events, groups.

The parts do not call each other. As in the kernel, a part that changes a device calls a chain of notifiers, and each
other part (addresses, routes, VLANs, bonding) handles what concerns it. The order of the chain is the order in which
the parts were added, and is visible from outside: it is the order of the notifications.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import Protocol

from failoverd_lab.simkernel import linkmsg
from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel.conf import DEFAULTS
from failoverd_lab.simkernel.nsids import UNKNOWN, Nsids
from failoverd_lab.simkernel.rulestate import first_rules
from failoverd_lab.simkernel.state import Device, Entry, Label, Refused, Route
from failoverd_lab.simkernel.system import System
from failoverd_lab.simkernel.tcstate import Mirred
from failoverd_lab.simkernel.wire import Message


class Event(Enum):
    """The netdevice notifier's events that some part handles (include/linux/netdevice.h)."""

    UP = auto()
    DOWN = auto()
    CHANGE = auto()
    CHANGENAME = auto()
    CHANGEADDR = auto()
    CHANGEMTU = auto()
    NOTIFY_PEERS = auto()
    UNREGISTER = auto()


class Listener(Protocol):
    """A socket, as far as a sender of notifications needs it."""

    groups: set[int]
    hears_all: bool
    """NETLINK_LISTEN_ALL_NSID."""

    def deliver(self, message: bytes, nsid: int | None = None) -> None:
        """Queue it, or note the overrun. `nsid` is the number of the namespace that it is about."""


class LinkKind:
    """The operations that a driver or a kind of device can override (net_device_ops and rtnl_link_ops), with plain
    defaults."""

    name = ""
    deletable = True
    master = False
    """Whether other devices can be put in it (ndo_add_slave)."""

    def create(self, net: Net, device: Device, attrs: dict[int, bytes], data: bytes) -> None:
        """Take the kind's own attributes in the creating message. Raises Refused."""

    def change(self, _net: Net, _device: Device, _data: bytes) -> None:
        """Apply new IFLA_INFO_DATA to an existing device. Raises Refused."""
        raise Refused(errno.EOPNOTSUPP)

    def open(self, net: Net, device: Device) -> None:
        """Called when the device is brought up. Raises Refused to keep it down."""

    def stop(self, net: Net, device: Device) -> None:
        """Called when the device was taken down."""

    def set_mtu(self, net: Net, device: Device, mtu: int) -> None:
        """Called before the MTU changes. Raises Refused."""

    def set_mac(self, _net: Net, device: Device, mac: bytes) -> None:
        """Change the MAC. Raises Refused."""
        device.mac = mac

    def add_slave(self, _net: Net, _master: Device, _device: Device) -> None:
        """Put a device in this master. Raises Refused."""
        raise Refused(errno.EOPNOTSUPP)

    def del_slave(self, net: Net, master: Device, device: Device) -> None:
        """Take a device out of this master."""

    def removed(self, net: Net, device: Device) -> None:
        """Called before the device vanishes: release everything that it holds."""


Notifier = Callable[["Net", Event, Device], None]


class Net:
    """One namespace. `link_seq` and `address_seq` count changes, for dumps to notice them."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.alive = True
        self.clock, self.release, self.born = system.clock, system.release, system.clock()
        self.timers, self.watch, self.urgent = system.timers, system.watch, system.urgent
        self.kinds, self.chain = system.kinds, system.chain
        self.nsids = Nsids(self)
        self.devices: dict[int, Device] = {}
        self.routes: list[Route] = []
        self.mirreds: dict[int, Mirred] = {}
        self.sockets: list[Listener] = []
        self.announcements: list[tuple[float, int, str]] = []
        self.promote_secondaries = False
        self.default_conf = dict(DEFAULTS)
        self.neighbours: list[Entry] = []
        self.labels: list[Label] = []
        self.rules = first_rules()
        self.link_seq = 1
        self.address_seq = 1
        self._next_index = 1
        system.nets.append(self)

    @property
    def now(self) -> float:
        """Return the time in seconds of the caller's clock."""
        return self.clock()

    def new_index(self) -> int:
        """Return the next free ifindex; none is ever used twice."""
        while self._next_index in self.devices:
            self._next_index += 1
        self._next_index += 1
        return self._next_index - 1

    def device(self, name: str) -> Device | None:
        """Find a device by name or alternative name."""
        return next((d for d in self.devices.values() if name == d.name or name in d.altnames), None)

    def name_for(self, template: str) -> str:
        """Turn `eth%d` into a name with the first free number (dev_alloc_name)."""
        return next(t for t in map(template.replace("%d", "{}").format, range(1 << 15)) if not self.device(t))

    def uppers_of(self, device: Device, *kinds: str) -> Iterator[Device]:
        """Yield the devices of these kinds that stand on a device, in whatever namespace."""
        everywhere = (d for net in self.system.nets for d in net.devices.values())
        return iter([d for d in everywhere if d.lower is device and d.kind in kinds])

    def call(self, event: Event, device: Device) -> None:
        """Run the notifier chain."""
        for notifier in self.chain:
            notifier(self, event, device)

    def publish(self, group: int, *messages: Message) -> None:
        """Send every socket in a group a datagram of one message, or of several (do_one_broadcast).

        One that hears all namespaces hears those that have a number in its own.
        """
        packed = b"".join(message.pack() for message in messages)
        for net in self.system.nets:
            number = net.nsids.number_of(self)
            for sock in list(net.sockets):
                if group in sock.groups and (net is self or (sock.hears_all and number != UNKNOWN)):
                    sock.deliver(packed, None if number == UNKNOWN else number)

    def announce_link(self, device: Device, change: int = 0, kind: int = n.RTM_NEWLINK) -> None:
        """rtmsg_ifinfo(): send a message to the group of links. Header pid and seq are 0 whatever its cause.

        No message is sent about a device that is being made or already being removed.
        """
        if device.registered:
            self.publish(n.RTNLGRP_LINK, Message(kind, 0, 0, 0, linkmsg.body(device, change)))

    def announce_port(self, device: Device, kind: int = n.RTM_NEWLINK) -> None:
        """br_ifinfo_notify(): the same group, family AF_BRIDGE."""
        self.publish(n.RTNLGRP_LINK, Message(kind, 0, 0, 0, linkmsg.bridge_body(device)))

    def changed(self, device: Device) -> None:
        """netdev_state_change(): sends nothing about a device that is down."""
        if device.up:
            self.call(Event.CHANGE, device)
            self.announce_link(device)
