"""Tell the neighbours which way leads to this machine now: gratuitous ARP, unsolicited neighbour advertisements,
multicast reports, and RARP for MACs without an address here.

The kernel has no call for this that works for every device. Bonding announces by itself; for any other master failoverd
has to. A frame is put on the device that has the address, so it takes the way that traffic takes: out by the NIC that
carries.

The frames are those that the kernel itself would send: an ARP request whose sender and target are the same (RFC 5227,
section 3; net/ipv4/devinet.c, inetdev_send_gratuitous_arp), and an advertisement to all nodes with the override flag
(RFC 4861, section 7.2.6; net/ipv6/ndisc.c, ndisc_send_unsol_na). An address that is still being checked for duplicates
is not announced.

The frames for a thousand addresses are paced: a burst would overflow the queues of NICs and switches, and the engine
would have no turn meanwhile. So the order matters, and the addresses with most of the traffic go first: of every
device, the first address of each subnet, from which its own connections are opened; then the hosts behind a bridge, and
the multicast groups; then further addresses of a subnet, and those with a full-length prefix.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence

import trio

from failoverd.model.inet import Address
from failoverd.netlink.bridge_hosts import fetch_bridge_hosts, fetch_taken_in, rarp
from failoverd.netlink.checksum import internet_checksum
from failoverd.netlink.fetch import Opener, fetch_addresses
from failoverd.netlink.groups import Groups, of_all, reports

ETH_P_ARP, ETH_P_IPV6 = 0x0806, 0x86DD
BROADCAST = b"\xff" * 6
ALL_NODES = bytes.fromhex("ff02") + bytes(13) + b"\x01"
ALL_NODES_MAC = bytes.fromhex("333300000001")
ADVERT, OVERRIDE = 136, 0x20
TARGET_LINK_LAYER = b"\x02\x01"
ICMPV6 = 58
IFA_F_UNSURE = 0x40 | 0x08 | 0x04
"""IFA_F_TENTATIVE, IFA_F_DADFAILED, IFA_F_OPTIMISTIC: duplicate address detection has not confirmed the address."""
IFA_F_SECONDARY = 0x01
"""Also IFA_F_TEMPORARY, of IPv6: a privacy address."""
BURST, PAUSE = 32, 0.005
"""Frames sent in one burst, and the pause after it in seconds: 1,000 addresses are announced in 0.16 s."""
NO_MAC = "00:00:00:00:00:00"
SOCKADDR_LL = struct.Struct("=HHiHBB8x")
_libc = ctypes.CDLL(None, use_errno=True)


async def announce(open_socket: Opener, devices: Mapping[int, str], ports: Mapping[int, int]) -> list[str]:
    """Announce the addresses of these devices, their multicast groups, and the hosts and containers behind them.

    `devices` maps an ifindex to its MAC, `ports` the ifindex of a bridge's port to the bridge's. Returns what could not
    be sent, one sentence each.

    Raises OSError, NetlinkError and InterruptedDumpError where the addresses cannot be read, or a queue is full.
    """
    addresses = await fetch_addresses(open_socket, devices)
    behind = {port: await fetch_bridge_hosts(open_socket, bridge, port) for port, bridge in ports.items()}
    told = {bytes.fromhex(mac.replace(":", "")) for mac in devices.values()}
    for ifindex in devices:
        macs = [mac for mac in await fetch_taken_in(open_socket, ifindex) if mac not in told]
        behind[ifindex] = [*behind.get(ifindex, ()), *macs]
    groups, trouble = of_all(devices)
    troubles: dict[int, str] = {}
    gone: set[int] = set()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as sock:
        for number, (ifindex, frame) in enumerate(_in_order(devices, addresses, behind, groups), start=1):
            if ifindex not in gone:
                _send(sock, ifindex, frame, troubles, gone)
            if number % BURST == 0:
                await trio.sleep(PAUSE)
    return [*([trouble] if trouble else []), *troubles.values()]


def _in_order(
    devices: Mapping[int, str],
    addresses: Mapping[int, Sequence[Address]],
    behind: Mapping[int, Sequence[bytes]],
    groups: Mapping[int, Groups],
) -> Iterator[tuple[int, bytes]]:
    """Yield the frames in the order of sending, each with its device; a frame is built when its turn comes."""
    macs = {ifindex: bytes.fromhex((mac or NO_MAC).replace(":", "")) for ifindex, mac in devices.items()}
    later: dict[int, list[Address]] = {}
    for ifindex, mac in macs.items():
        first = [address for address in addresses[ifindex] if _is_of_its_subnet(address)]
        later[ifindex] = [address for address in addresses[ifindex] if first and address not in first]
        yield from ((ifindex, frame) for frame in _frames(mac, first or addresses[ifindex]))
    for ifindex, mac in macs.items():
        yield from ((ifindex, rarp(other)) for other in behind.get(ifindex, ()))
        told = reports(mac, addresses[ifindex], groups.get(ifindex, Groups()))
        yield from ((ifindex, frame) for frame in told)
    for ifindex, mac in macs.items():
        yield from ((ifindex, frame) for frame in _sure(mac, later[ifindex]))


def _is_of_its_subnet(address: Address) -> bool:
    """Return whether this is the first address of its subnet on the device: neither a secondary one nor one with a
    full-length prefix."""
    return not address.flags & IFA_F_SECONDARY and address.prefixlen < 8 * len(address.local)


def _send(sock: socket.socket, ifindex: int, frame: bytes, troubles: dict[int, str], gone: set[int]) -> None:
    """Send one frame. Of a device's failures the first is kept; a device that is gone is no failure.

    Raises OSError where the queue has no room.
    """
    try:
        bind(sock, ifindex)
        sock.send(frame)
    except OSError as error:
        if error.errno in (errno.ENOBUFS, errno.EAGAIN):
            raise
        if error.errno == errno.ENODEV:
            gone.add(ifindex)
            troubles.pop(ifindex, None)
        else:
            troubles.setdefault(ifindex, f"cannot announce by the device with ifindex {ifindex}: {error}")


def bind(sock: socket.socket, ifindex: int, protocol: int = 0) -> None:
    """Bind a packet socket to a device by its ifindex (packet(7)). Raises OSError.

    The socket then receives this protocol; 0 keeps the one it had. Python's own bind() takes a name, as text in UTF-8.
    A name need not be UTF-8, and by then it may be another device's.
    """
    address = SOCKADDR_LL.pack(socket.AF_PACKET, socket.htons(protocol), ifindex, 0, 0, 0)
    if _libc.bind(sock.fileno(), address, len(address)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def frames(mac: bytes, addresses: Iterable[Address]) -> list[bytes]:
    """Return one announcement for each address, as Ethernet frames; for a device without a confirmed address, one RARP
    for its MAC."""
    return list(_frames(mac, addresses))


def _frames(mac: bytes, addresses: Iterable[Address]) -> Iterator[bytes]:
    is_told = False
    for frame in _sure(mac, addresses):
        is_told = True
        yield frame
    if not is_told:
        yield rarp(mac)


def _sure(mac: bytes, addresses: Iterable[Address]) -> Iterator[bytes]:
    for address in addresses:
        if len(address.local) == 4:
            yield gratuitous_arp(mac, address.local)
        elif len(address.local) == 16 and not address.flags & IFA_F_UNSURE:
            yield unsolicited_na(mac, address.local)


def gratuitous_arp(mac: bytes, address: bytes) -> bytes:
    """Build a gratuitous ARP request: this address is at this MAC."""
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + address + bytes(6) + address
    return BROADCAST + mac + struct.pack("!H", ETH_P_ARP) + body


def unsolicited_na(mac: bytes, address: bytes) -> bytes:
    """Build an unsolicited neighbour advertisement that overrides what the neighbours have cached: this address is at
    this MAC."""
    icmp = struct.pack("!BBHI", ADVERT, 0, 0, OVERRIDE << 24) + address + TARGET_LINK_LAYER + mac
    pseudo = address + ALL_NODES + struct.pack("!II", len(icmp), ICMPV6)
    icmp = icmp[:2] + struct.pack("!H", internet_checksum(pseudo + icmp)) + icmp[4:]
    header = struct.pack("!IHBB", 6 << 28, len(icmp), ICMPV6, 255) + address + ALL_NODES
    return ALL_NODES_MAC + mac + struct.pack("!H", ETH_P_IPV6) + header + icmp
