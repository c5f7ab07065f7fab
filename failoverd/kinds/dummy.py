"""Dummies: devices without a wire, which drop what is sent (drivers/net/dummy.c)."""

from __future__ import annotations

from typing import ClassVar

from failoverd.dataclass import dataclass
from failoverd.kinds.base import Attributes, Data


@dataclass(frozen=True, slots=True)
class Dummy:
    """A dummy. It has no options."""

    kind: ClassVar = "dummy"
    wanted: ClassVar[frozenset[int]] = frozenset()

    @classmethod
    def read(cls, data: Data) -> Dummy:  # noqa: ARG003
        """Read an existing dummy."""
        return cls()

    def write(self) -> Attributes:
        """Return the attributes that create a dummy."""
        return ()

    def words(self) -> tuple[str, ...]:
        """Describe a new dummy for the administrator."""
        return ()
