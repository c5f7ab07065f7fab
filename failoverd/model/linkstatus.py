"""The status of a declared link's end, as every transport tells it."""

from __future__ import annotations

from enum import Enum

from failoverd.dataclass import dataclass


class LinkState(Enum):
    """How far an end is. The value is the word that people see."""

    PENDING = "pending"
    """It waits for something that is not there; `reason` says for what."""

    MAKING = "making"
    """Requests are with the kernel."""

    READY = "ready"
    """The kernel has shown everything that was declared."""

    DEGRADED = "degraded"
    """The device is there, and something about it is not as declared."""

    CONFLICT = "conflict"
    """A foreign device, or another declaration, stands in its place."""

    FAILED = "failed"
    """The kernel refuses it; it is tried again."""

    REMOVING = "removing"
    """Its device is on the way out: it is no longer declared, or something that it needs is gone."""

    INVALID = "invalid"
    """Its declaration in etcd cannot be used; the last good one, if there was one, stays in force."""

    SUSPECT = "suspect"
    """It is missing in etcd, and nobody has seen it deleted there: it stays in force."""

    RELEASED = "released"
    """The administrator has taken it out of failoverd's care; the device stays."""


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """One end. The fields' names are the keys in JSON and, in CamelCase, the properties on D-Bus."""

    name: str
    kind: str
    device: str
    namespace: str
    """The reference, as "name red"; "own" for failoverd's own namespace."""

    state: LinkState
    reason: str = ""
    """A code for programs, such as no-peer, namespace-absent, name-taken; "" for none."""

    detail: str = ""
    """The reason as a sentence for people, with what would end it."""

    since: float = 0.0
    """Since when it has been in this state with this reason: seconds since the epoch."""

    peer: str = ""
    """The other end of a veth, by its declared name."""

    lower: str = ""
    """What it stands on, as declared ("master:ens3")."""

    ifindex: int = 0
    """Of the device, 0 while there is none."""

    source: str = ""
    """Where it was declared: file and line, or the key in etcd."""

    attempts: int = 0
    """Failed attempts in a row."""

    next_try: float = 0.0
    """When the next attempt is due, in seconds since the epoch; 0 for none."""

    made: int = 0
    """How often this daemon has made the device."""

    repairs: int = 0
    """How often this daemon has put something about it right that had been changed."""

    shadows: str = ""
    """The key in etcd of another declaration of this name, which this one overrides."""

    owner: str = ""
    """The pod that an attachment is for; "" for what files and etcd declare."""

    network: str = ""
    """The network of an attachment, as its container runtime calls it."""

    ports: tuple[str, ...] = ()
    """The ports of a bridge and the devices of a VRF, as declared ("link:web-host")."""
