"""The administrator's orders for a joined pair."""

from __future__ import annotations

from failoverd.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Drain:
    """The VF with this ifindex shall not carry as long as the standby can.

    The order ends when another VF is plugged in, or at `until` (the engine's clock in seconds; None: no end).
    """

    vf: int
    until: float | None


@dataclass(slots=True, eq=False)
class Renaming:
    """A device shall have another name.

    `until` (the engine's clock in seconds) is how long the order may wait for its turn. It is the one mutable object
    here: the caller that gave the order looks at `over` and at `refusal`, a kind and a text, after each step. `down`:
    the kernel renames the device only while it is down. `wish`: the order is the configuration's or udev's, and no
    caller waits for it.
    """

    ifindex: int
    name: str
    until: float
    wish: bool = False
    down: bool = False
    over: bool = False
    refusal: tuple[str, str] | None = None

    def refuse(self, kind: str, text: str) -> None:
        """End the order without carrying it out."""
        self.over, self.refusal = True, (kind, text)
