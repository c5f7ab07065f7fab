"""Ask through one NIC of a pair whether a host answers, whatever the pair's master does: ARP and neighbour
solicitations on packet sockets, one for each NIC.

In IPv4 the question is an ARP probe (RFC 5227, section 2.1.1): its sender has no IP address, so that it changes no
host's neighbour table, and every host answers it, as duplicates would not be found otherwise. In IPv6 the answer to
such a question goes to all nodes (RFC 4861, section 7.2.4), and would come in by both NICs. So it is sent from the
link-local address that belongs to the MAC. The answer comes to the MAC that has asked; a NIC that asks from a MAC other
than its own accepts it because of the socket's membership (PACKET_MR_UNICAST).

Sent frames bypass the NIC's queueing discipline, as a tc datapath redirects what leaves by it (PACKET_QDISC_BYPASS;
packet(7)). Received frames are seen ahead of any redirection and of a bond: the taps of all protocols come first
(net/core/dev.c, __netif_receive_skb_core). A filter in the kernel lets only answers reach the socket.
"""

from __future__ import annotations

import ctypes
import errno
import ipaddress
import socket
import struct
from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import TracebackType

import trio

from failoverd.netlink.announce import BROADCAST, ETH_P_ARP, ETH_P_IPV6, ICMPV6, bind
from failoverd.netlink.checksum import internet_checksum

ETH_P_ALL = 0x0003
SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_QDISC_BYPASS, PACKET_IGNORE_OUTGOING = 263, 1, 20, 23
PACKET_MR_UNICAST = 3
SO_ATTACH_FILTER = 26
SOLICIT, ADVERT = 135, 136
SOLICITED = bytes.fromhex("ff02") + bytes(9) + b"\x01\xff"
"""The prefix of a solicited-node group (RFC 4291, section 2.7.1)."""
SOURCE_LINK_LAYER = b"\x01\x01"
LARGEST = 1500
QUEUED = 64
"""Most answers read in a row."""

LD_B, LD_H, LD_W, JEQ, RET = 0x30, 0x28, 0x20, 0x15, 0x06
VLAN_TAG_PRESENT = 0xFFFFF000 + 48
"""SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT (linux/filter.h)."""
ANSWERS = (
    (LD_W, 0, 0, VLAN_TAG_PRESENT),
    (JEQ, 0, 9, 0),
    (LD_H, 0, 0, 12),
    (JEQ, 0, 2, ETH_P_ARP),
    (LD_H, 0, 0, 20),
    (JEQ, 6, 5, 2),
    (JEQ, 0, 4, ETH_P_IPV6),
    (LD_B, 0, 0, 20),
    (JEQ, 0, 2, ICMPV6),
    (LD_B, 0, 0, 54),
    (JEQ, 1, 0, ADVERT),
    (RET, 0, 0, 0),
    (RET, 0, 0, LARGEST),
)
"""An ARP reply, or a neighbour advertisement without extension headers, and in no VLAN: classic BPF (code, jump if
true, jump if false, operand)."""


class Probe:
    """The sockets of one pair. `slaves` maps an ifindex to the MAC to ask from. Raises OSError."""

    def __init__(self, slaves: Mapping[int, str]) -> None:
        self._macs = {slave: bytes.fromhex(mac.replace(":", "")) for slave, mac in slaves.items()}
        self._sockets: dict[int, socket.socket] = {}
        try:
            for slave, mac in self._macs.items():
                self._sockets[slave] = _open(slave, mac)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Probe:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the sockets, which leaves the NICs as they were."""
        for sock in self._sockets.values():
            sock.close()

    async def ask(self, targets: Iterable[str], wait: float) -> frozenset[int]:
        """Ask for these addresses through each slave. Returns the slaves through which one answered within `wait`
        seconds."""
        addresses = [ipaddress.ip_address(target).packed for target in targets]
        answered: set[int] = set()
        with trio.move_on_after(wait):
            async with trio.open_nursery() as nursery:
                for slave in self._sockets:
                    nursery.start_soon(self._ask_through, slave, addresses, answered)
        return frozenset(answered)

    async def _ask_through(self, slave: int, addresses: list[bytes], answered: set[int]) -> None:
        """Ask through one slave. A NIC that is down or gone, or has a full queue, counts as one without an answer."""
        sock, mac = self._sockets[slave], self._macs[slave]
        with suppress(OSError):
            _forget(sock)
            for address in addresses:
                sock.send(question(mac, address))
            while True:
                await trio.lowlevel.wait_readable(sock)
                if is_answer(sock.recv(LARGEST), mac, addresses):
                    answered.add(slave)
                    return


def _forget(sock: socket.socket) -> None:
    """Discard the answers that came too late for the previous round."""
    with suppress(BlockingIOError):
        for _ in range(QUEUED):
            sock.recv(LARGEST)


def question(mac: bytes, address: bytes) -> bytes:
    """Build the question for this address, sent from this MAC."""
    if len(address) == 4:
        body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + bytes(4) + bytes(6) + address
        return BROADCAST + mac + struct.pack("!H", ETH_P_ARP) + body
    source = bytes.fromhex("fe80") + bytes(6) + bytes([mac[0] ^ 2]) + mac[1:3] + b"\xff\xfe" + mac[3:]
    group = SOLICITED + address[13:]
    icmp = struct.pack("!BBHI", SOLICIT, 0, 0, 0) + address + SOURCE_LINK_LAYER + mac
    pseudo = source + group + struct.pack("!II", len(icmp), ICMPV6)
    icmp = icmp[:2] + struct.pack("!H", internet_checksum(pseudo + icmp)) + icmp[4:]
    header = struct.pack("!IHBB", 6 << 28, len(icmp), ICMPV6, 255) + source + group
    return b"\x33\x33" + group[12:] + mac + struct.pack("!H", ETH_P_IPV6) + header + icmp


def is_answer(frame: bytes, mac: bytes, addresses: Iterable[bytes]) -> bool:
    """Return whether this frame tells that MAC where one of these addresses is."""
    if frame[:6] != mac:
        return False
    if frame[12:14] == struct.pack("!H", ETH_P_ARP):
        return frame[14:22] == struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) and frame[28:32] in addresses
    is_advert = frame[12:14] == struct.pack("!H", ETH_P_IPV6) and frame[20:22] == bytes([ICMPV6, 255])
    return is_advert and frame[54:56] == bytes([ADVERT, 0]) and frame[62:78] in addresses


def _open(slave: int, mac: bytes) -> socket.socket:
    """Open a packet socket on this NIC that receives answers to this MAC. It receives nothing before it is bound."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0)
    try:
        code = b"".join(struct.pack("=HBBI", *line) for line in ANSWERS)
        buffer = ctypes.create_string_buffer(code, len(code))
        program = struct.pack("HP", len(ANSWERS), ctypes.addressof(buffer))
        sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
        sock.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
        with suppress(OSError):
            # Linux 4.20; before that, the filter drops the frames that are sent.
            sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        sock.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, struct.pack("=iHH8s", slave, PACKET_MR_UNICAST, 6, mac))
        bind(sock, slave, ETH_P_ALL)
    except BaseException as error:
        sock.close()
        if isinstance(error, OSError) and error.errno == errno.ENODEV:
            raise OSError(errno.ENODEV, f"there is no device with ifindex {slave} any more") from error
        raise
    return sock
