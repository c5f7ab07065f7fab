"""VRFs: masters whose slaves have a routing table of their own (drivers/net/vrf.c; linux/if_link.h, IFLA_VRF_*)."""

from __future__ import annotations

from typing import ClassVar

from failoverd.dataclass import dataclass
from failoverd.kinds.base import Attributes, Data, from_u32, u32

TABLE = 1


@dataclass(frozen=True, slots=True)
class Vrf:
    """A VRF's options."""

    kind: ClassVar = "vrf"
    wanted: ClassVar = frozenset((TABLE,))

    table: int = 0
    """The routing table. The kernel refuses 0 (EINVAL)."""

    @classmethod
    def read(cls, data: Data) -> Vrf:
        """Read the options of an existing VRF."""
        return cls(u32(data.options, TABLE))

    def write(self) -> Attributes:
        """Return the attributes that create a VRF."""
        return ((TABLE, from_u32(self.table)),)

    def words(self) -> tuple[str, ...]:
        """Describe a new VRF for the administrator."""
        return (f"table {self.table}",)
