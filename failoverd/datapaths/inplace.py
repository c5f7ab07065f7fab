"""What datapaths have in common in which the paravirtual NIC is the master itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from failoverd.datapaths.base import Datapath, Shape
from failoverd.model.links import Link
from failoverd.model.pairs import Pair
from failoverd.policy.stacking import obstacle


class InPlace(Datapath):
    """The paravirtual NIC is the master itself."""

    shape: ClassVar[Shape] = "in place"

    def has_joined(self, pair: Pair, is_touched: bool) -> bool:
        """failoverd has left a mark or a filter on one of the two."""
        return not pair.adopted and not pair.master and is_touched

    def master_of_slaves(self, master: int) -> int:
        """No slave has a master."""
        return 0

    def own_master(self, nic: int) -> int:
        """The NIC."""
        return nic

    def kept_nic(self, nic: int) -> int:
        """None: nothing has moved."""
        return 0

    def to_announce(self, devices: Sequence[Link], is_joined: bool, is_leaving: bool) -> Sequence[Link]:
        """All, after a start, too: it may find that the traffic led nowhere, so its way is new to the network."""
        return devices

    def bond_obstacles(self, hanging: Mapping[int, str]) -> Mapping[int, str]:
        """What hangs on the NIC would be cut off by a bond."""
        return {ifindex: obstacle(thing) for ifindex, thing in hanging.items() if thing}

    def nic_is(self, pair: Pair) -> Literal["standby", "master", "one of three", "nothing"]:
        """The master, once there is a VF that makes it one."""
        return "master" if pair.nic and pair.master == pair.nic else "nothing"
