"""The records of a slave's health, and of the speed of its link."""

from __future__ import annotations

from failoverd.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Damping:
    """The flap penalty of a VF (policy/health.py).

    `penalty` is as of `at` (the engine's clock, seconds), and halves with time from then on. `suppressed` says that the
    VF may not carry because of it. `vf` is the VF that was fit last, 0 for none, and `losses` how often the kernel had
    counted a loss of its carrier. `dead` is the ifindex of the slave whose path was dead, 0 for none. `missed_since` is
    when the VF went, 0 where there is one or never was.
    """

    penalty: float = 0.0
    at: float = 0.0
    suppressed: bool = False
    vf: int = 0
    losses: int = 0
    dead: int = 0
    missed_since: float = 0.0

    @property
    def is_worth_keeping(self) -> bool:
        """Whether the next run of failoverd has to know of it."""
        return bool(self.penalty or self.dead or self.missed_since)


@dataclass(frozen=True, slots=True)
class Path:
    """The result of the probes through one slave. An answer resets everything but `answered`.

    `silent`: the last round brought no answer. `missed`: the number of rounds in which this slave was silent and the
    other was not. `answered`: it has answered at some time. `dead`: it has missed too many rounds, and has not answered
    since.
    """

    silent: bool = False
    missed: int = 0
    answered: bool = False
    dead: bool = False


@dataclass(frozen=True, slots=True)
class Mode:
    """The speed of a link in Mb/s, 0 where its driver does not know it, and whether it is at half duplex."""

    speed: int = 0
    half: bool = False
