"""Translate D-Bus methods to calls of core.calls and back: arguments in, parts of the document out.

Each method is one of the calls that failoverctl makes, too; no call exists only on D-Bus.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from failoverd.bus.dispatch import Asked
from failoverd.core.call_answers import CallError
from failoverd.core.document import Document
from failoverd.daemon.dbus.objects import explained, mac_of, master_path, slave_of, words
from failoverd.dataclass import dataclass

MOVED, LISTS = ("device", "kind", "how", "why"), ("takes", "leaves")
"""What is told of a device that would move: texts, and lists of texts."""


@dataclass(frozen=True, slots=True)
class Doing:
    """One method: its call, the call's arguments from the method's, and the results from the call's document."""

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


def _move(asked: Asked) -> Sequence[str]:
    namespace = str(asked.arguments[0])
    return [mac_of(asked.path), *([namespace] if namespace else [])]


def _plan(document: Document) -> list[Any]:
    rows = [
        [*(words(row[key]) for key in MOVED), *(list(map(words, row[key])) for key in LISTS)]
        for row in document["devices"]
    ]
    return [words(document["refused"]), rows]


DOINGS: dict[str, Doing] = {
    "Explain": Doing("explain", _given_or_none, lambda document: [explained(document["nics"])]),
    "Adopt": Doing("adopt", _given, lambda document: [master_path(document["mac"])]),
    "RenameLink": Doing("rename", _given),
    "Reload": Doing("reload", lambda _asked: [], lambda document: [[words(line) for line in document["changes"]]]),
    "Release": Doing("release", _pair),
    "Move": Doing("move", _move),
    "PlanMove": Doing("move-plan", _move, _plan),
    "Drain": Doing("drain", _drain),
    "Undrain": Doing("undrain", _pair),
    "ResetDamping": Doing("reset-damping", _pair),
    "SwitchTo": Doing("switch", _switch),
}
"""All methods of the interfaces, by name, but for the inventory's (inventory.py)."""
