"""Where failover masters are to live, as the configuration says it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from failoverd.dataclass import dataclass
from failoverd.model.declared import NamespaceRef

HOME, PARK = "home", "park"
"""What becomes of a master whose network namespace ends."""


@dataclass(frozen=True, slots=True)
class Residence:
    """One master's [master.NAME]."""

    namespace: NamespaceRef | None = None
    """The network namespace that it is to be in; None for failoverd's own."""

    when_gone: str = HOME
    """HOME or PARK."""


Residences = Mapping[str, Residence]
"""By the master's name, or the pair's MAC in lower case with colons."""

NOWHERE: Residences = MappingProxyType({})
"""The configuration says nothing about any master's place."""
