"""Network namespaces as failoverd knows them at present, and why a reference leads to none."""

from __future__ import annotations

from failoverd.dataclass import dataclass
from failoverd.kinds.base import Place

__all__ = ["HERE", "Absent", "Place"]


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
