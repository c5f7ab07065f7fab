"""What failoverd tells others. A signal states what the kernel confirmed, never what was asked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FailedOver:
    """A master's active slave changed; names as they are now, "" for none. `at` is the engine's clock in seconds."""

    master: str
    old: str
    new: str
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class LinkRenamed:
    """A device of a pair has another name; `role` is "master", "primary" or "standby"."""

    ifindex: int
    old: str
    new: str
    was_up: bool
    master: str
    role: str


@dataclass(frozen=True, slots=True)
class Joined:
    """A pair is joined under this master."""

    master: str
    mac: str


@dataclass(frozen=True, slots=True)
class Released:
    """A pair's devices are as they were before."""

    name: str
    mac: str


Signal = FailedOver | LinkRenamed | Joined | Released
