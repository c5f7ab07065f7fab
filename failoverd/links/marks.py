"""What makes a device failoverd's own: its mark, and the MAC and ifindex that are derived from its name.

The mark is an alternative name. The kernel keeps it unique in a namespace, it survives a rename and a move, and a
request can name the device by it: so a request about a marked device never hits another program's. It is no proof in
a namespace where others are root, as they can write any alternative name there (see links/pairs.py).
"""

from __future__ import annotations

from hashlib import blake2b
from zlib import crc32

from failoverd.dataclass import dataclass

PREFIX = "failoverd-link-"

LOWEST, SPAN = 1 << 24, 1 << 30
"""Of the ifindexes that are asked for: far above those that the kernel gives out by itself."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of this failoverd: `key` is eight hexadecimal digits made from the machine's id."""

    key: str

    @property
    def prefix(self) -> str:
        """What all of its marks begin with."""
        return f"{PREFIX}{self.key}-"

    def mark(self, name: str) -> str:
        """Return the mark of an end, by its declared name."""
        return self.prefix + name

    def marked(self, altnames: frozenset[str]) -> str:
        """Return the declared name that the mark among these alternative names stands for, "" without one."""
        start = len(self.prefix)
        return next((name[start:] for name in sorted(altnames) if name.startswith(self.prefix)), "")

    def mac(self, name: str) -> str:
        """Return the MAC of an end: locally administered, unicast, and the same after every re-creation."""
        digest = blake2b(f"{self.key}/{name}".encode(), digest_size=6).digest()
        return ":".join(f"{byte:02x}" for byte in (digest[0] & 0xFC | 0x02, *digest[1:]))


def ifindex_for(mark: str, attempt: int) -> int:
    """Return the ifindex to ask for at this attempt to make a device.

    A device that is being made is addressed by it before the kernel has reported it. By name, a request would hit
    another program's device where the name was taken, as the kernel goes on after a refused message.
    """
    return LOWEST + crc32(f"{mark} {attempt}".encode()) % SPAN
