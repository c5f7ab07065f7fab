"""The columns of the table of signals: what is known of a kind of event beside its fields' values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from failoverd.model.facts import Row, Type

WARNING, NOTICE, INFO = 4, 5, 6
"""The journal's priorities, as syslog has them."""


class Member(NamedTuple):
    """A signal on D-Bus: the interface that has it, its name there, and the fields that its object's path implies."""

    interface: str
    name: str
    known: tuple[str, ...] = ("master",)


class Told(NamedTuple):
    """One kind of event."""

    event: str
    text: str
    """When it happens, in a sentence."""
    say: Callable[[Any], str]
    """The signal as a sentence for the log."""
    fields: tuple[Row[Any], ...]
    members: tuple[Member, ...]
    message_id: str
    """The journal's MESSAGE_ID, which units/failoverd.catalog explains. It never changes."""
    counter: str
    """The metric's name for the number of these events."""
    by: str = ""
    """The field by whose values the samples are split."""
    priority: Callable[[Any], int] = lambda _: INFO
    priorities: str = "6, info"
    """A description of `priority`."""

    @property
    def subject(self) -> str:
        """The key of the field that names what the event is about: "master" or "link"."""
        return next(row.key for row in self.fields if row.type in (Type.MASTER, Type.LINK))
