"""Network namespaces as failoverd knows them at present, and why a reference leads to none."""

from __future__ import annotations

from failoverd.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """One existing network namespace. Two references that lead to one namespace have equal places.

    The identity is the number that the namespace has in failoverd's own one (its nsid), together with a count that
    rises when the kernel gives that number to another namespace.
    """

    nsid: int
    """-1 for failoverd's own namespace."""

    epoch: int = 0

    @property
    def is_own(self) -> bool:
        """Whether it is the namespace that failoverd runs in."""
        return self.nsid < 0


HERE = Place(-1)
"""The network namespace that failoverd runs in."""


@dataclass(frozen=True, slots=True)
class Absent:
    """Why a reference leads to no namespace at present."""

    reason: str
    """A code: namespace-absent, namespace-not-yet, namespace-is-own, process-gone, pid-reused, container-absent,
    container-ambiguous, container-on-host-network, runtime-unreachable, door-closed.
    """

    detail: str = ""
    """A sentence: what was found, and what would end this."""
