"""What an administrator has ordered of a pair that is joined."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Drain:
    """The VF with this ifindex shall not carry as long as the standby can: until another VF is plugged in, or until
    this moment (the engine's clock in seconds; None: no end)."""

    vf: int
    until: float | None


@dataclass(slots=True, eq=False)
class Renaming:
    """A device shall have another name; `until` (the engine's clock in seconds) is how long it may wait for its turn.

    The one thing here that changes: whoever ordered it looks at `over` and at `refusal`, a kind and a text, after each
    step. `down`: the kernel renames the device only while it is down. `wish`: it is the configuration's or udev's, and
    nobody waits for it.
    """

    ifindex: int
    name: str
    until: float
    wish: bool = False
    down: bool = False
    over: bool = False
    refusal: tuple[str, str] | None = None

    def refuse(self, kind: str, text: str) -> None:
        """It will not be done."""
        self.over, self.refusal = True, (kind, text)
