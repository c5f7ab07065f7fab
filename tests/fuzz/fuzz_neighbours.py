"""What others have written that failoverd reads: networkd's, ifupdown's and udev's files of a NIC, the kernel's command
line, the groups in /proc/net.

An input is these files, one behind the other. Whether a bond can be made has an answer in one line; lists of groups are
read or are none, by the errors their readers name.
"""

from __future__ import annotations

import contextlib
import struct
import tempfile
from pathlib import Path

from fuzzing import SCRATCH, Harness, is_one_line, joined, parts

from failoverd.daemon.configured import configured
from failoverd.daemon.configurers import bond_obstacle
from failoverd.model.links import Link
from failoverd.model.text import printable
from failoverd.netlink.groups import parse_igmp, parse_igmp6

ROOM = tempfile.TemporaryDirectory(prefix="failoverd-fuzz-", dir=SCRATCH)
ROOT = Path(ROOM.name)
FILES = (
    "etc/systemd/network/10-a.network",
    "etc/systemd/network/10-a.network.d/x.conf",
    "etc/network/interfaces",
    "proc/cmdline",
    "run/systemd/netif/links/2",
    "run/udev/data/n2",
    "sys/class/net/ens3/uevent",
    "proc/sys/kernel/hostname",
)
for name in FILES:
    (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
    (ROOT / name).touch()
(ROOT / "run/udev/control").touch()
(ROOT / "sys/class/net/ens3/address").write_text("52:54:00:aa:bb:cc\n")
NIC = Link(2, "ens3", "52:54:00:aa:bb:cc", "52:54:00:aa:bb:cc", bus="virtio", parent="virtio0", driver="virtio_net")


def one(data: bytes) -> None:
    """See the module."""
    contents = list(parts(data))
    for name, content in zip(FILES, [*contents, *[b""] * len(FILES)], strict=False):
        if (ROOT / name).read_bytes() != content:
            (ROOT / name).write_bytes(content)
    assert is_one_line(printable(bond_obstacle(NIC, "ens3", ROOT)))
    assert all(isinstance(word, str) for word in configured(ROOT))
    for content in contents[:2]:
        with contextlib.suppress(ValueError, LookupError, struct.error):
            parse_igmp(content)
        with contextlib.suppress(ValueError, LookupError, struct.error):
            parse_igmp6(content)


def seeds() -> list[bytes]:
    """Files as they are on machines, and with all that can be in them."""
    match = b"[Match]\nName=en* !lo\nMACAddress=52:54:00:aa:bb:cc 5254.00aa.bbcc\nType=ether\nDriver=virtio*\n"
    more = b'Property="ID_PATH=pci*" !A=b\\x41\nHost=a*a*\nKernelCommandLine=!quiet\nKernelVersion=>=6\nKind=!bond\n'
    interfaces = (
        b"source interfaces.d/*\nauto /en*/1 mac/52:*=lan\nallow-hotplug address/[0-9]*\niface ens3 inet dhcp \\\n x\n"
    )
    record = b"I:1\nE:ID_PATH=pci-0000:00:03.0\nE:A=b\n"
    igmp = b"Idx\tDevice\n2\tens3 : 1 V3\n\t\t\t\t010000E0 1 0:00000000\t\t0\n"
    igmp6 = b"2 ens3 ff0200000000000000000001ff000001 1 00000004 0\n"
    return [
        joined(match + more, b"[Link]\nUnmanaged=yes\n", interfaces, b"quiet ro root=/dev/vda1", b"NETWORK_FILE=x\n"),
        joined(
            match, b"[Match]\nName=\n", interfaces, b"", b"NETWORK_FILE=/etc/systemd/network/10-a.network\n", record
        ),
        joined(
            b"[Match]\nName=*\n", b"", b"source-directory /etc/*\nauto */*\n", b"a 'b", b"", record, b"DEVTYPE=bond\n"
        ),
        joined(b"[Match]\nHost=*a*a*a*b\n", b"", b"", b"", b"", b"", b"", b"a" * 30),
        joined(igmp, igmp6),
    ]


WORDS = (
    b"[Match]\n",
    b"Name=",
    b"Property=",
    b"Host=",
    b"[[:digit:]]",
    b"[!a]",
    b"**",
    b"source /",
    b"auto /",
    b"\\\n",
)

HARNESS = Harness("neighbours", one, seeds, WORDS)
