"""Who belongs together, and what is remembered while a pair's configuration moves from one device to another."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from failoverd.model.inet import Address, Route


class Verdict(Enum):
    """What pairing made of a NIC. The value is the word `failoverctl explain` prints."""

    PAIRED = "paired"
    ALONE = "alone"
    REFUSED = "refused"
    IGNORED = "ignored"
    LEFT_ALONE = "left-alone"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and why, in words for the administrator."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Pair:
    """A paravirtual NIC, the VF with its permanent MAC and the master that joins them; ifindexes, 0 for none.

    `adopted`: the master is the kernel's own (net_failover).
    """

    mac: str
    nic: int = 0
    vf: int = 0
    master: int = 0
    adopted: bool = False


class Goal(Enum):
    """What a pair is on its way to."""

    JOINED = "joined"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Inet:
    """The IP configuration of one device at one moment."""

    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True, slots=True)
class Journal:
    """The configuration that is on its way to another device, so that it survives a crash in the middle.

    `name`, `up`, `mtu` and `altnames` are those of the device the world deals with. `extra` is what the VF carried
    of its own. With `cut` set, the move may have begun and this is the truth; before, the devices are. `toward` says
    which way the configuration goes, `nic` the ifindex of the paravirtual NIC that had the name, 0 for not known.
    """

    mac: str
    toward: Goal
    name: str
    up: bool
    mtu: int
    altnames: tuple[str, ...] = ()
    inet: Inet = Inet()
    extra: Inet = Inet()
    cut: bool = False
    nic: int = 0
