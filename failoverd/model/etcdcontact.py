"""How it stands with etcd, as failoverd-etcd says it."""

from __future__ import annotations

from failoverd.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class EtcdContact:
    """The fields' names are the keys in JSON, also in the file by which failoverd-etcd says it."""

    connected: bool
    since: float
    """Since when, in seconds since the epoch; 0 where that is not known."""

    endpoint: str
    """The member it is connected to, or was tried last."""

    revision: int
    """The newest revision in which a link of this machine was put, as far as it was taken in."""

    trouble: str
    """Why it is not connected, "" where it is."""
