"""Methods on D-Bus to calls of core.calls and back: what is asked for, and what of the document is answered.

Each is one of the calls that failoverctl makes, too; there is nothing that can only be done here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from failoverd.bus.dispatch import Asked
from failoverd.core.answers import CallError
from failoverd.core.status import Document
from failoverd.daemon.dbusobjects import explained, mac_of, master_path, slave_of, words


@dataclass(frozen=True, slots=True)
class Doing:
    """One method: the call, its arguments out of what was asked, the values to answer with out of its document."""

    call: str
    arguments: Callable[[Asked], Sequence[str]]
    answer: Callable[[Document], list[Any]] = lambda _document: []


def _given(asked: Asked) -> Sequence[str]:
    return asked.arguments


def _given_or_none(asked: Asked) -> Sequence[str]:
    return [text for text in asked.arguments if text]


def _pair(asked: Asked) -> Sequence[str]:
    return [mac_of(asked.path)]


def _drain(asked: Asked) -> Sequence[str]:
    return [mac_of(asked.path), str(asked.arguments[0])]


def _switch(asked: Asked) -> Sequence[str]:
    slave = slave_of(asked.arguments[0])
    if not slave:
        raise CallError(f"{asked.arguments[0]} is no slave's object; give Primary or Standby", "NoSuchSlave")
    return [mac_of(asked.path), slave]


DOINGS: dict[str, Doing] = {
    "Explain": Doing("explain", _given_or_none, lambda document: [explained(document["nics"])]),
    "Adopt": Doing("adopt", _given, lambda document: [master_path(document["mac"])]),
    "RenameLink": Doing("rename", _given),
    "Reload": Doing("reload", lambda _asked: [], lambda document: [[words(line) for line in document["changes"]]]),
    "Release": Doing("release", _pair),
    "Drain": Doing("drain", _drain),
    "Undrain": Doing("undrain", _pair),
    "SwitchTo": Doing("switch", _switch),
}
"""By the method's name; every method of the faces is here."""
