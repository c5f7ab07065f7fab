"""The signals that failoverd sends. A signal states what the kernel confirmed, never what was asked for."""

from __future__ import annotations

from typing import NamedTuple

from failoverd.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class FailedOver:
    """A master's active slave changed; names as they are now, "" for none. `at` is the engine's clock in seconds.

    `mac` is the pair's, `old_ifindex` and `new_ifindex` are the slaves', 0 for none. `silence` is how long no slave
    carried, as far as the kernel reported: the seconds from the loss of the old slave, as failoverd saw it, to this
    change; 0 where the old slave could have gone on. `role` is the new slave's: "primary", "standby", "" for none.
    """

    master: str
    old: str
    new: str
    reason: str
    at: float
    mac: str = ""
    old_ifindex: int = 0
    new_ifindex: int = 0
    silence: float = 0.0
    role: str = ""


@dataclass(frozen=True, slots=True)
class LinkRenamed:
    """A device of a pair has another name. `role` is "master", "primary" or "standby"."""

    ifindex: int
    old: str
    new: str
    was_up: bool
    master: str
    role: str
    mac: str = ""


@dataclass(frozen=True, slots=True)
class Joined:
    """A pair is joined under this master; also sent for a pair that was joined when failoverd started.

    `active` is the slave that carries and `role` its role; "" and 0 for none.
    """

    master: str
    mac: str
    ifindex: int = 0
    active: str = ""
    active_ifindex: int = 0
    role: str = ""


@dataclass(frozen=True, slots=True)
class Released:
    """A pair's devices are as they were before; `name` is the paravirtual NIC's."""

    name: str
    mac: str
    ifindex: int = 0


@dataclass(frozen=True, slots=True)
class ConditionChanged:
    """A condition of a pair began (`present`) or ended.

    `condition` is one of core/signal_table.py's CONDITIONS. `reason` describes it in words, also when it has ended.
    """

    master: str
    mac: str
    condition: str
    present: bool
    reason: str


Signal = FailedOver | LinkRenamed | Joined | Released | ConditionChanged


class Moment(NamedTuple):
    """The time of an event."""

    time: float
    """Seconds since 1970, by the wall clock."""
    monotonic: float
    """Seconds of CLOCK_MONOTONIC."""
