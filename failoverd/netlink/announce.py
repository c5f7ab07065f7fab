"""Telling the neighbours which way leads to this machine now: gratuitous ARP, unsolicited neighbour advertisements,
multicast reports, and for who has no address here a frame with his MAC.

The kernel has no call for it that works for every device; bonding does it by itself, everybody else has to. A frame is
put on the device that has the address, so it takes the way that traffic takes: out by the NIC that carries.

The frames are what the kernel's own announcements are: an ARP request whose sender and target are the same (RFC 5227,
section 3; net/ipv4/devinet.c, inetdev_send_gratuitous_arp) and an advertisement to all nodes that overrides (RFC 4861,
section 7.2.6; net/ipv6/ndisc.c, ndisc_send_unsol_na). An address that is still being checked for duplicates is not
announced.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Iterable, Mapping

from failoverd.model.inet import Address
from failoverd.netlink.behind import fetch_behind, rarp
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
"""IFA_F_TENTATIVE, IFA_F_DADFAILED, IFA_F_OPTIMISTIC: nobody can say yet whose address this is."""
NOBODY = "00:00:00:00:00:00"
SOCKADDR_LL = struct.Struct("=HHiHBB8x")
_libc = ctypes.CDLL(None, use_errno=True)


async def announce(open_socket: Opener, devices: Mapping[int, str], ports: Mapping[int, int]) -> list[str]:
    """Announce every address of these devices (ifindex: MAC), their groups, and who is behind a bridge (the port's
    ifindex: the bridge's). Returns what could not be sent, in words.

    Raises OSError, NetlinkError and InterruptedDumpError where the addresses cannot be read, or a queue is full.
    """
    addresses = await fetch_addresses(open_socket, devices)
    behind = {port: await fetch_behind(open_socket, bridge, port) for port, bridge in ports.items()}
    groups, trouble = of_all(devices)
    troubles = [trouble] if trouble else []
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as sock:
        for ifindex, mac in devices.items():
            own = bytes.fromhex((mac or NOBODY).replace(":", ""))
            told = [*frames(own, addresses[ifindex]), *map(rarp, behind.get(ifindex, ()))]
            told += reports(own, addresses[ifindex], groups.get(ifindex, Groups()))
            troubles += _send(sock, ifindex, told)
    return troubles


def _send(sock: socket.socket, ifindex: int, told: Iterable[bytes]) -> list[str]:
    """What could not be sent; the first failure of a device stands for the rest. One that is gone needs nothing.

    Raises OSError where there was no room just then.
    """
    troubles = []
    for frame in told:
        try:
            _bind(sock, ifindex)
            sock.send(frame)
        except OSError as error:
            if error.errno in (errno.ENOBUFS, errno.EAGAIN):
                raise
            if error.errno == errno.ENODEV:
                return []
            troubles.append(f"cannot announce by the device with ifindex {ifindex}: {error}")
    return troubles[:1]


def _bind(sock: socket.socket, ifindex: int) -> None:
    """Bind a packet socket to a device by its ifindex, as the kernel has it (packet(7)). Raises OSError.

    Python's own wants a name, as text in UTF-8. A name need not be that, and may be another device's by then.
    """
    address = SOCKADDR_LL.pack(socket.AF_PACKET, 0, ifindex, 0, 0, 0)
    if _libc.bind(sock.fileno(), address, len(address)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def frames(mac: bytes, addresses: Iterable[Address]) -> list[bytes]:
    """One announcement for each address, as Ethernet frames; of a device that has none for sure, its MAC."""
    found = []
    for address in addresses:
        if len(address.local) == 4:
            found.append(gratuitous_arp(mac, address.local))
        elif len(address.local) == 16 and not address.flags & IFA_F_UNSURE:
            found.append(unsolicited_na(mac, address.local))
    return found or [rarp(mac)]


def gratuitous_arp(mac: bytes, address: bytes) -> bytes:
    """Who has this address? It is at this MAC."""
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + address + bytes(6) + address
    return BROADCAST + mac + struct.pack("!H", ETH_P_ARP) + body


def unsolicited_na(mac: bytes, address: bytes) -> bytes:
    """This address is at this MAC, whatever you know."""
    icmp = struct.pack("!BBHI", ADVERT, 0, 0, OVERRIDE << 24) + address + TARGET_LINK_LAYER + mac
    pseudo = address + ALL_NODES + struct.pack("!II", len(icmp), ICMPV6)
    icmp = icmp[:2] + struct.pack("!H", internet_checksum(pseudo + icmp)) + icmp[4:]
    header = struct.pack("!IHBB", 6 << 28, len(icmp), ICMPV6, 255) + address + ALL_NODES
    return ALL_NODES_MAC + mac + struct.pack("!H", ETH_P_IPV6) + header + icmp
