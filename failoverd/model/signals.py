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
    `namespace` is the network namespace of all of them, in words that `failoverctl move` takes, "" for failoverd's own.
    In another one the ifindexes are that namespace's, and the silence is not known.
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
    namespace: str = ""


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


@dataclass(frozen=True, slots=True)
class LinkEvent:
    """What all signals about an end of a declared link say; the fields are LinkStatus's.

    They have no MAC, as a declared link belongs to no pair. `ifindex` is 0 where there is no device. `reason` is a code
    for programs and `detail` the same for people, "" where there is nothing to explain.
    """

    name: str
    kind: str
    device: str
    namespace: str
    ifindex: int = 0
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LinkReady(LinkEvent):
    """The kernel has shown everything that was declared of this end; also sent at the start for one that is there."""


@dataclass(frozen=True, slots=True)
class LinkPending(LinkEvent):
    """This end waits; `reason` and `detail` say for what."""


@dataclass(frozen=True, slots=True)
class LinkDegraded(LinkEvent):
    """The device of this end is there, and something about it is not as declared."""


@dataclass(frozen=True, slots=True)
class LinkConflict(LinkEvent):
    """A foreign device or another declaration stands in the place of this end."""


@dataclass(frozen=True, slots=True)
class LinkFailed(LinkEvent):
    """The kernel has refused this end, which is tried again."""


@dataclass(frozen=True, slots=True)
class LinkGoing(LinkEvent):
    """failoverd is about to delete the device of this end, which is there until then."""


@dataclass(frozen=True, slots=True)
class LinkGone(LinkEvent):
    """The device of this end, which had `ifindex`, is gone: failoverd or another program has deleted it, or its
    namespace has ended.
    """


Signal = (
    FailedOver
    | LinkRenamed
    | Joined
    | Released
    | ConditionChanged
    | LinkReady
    | LinkPending
    | LinkDegraded
    | LinkConflict
    | LinkFailed
    | LinkGoing
    | LinkGone
)


class Moment(NamedTuple):
    """The time of an event."""

    time: float
    """Seconds since 1970, by the wall clock."""
    monotonic: float
    """Seconds of CLOCK_MONOTONIC."""
