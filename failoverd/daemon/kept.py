"""Read the files that earlier runs have kept, with suspicion.

Every number has to be one that failoverd could have written. A file that fails is renamed (`.bad`) and named in the
log, and the start goes on without it. Only regular files are read, without blocking.
"""

from __future__ import annotations

import errno
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import field, fields
from pathlib import Path
from typing import Literal, TypeVar

from failoverd.config.regular import read_regular
from failoverd.core.ordercalls import LONGEST_DRAIN
from failoverd.daemon.files import set_aside
from failoverd.daemon.journal import JournalError, loads, loads_inet
from failoverd.dataclass import dataclass
from failoverd.model.events import AwaySaid
from failoverd.model.health import Damping
from failoverd.model.orders import Drain
from failoverd.model.pairs import Inet, Journal
from failoverd.policy.naming import flat, invalid_name_reason

MAC = re.compile("[0-9a-f]{12}")
LARGEST_JOURNAL = 64 << 20
"""Bytes: the size of some hundred thousand routes. A larger journal is not written, as it would not be read."""
LARGEST = 4096
"""Bytes of any other file."""
LONGEST_REASON = 200
"""Characters of the reason why a file is damaged, which may quote the file."""
LAST_IFINDEX = 0x7FFFFFFF
LARGEST_PENALTY = 1e30
"""More than any configuration lets a penalty become."""
DAMAGED = (OSError, ArithmeticError, LookupError, RecursionError, TypeError, ValueError, JournalError)
"""The exceptions that reading a damaged file can raise."""
NAME = ".name"
"""The suffix, after the MAC, of the file with the paravirtual NIC's own name."""
Memory = Literal["joined", "released"]
T = TypeVar("T")


@dataclass(slots=True)
class Kept:
    """What was found on disk; `marked` are the MACs with marks for udev, `away` the pairs in other network namespaces,
    `troubles` are lines for the log."""

    journals: dict[str, Journal] = field(default_factory=dict)
    lost: dict[str, Inet] = field(default_factory=dict)
    memory: dict[str, Memory] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    drains: dict[str, Drain] = field(default_factory=dict)
    damping: dict[str, Damping] = field(default_factory=dict)
    marked: set[str] = field(default_factory=set)
    away: dict[str, AwaySaid] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)


class Reader:
    """Reads directories of kept files. With `aside` unset, files that cannot be read stay where they are."""

    def __init__(self, aside: bool) -> None:
        self._set_aside = aside
        self.troubles: list[str] = []
        """The damaged files, a line each for the log."""

    def each(self, where: Path, suffix: str, read: Callable[[Path], T]) -> Iterator[tuple[str, T]]:
        """Yield the files of one directory by their MACs, as `read` returns them. A file that it cannot read is set
        aside."""
        for path in self.paths(where):
            if not (path.name.endswith(suffix) and MAC.fullmatch(path.name.removesuffix(suffix))):
                continue
            try:
                found = read(path)
            except DAMAGED as error:
                why = error.strerror if isinstance(error, OSError) else str(error)
                self._put_away(path, (why or repr(error))[:LONGEST_REASON])
            else:
                yield _with_colons(path.name.removesuffix(suffix)), found

    def paths(self, where: Path) -> list[Path]:
        try:
            return sorted(where.iterdir())
        except FileNotFoundError:
            if os.path.lexists(where):
                self._put_away(where, "it leads nowhere")
        except NotADirectoryError:
            self._put_away(where, "it is no directory")
        except OSError as error:
            if error.errno == errno.ELOOP:
                self._put_away(where, "it leads to itself")
            else:
                self.troubles.append(f"{where}: {error.strerror}; nothing is taken from it")
        return []

    def _put_away(self, path: Path, why: str) -> None:
        aside = set_aside(path) if self._set_aside else ""
        where = f"; set aside as {aside}" if aside else ""
        self.troubles.append(f"{path}: {why}{where}; nothing is taken from it")


def _with_colons(name: str) -> str:
    return ":".join(re.findall("..", name))


def read_journal(path: Path) -> Journal:
    journal = loads(read_regular(path, LARGEST_JOURNAL).decode())
    if f"{flat(journal.mac)}.json" != path.name:
        raise JournalError(f"it is about {journal.mac!r}, and its name says otherwise")
    return journal


def read_away(path: Path) -> AwaySaid:
    """Read the head of the journal of a move into another network namespace. Its modules are loaded for it alone."""
    from failoverd.daemon.movefile import read_record, said

    record = read_record(path)
    return said(record.mac, record)


def read_lost(path: Path) -> Inet:
    return loads_inet(read_regular(path, LARGEST_JOURNAL).decode())


def read_memory(path: Path) -> Memory:
    word = read_regular(path, LARGEST).strip()
    if word == b"joined":
        return "joined"
    if word == b"released":
        return "released"
    raise ValueError("neither 'joined' nor 'released'")


def read_name(path: Path) -> str:
    name = read_regular(path, LARGEST).strip().decode("ascii")
    if reason := invalid_name_reason(name):
        raise ValueError(f"not a name: {reason}")
    return name


def read_drain(path: Path) -> Drain:
    """Read a drain. CLOCK_MONOTONIC is the engine's clock, so no drain ends later than the longest one begun now."""
    raw = json.loads(read_regular(path, LARGEST))
    if not isinstance(raw, dict) or not {"vf", "until"} <= raw.keys():
        raise ValueError("not a drain")
    vf, until = raw["vf"], raw["until"]
    if isinstance(vf, bool) or not isinstance(vf, int) or not 0 < vf <= LAST_IFINDEX:
        raise ValueError(f"not a drain: {vf!r} is no ifindex")
    if until is None:
        return Drain(vf, None)
    latest = time.monotonic() + LONGEST_DRAIN
    if isinstance(until, bool) or not isinstance(until, int | float) or not 0 <= until <= latest:
        raise ValueError(f"not a drain: {until!r} is no time at which it could end")
    return Drain(vf, float(until))


def read_damping(path: Path) -> Damping:
    """Read a damping. As in a drain, no time in it is later than now."""
    raw = json.loads(read_regular(path, LARGEST))
    if not isinstance(raw, dict) or not {field.name for field in fields(Damping)} <= raw.keys():
        raise ValueError("not what flaps have come to")
    penalty, at, vf, losses, dead = (raw[key] for key in ("penalty", "at", "vf", "losses", "dead"))
    missed = raw["missed_since"]
    limits = ((penalty, LARGEST_PENALTY), (at, time.monotonic()), (missed, time.monotonic()), (losses, 0xFFFFFFFF))
    for number, most in (*limits, (vf, LAST_IFINDEX), (dead, LAST_IFINDEX)):
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= most:
            raise ValueError(f"not what flaps have come to: {number!r}")
    if not isinstance(raw["suppressed"], bool):
        raise ValueError(f"not what flaps have come to: {raw['suppressed']!r}")
    return Damping(float(penalty), float(at), raw["suppressed"], int(vf), int(losses), int(dead), float(missed))
