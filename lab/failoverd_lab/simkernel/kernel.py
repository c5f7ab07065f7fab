"""The simulated kernel's interface: sockets for a daemon, hot-plug for a hypervisor, answers for a judge."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Collection, Iterator
from typing import Literal

import trio

from failoverd_lab.simkernel import devices, inet4, inet6, judge, neighbours, netvsc, qdiscs, sysctls
from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel.admin import Admin
from failoverd_lab.simkernel.blocking import BlockingSocket
from failoverd_lab.simkernel.bonding import Bonding, bond_follows
from failoverd_lab.simkernel.conf import value
from failoverd_lab.simkernel.handlers import DUMPERS, HANDLERS
from failoverd_lab.simkernel.kinds import Bridge, Dummy, Nic, Vlan, vlans_follow
from failoverd_lab.simkernel.moves import let_go
from failoverd_lab.simkernel.net import Net
from failoverd_lab.simkernel.requests import Reply, Request, Row
from failoverd_lab.simkernel.seen import Seen, driver, seen
from failoverd_lab.simkernel.sockets import SimSocket
from failoverd_lab.simkernel.state import Device, Refused
from failoverd_lab.simkernel.system import System
from failoverd_lab.simkernel.uppers import Ipvlan, Macvlan, Vrf, uppers_follow
from failoverd_lab.simkernel.veths import Veth
from failoverd_lab.simkernel.wire import mac_bytes

Bus = Literal["virtio", "pci", "vmbus"]


class SimKernel:
    """One network namespace of one kernel. `clock` gives seconds; `release` decides what differs between releases;
    `without` has the kinds of device that it cannot make, such as "bond".

    Nothing here waits or starts a task: the owner of the clock calls `tick` when `due` says so (see clockwork.py).
    """

    def __init__(
        self, clock: Callable[[], float], release: tuple[int, int] = (6, 1), without: Collection[str] = ()
    ) -> None:
        system, bridge = System(clock, release), Bridge()
        system.kinds |= {"": Nic(), "bond": Bonding(), "dummy": Dummy(), "vlan": Vlan(), "bridge": bridge}
        system.kinds |= {"veth": Veth(), "macvlan": Macvlan(), "ipvlan": Ipvlan(), "vrf": Vrf()}
        for kind in without:
            del system.kinds[kind]
        system.chain += [qdiscs.follow, neighbours.follow, inet4.follow, inet6.follow, sysctls.follow]
        system.chain += [vlans_follow, uppers_follow, bond_follows, bridge.follow, netvsc.follow]
        self._begin(system)

    @classmethod
    def beside(cls, other: SimKernel) -> SimKernel:
        """Return a further network namespace of the same kernel, which nothing holds yet (see namespaces.py)."""
        kernel = cls.__new__(cls)
        kernel._begin(other.net.system)
        return kernel

    def _begin(self, system: System) -> None:
        self.net = net = Net(system)
        self.admin = Admin(self)
        self._pids = 1000
        loopback = Device(net.new_index(), "lo", bytes(6), flags=n.IFF_LOOPBACK, type=n.ARPHRD_LOOPBACK)
        loopback.mtu, loopback.min_mtu, loopback.max_mtu = 65536, 0, 0
        loopback.medium = loopback.carrier = True
        loopback.operstate = n.IF_OPER_UNKNOWN
        devices.register(net, loopback)
        devices.tell(net, loopback)
        if net is system.nets[0]:
            devices.open_(net, loopback)
        system.settle()

    def open(self, groups: int = 0, receive_buffer: int = 0, strict: bool = False) -> SimSocket:
        """Open an AF_NETLINK socket of protocol NETLINK_ROUTE; `groups` is a mask as in bind(), the buffer in bytes."""
        self._pids += 1
        sock = SimSocket(self._pids, self)
        sock.groups = {bit + 1 for bit in range(32) if groups >> bit & 1}
        sock.set_strict(strict)
        if receive_buffer:
            sock.set_receive_buffer(receive_buffer)
        self.net.sockets.append(sock)
        return sock

    def open_blocking(self, groups: int = 0) -> BlockingSocket:
        """Open such a socket for code that blocks, with strict checking."""
        return BlockingSocket(self.open(groups, strict=True))

    def plug(
        self,
        name: str,
        mac: str,
        bus: Bus,
        driver: str,
        parent: str,
        max_mtu: int = 65535,
        up: bool = False,
        carrier_when_up: bool = True,
    ) -> int:
        """Plug a NIC in; returns its ifindex. `name` may contain `%d`, which takes the first free number."""
        net = self.net
        device = Device(net.new_index(), devices.valid_name(net, name), mac_bytes(mac), perm=mac_bytes(mac))
        device.bus, device.driver, device.parent, device.max_mtu = bus, driver, parent, max_mtu
        device.medium = carrier_when_up
        if bus != "pci":
            device.carrier, device.operstate = device.medium, n.IF_OPER_UP if device.medium else n.IF_OPER_DOWN
        devices.register(net, device)
        netvsc.register(net, device)
        devices.tell(net, device)
        if up:
            devices.open_(net, device)
        self.settle()
        return device.index

    def unplug(self, ifindex: int) -> None:
        """Unplug a NIC, as hot-unplug does. Raises KeyError."""
        devices.unregister(self.net, self.net.devices[ifindex])
        self.settle()

    def set_medium(self, ifindex: int, up: bool) -> None:
        """Connect or disconnect the other end of a NIC's wire, and the carrier with it. Raises KeyError."""
        device = self.net.devices[ifindex]
        device.medium = up
        if device.up or device.bus != "pci":
            self.net.watch.set_carrier(device, up)
        self.settle()

    def storm(self) -> int:
        """Send link notifications until every listening socket has lost some; returns how many it took."""
        loopback = self.net.devices[1]
        listening = [s for s in self.net.sockets if n.RTNLGRP_LINK in s.groups and isinstance(s, SimSocket)]
        sent = 0
        while any(not sock.congested for sock in listening):
            self.net.announce_link(loopback)
            sent += 1
        return sent

    def write_sysctl(self, ifindex: int, name: str, value: int) -> None:
        """Write `ipv6/accept_ra` and the like of a device, or with ifindex 0 of new devices. Raises Refused."""
        if not ifindex:
            self.net.default_conf[name] = value
            return
        if ifindex not in self.net.devices:
            raise Refused(errno.ENODEV)
        sysctls.write(self.net, self.net.devices[ifindex], name, value)
        self.settle()

    def sysctl(self, ifindex: int, name: str) -> int:
        """Return the value of a device's file. Raises KeyError."""
        return value(self.net.devices[ifindex], name)

    def driver(self, ifindex: int) -> str:
        """Return the driver as ethtool names it: for a device with a kind, that kind. Raises KeyError."""
        return driver(self.net.devices[ifindex])

    def links(self) -> list[Seen]:
        """Return every device but loopback."""
        return [seen(device) for device in self.net.devices.values() if device.index != 1]

    def on_change(self, told: Callable[[], None]) -> None:
        """Call a function after everything that may have changed what a judge can see."""
        self.net.system.told.append(told)

    def announce(self, ifindex: int, kind: str) -> None:
        """Send a gratuitous ARP ("arp") or an unsolicited NA ("na") out of a device, as a program does. Raises
        KeyError."""
        port = judge.carries(self.net.devices[ifindex])
        if port is not None:
            self.net.announcements.append((self.net.now, port.index, kind))

    @property
    def announcements(self) -> list[tuple[float, int]]:
        """Return when gratuitous ARPs or unsolicited NAs were sent, and the NIC that sent each (ifindex)."""
        return list(dict.fromkeys((at, ifindex) for at, ifindex, _ in self.net.announcements))

    def trouble(self, ifindex: int) -> str | None:
        """Return why a NIC passes no frames ("down", "no carrier"); "" where it does, None where it is gone."""
        device = self.net.devices.get(ifindex)
        if device is None:
            return None
        return "" if device.running else "no carrier" if device.up else "down"

    def path_to(self, address: str | bytes) -> int | None:
        """Return the NIC (ifindex) by which frames to an address of this machine come in now; None: they are lost."""
        return judge.path_to(self.net, _ip(address))

    def path_from(self, peer: str | bytes) -> int | None:
        """Return the NIC (ifindex) by which packets to a peer leave now; None: they are lost."""
        return judge.path_from(self.net, _ip(peer))

    def carries(self, ifindex: int) -> int | None:
        """Return the NIC (ifindex) below this device by which its frames pass now. Raises KeyError."""
        port = judge.carries(self.net.devices[ifindex])
        return port.index if port else None

    def due(self) -> float | None:
        """Return when the next timer is due, None for never."""
        return self.net.timers.due()

    async def rescheduled(self) -> None:
        """Wait until `due` has become earlier."""
        woken = trio.Event()
        self.net.timers.earlier = woken.set
        await woken.wait()

    def tick(self) -> None:
        """Run the timers that are due: bonding's monitor, duplicate address detection, lifetimes, the link watch."""
        while (timer := self.net.timers.pop(self.net.now)) is not None:
            timer.run()
            self.settle()

    def answer(self, request: Request) -> list[Reply]:
        """See sockets.Server."""
        handler = HANDLERS.get(request.type)
        if handler is None:
            raise Refused(errno.EOPNOTSUPP)
        return handler(self.net, request)

    def start_dump(self, request: Request) -> Iterator[Row]:
        """See sockets.Server."""
        dumper = DUMPERS.get(request.type)
        if dumper is None:
            raise Refused(errno.EOPNOTSUPP)
        return dumper(self.net, request)

    def settle(self) -> None:
        """See sockets.Server. The link watch and duplicate address detection run when the request is over."""
        self.net.system.settle()

    def forget(self, sock: SimSocket) -> None:
        """See sockets.Server."""
        if sock in self.net.sockets:
            self.net.sockets.remove(sock)
            let_go(self.net)


def _ip(address: str | bytes) -> bytes:
    if isinstance(address, bytes):
        return address
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
