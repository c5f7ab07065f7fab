"""`dataclass` at a third of its cost.

failoverd has more than 160 dataclasses, and a failover waits for the start of a daemon that was killed. For a frozen
one the standard library compiles six methods as the module is imported, 0.33 ms for each class. Here only `__init__` is
compiled; what compares, hashes and prints is shared by all classes. To a type checker it is the standard one.

As there: fields, `replace`, `match`, equality only within a class, and a hash for what is frozen. Otherwise than there:
nothing but the type checker keeps a frozen instance from being written to, which makes it faster to create, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    import dataclasses
    from operator import attrgetter

    def dataclass(cls=None, /, *, frozen=False, slots=False, eq=True):
        """See the module."""

        def make(cls):
            made = dataclasses.dataclass(cls, repr=False, eq=False, slots=slots)
            made.__repr__ = _repr
            if eq:
                _compare(made, frozen)
            return made

        return make if cls is None else make(cls)

    def _compare(cls, frozen):
        """Have instances of this class compared by their fields, and hashed by them."""
        fields = [field for field in dataclasses.fields(cls) if field.compare]
        values = _values([field.name for field in fields])
        hashed = _values([field.name for field in fields if field.hash is not False])

        def equals(self, other):
            return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

        cls.__eq__ = equals
        cls.__hash__ = (lambda self: hash(hashed(self))) if frozen else None

    def _values(names):
        """Return what gets these fields' values."""
        # Of one name attrgetter makes no tuple, which does for comparing; of none it makes nothing.
        return attrgetter(*names) if names else lambda _self: ()

    def _repr(self):
        told = (f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self) if field.repr)
        return f"{self.__class__.__qualname__}({', '.join(told)})"


__all__ = ["dataclass"]
