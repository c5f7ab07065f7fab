"""What datapaths have in common where the kernel or a driver has joined the pair by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from failoverd.config.spec import Config
from failoverd.datapaths.inplace import InPlace
from failoverd.model.links import Link
from failoverd.model.requests import Request
from failoverd.policy.election import Elected, Rule, Seen, Standing


class Adopted(InPlace):
    """The kernel or a driver has joined the pair by itself. failoverd does not make, switch or take apart any of it."""

    def create(self, mac: str, nic: Link, config: Config) -> Sequence[Request]:
        """The master is there."""
        return []

    def attach(self, slave: Link, master: Link) -> Sequence[Request]:
        """The kernel does it when the VF comes."""
        return []

    def detach(self, slave: Link) -> Sequence[Request]:
        """The kernel releases a slave when it is unplugged, and never before."""
        return []

    def switch(self, master: Link, slave: int) -> Sequence[Request]:
        """The kernel sends by the VF whenever it can."""
        return []

    def hear(self, master: Link, both: bool) -> Sequence[Request]:
        """Both are heard anyway."""
        return []

    def widen(self, slave: Link, everything: bool) -> Sequence[Request]:
        """The kernel passes on addresses, flags and VLANs itself."""
        return []

    def remove(self, master: Link) -> Sequence[Request]:
        """The master is not failoverd's."""
        return []

    def mend(self, master: Link, primary: Link | None, standby: Link | None, config: Config) -> Sequence[Request]:
        """failoverd owns nothing of it."""
        return []

    def mtu_mismatch(self, primary: Link, master: Link) -> str:
        """The kernel gives its slaves the master's MTU."""
        return ""

    def conflict(self, slave: Link, master: Link) -> str:
        """The kernel has joined them regardless."""
        return ""

    def flaws(self, master: Link, primary: Link | None, standby: Link | None) -> str:
        """None that failoverd could see."""
        return ""

    def has_to_join(self, primary: Link, master: Link) -> bool:
        """The kernel joins it."""
        return False

    def misses(self, standby: Link | None, master: Link) -> bool:
        """The kernel decides which NICs are in it."""
        return False

    def has_closed_slaves(self, master: Link) -> bool:
        """They go down and up with their master."""
        return not master.up

    def candidates(self, stands: Standing) -> Mapping[int, bool]:
        """None: the kernel chooses."""
        return {}

    def elect(self, stands: Standing, seen: Seen, rule: Rule, now: float) -> Elected:
        """No election."""
        return Elected(0, "the kernel chooses")

    def named_nic(self, nic: Link | None) -> Link | None:
        """None: it is not failoverd that has joined them."""
        return None

    def droppable(self, stale: AbstractSet[str]) -> AbstractSet[str]:
        """None of them."""
        return frozenset()

    def order_refusal(self, named: str, is_release: bool) -> str:
        """The kernel alone decides."""
        what = "which cannot be taken apart from here" if is_release else "which alone chooses the slave that carries"
        return f"{named} was joined by the kernel itself ({self.name}), {what}"
