"""How it stands with etcd. Pure."""

from __future__ import annotations

from failoverd.dataclass import dataclass


@dataclass(slots=True)
class Contact:
    """How it stands with etcd, for people and for the status."""

    endpoint: str = ""
    is_connected: bool = False
    since: float = 0.0
    """Since when, in seconds since the epoch."""

    trouble: str = ""
    """Why it is not connected."""
