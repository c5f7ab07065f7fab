"""What failoverd tells others. A signal states what the kernel confirmed, never what was asked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FailedOver:
    """A master's active slave changed; names as they are now, "" for none. `at` is the engine's clock in seconds.

    `mac` is the pair's, `old_ifindex` and `new_ifindex` are the slaves', 0 for none. `silence` is for how long nobody
    carried, as far as the kernel told: seconds from the old slave's loss, as we heard of it, to this; 0 where the old
    one could have gone on. `role` is that of the new one: "primary", "standby", "" for none.
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
    """A device of a pair has another name; `role` is "master", "primary" or "standby"."""

    ifindex: int
    old: str
    new: str
    was_up: bool
    master: str
    role: str
    mac: str = ""


@dataclass(frozen=True, slots=True)
class Joined:
    """A pair is joined under this master, also one that was so when failoverd started.

    `active` is the slave that carries, `role` what it is; "" and 0 for none.
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


Signal = FailedOver | LinkRenamed | Joined | Released
