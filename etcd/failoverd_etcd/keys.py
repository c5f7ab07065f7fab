"""What keys are called in etcd, and the ranges in which they are."""

from __future__ import annotations

from failoverd.config.links.values import NAME
from failoverd.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one machine. `prefix` begins with a slash and ends without one."""

    prefix: str
    node: str

    @property
    def links(self) -> str:
        """What the keys of the links begin with. The slash at its end keeps those of h10 from h1."""
        return f"{self.prefix}/nodes/{self.node}/links/"

    @property
    def status(self) -> str:
        """What the keys of what is told of this machine begin with."""
        return f"{self.statuses}{self.node}/"

    @property
    def statuses(self) -> str:
        """What those of all machines begin with."""
        return f"{self.prefix}/status/"

    def link(self, name: str) -> str:
        """Return the key of a link."""
        return self.links + name

    def name(self, key: str) -> str:
        """Return what is behind the links' beginning; "" for a key elsewhere."""
        return key[len(self.links) :] if key.startswith(self.links) else ""


def is_name(name: str) -> bool:
    """Return whether a link may be called so."""
    return NAME.fullmatch(name) is not None


def end_of(prefix: str) -> bytes:
    """Return the first key behind all that begin with a prefix (range_end)."""
    raw = prefix.encode()
    return raw[:-1] + bytes([raw[-1] + 1])
