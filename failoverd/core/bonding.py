"""What is known of the machine that speaks against bonds: its kernel, and what configures its NICs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field

from failoverd.dataclass import dataclass


@dataclass(slots=True)
class Bonding:
    """What speaks against bonds on this machine. core/configurers.py asks, core/datapath_choice.py judges."""

    missing: bool = False
    """The kernel has no bonding driver."""
    configurers: dict[int, str] = field(default_factory=dict)
    """Why the configuration of a NIC could not follow to a bond, "" if it could, by ifindex."""
    reading: dict[int, float] = field(default_factory=dict)
    """The time until which to wait for that answer."""

    def is_missing(self) -> None:
        """The kernel has refused a bond for want of its driver."""
        self.missing = True

    def read(self, ifindex: int, until: float) -> None:
        """The files about this NIC are being read; wait until then."""
        self.reading[ifindex] = until

    def answer(self, whys: Mapping[int, str]) -> None:
        """Take in answers about NICs."""
        self.configurers |= whys

    def forget(self, ifindexes: Iterable[int]) -> None:
        """Forget the answers about these NICs, so that they are asked for anew."""
        for ifindex in ifindexes:
            self.configurers.pop(ifindex, None)
            self.reading.pop(ifindex, None)
