"""VLANs (net/8021q; linux/if_link.h, IFLA_VLAN_*). The lower device is NewDevice.lower and Link.link."""

from __future__ import annotations

import struct
from dataclasses import field
from typing import ClassVar

from failoverd.dataclass import dataclass
from failoverd.kinds.base import Attributes, Data, be16, from_be16, from_u16, u16

ID, FLAGS, EGRESS, INGRESS, PROTOCOL = 1, 2, 3, 4, 5
ETH_P_8021Q = 0x8100
REORDER_HDR = 0x1
"""The one flag that a new VLAN has."""
LOOSE_BINDING = 0x4
"""The flag of a VLAN that does not go up and down with its lower device."""
_FLAGS = struct.Struct("=II")


@dataclass(frozen=True, slots=True)
class Vlan:
    """A VLAN's options. Two are equal if number and protocol are: the rest may be set by programs that use the VLAN."""

    kind: ClassVar = "vlan"
    wanted: ClassVar = frozenset((ID, FLAGS, EGRESS, INGRESS, PROTOCOL))

    id: int = 0

    protocol: int = ETH_P_8021Q
    """The EtherType of its tag: 802.1Q, or 802.1ad (0x88a8)."""

    flags: int = field(default=REORDER_HDR, compare=False)
    """VLAN_FLAG_* (linux/if_vlan.h)."""

    egress: bytes = field(default=b"", compare=False)
    """The content of IFLA_VLAN_EGRESS_QOS, which priority is written into a tag, as the kernel has it."""

    ingress: bytes = field(default=b"", compare=False)
    """Likewise IFLA_VLAN_INGRESS_QOS, which priority a tag's becomes."""

    @property
    def is_loose(self) -> bool:
        """Whether it stays up or down when its lower device comes up or goes down."""
        return bool(self.flags & LOOSE_BINDING)

    @classmethod
    def read(cls, data: Data) -> Vlan:
        """Read the options of an existing VLAN."""
        flags = _FLAGS.unpack_from(data.options[FLAGS])[0] if FLAGS in data.options else REORDER_HDR
        maps = data.options.get(EGRESS, b""), data.options.get(INGRESS, b"")
        return cls(u16(data.options, ID), be16(data.options, PROTOCOL), flags, *maps)

    def write(self) -> Attributes:
        """Return the attributes that create a VLAN."""
        rows: Attributes = ((ID, from_u16(self.id)), (PROTOCOL, from_be16(self.protocol)))
        if self.flags != REORDER_HDR:
            # The kernel refuses a mask with bits that it does not know, and reports one with all of them.
            rows += ((FLAGS, _FLAGS.pack(self.flags, self.flags | REORDER_HDR)),)
        return rows + tuple((place, raw) for place, raw in ((EGRESS, self.egress), (INGRESS, self.ingress)) if raw)

    def words(self) -> tuple[str, ...]:
        """Describe a new VLAN for the administrator."""
        return (f"VLAN {self.id}",)
