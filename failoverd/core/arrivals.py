"""Devices that have appeared, or have given their name away: how far udev and network managers are with them."""

from __future__ import annotations

from dataclasses import field

from failoverd.dataclass import dataclass


@dataclass(slots=True)
class Arrivals:
    """What udev and network managers have done with devices, and what is still waited for. All by ifindex."""

    newcomers: set[int] = field(default_factory=set)
    """NICs that have appeared since the first dump."""
    asked: dict[int, float] = field(default_factory=dict)
    """The time since when udev is waited for."""
    ready: set[int] = field(default_factory=set)
    """Devices that udev has finished with."""
    plain: dict[int, str] = field(default_factory=dict)
    """The names that udev wanted for devices that still have the kernel's own name."""
    udev_names: dict[int, str] = field(default_factory=dict)
    """The name that udev wanted for a device and could not give."""
    held_on: dict[int, float] = field(default_factory=dict)
    """NICs that have given their name to a master and are no slaves yet, with the time until which to wait for the
    network manager that had them.
    """

    def appeared(self, ifindex: int) -> None:
        """A NIC has appeared after the first dump."""
        self.newcomers.add(ifindex)

    def is_known(self, ifindex: int) -> bool:
        """Whether udev has finished with the device, or is waited for."""
        return ifindex in self.ready or ifindex in self.asked

    def wait_for_udev(self, ifindex: int, now: float) -> None:
        """Wait for udev from now on."""
        self.asked[ifindex] = now

    def finished(self, ifindex: int) -> None:
        """Nothing is left for udev to do with this device."""
        self.ready.add(ifindex)

    def answered(self, ifindex: int) -> None:
        """Udev is not waited for any more."""
        self.asked.pop(ifindex, None)

    def named(self, ifindex: int, plain: str | None, refused: str | None) -> None:
        """Take in udev's names for a device: one that the kernel's own name stands for, one that it could not give."""
        self.plain |= {ifindex: plain} if plain is not None else {}
        self.udev_names |= {ifindex: refused} if refused is not None else {}

    def renamed(self, ifindex: int) -> None:
        """The device has another name: what udev wanted is over."""
        self.udev_names.pop(ifindex, None)
        self.plain.pop(ifindex, None)

    def hold_on(self, ifindex: int, until: float) -> None:
        """Wait until then for the network manager of this NIC to release it."""
        self.held_on[ifindex] = until

    def let_go(self, ifindex: int, now: float) -> None:
        """The network manager has released this NIC."""
        self.held_on |= {ifindex: now} if ifindex in self.held_on else {}

    def let_all_go(self, now: float) -> None:
        """Wait for no network manager any more."""
        self.held_on = dict.fromkeys(self.held_on, now)

    def enslaved(self, ifindex: int) -> None:
        """The NIC is a slave, or is to be none."""
        self.held_on.pop(ifindex, None)

    def forget(self, ifindex: int) -> None:
        """Forget a device that is gone. If it comes back it has another ifindex."""
        self.newcomers.discard(ifindex)
        self.ready.discard(ifindex)
        self.answered(ifindex)
        self.renamed(ifindex)
        self.enslaved(ifindex)
