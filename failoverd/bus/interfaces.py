"""The description of a D-Bus interface. The kernel's interfaces are called devices, NICs or links in failoverd.

An interface is a table, not a class with decorated methods. dbus-next reads signatures from annotations such as `->
's'`, which type checkers take for the name of a type; and introspection, the checks of arguments and the reference page
all need the same facts, and take them from the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from failoverd.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Arg:
    """One argument: its name, its D-Bus signature (one complete type), and what it means."""

    name: str
    signature: str
    doc: str


@dataclass(frozen=True, slots=True)
class Method:
    """A method. `changes`: it changes something, and not every user may call it. `errors` are the last words of the
    names of its own errors."""

    name: str
    doc: str
    takes: tuple[Arg, ...] = ()
    gives: tuple[Arg, ...] = ()
    changes: bool = False
    errors: tuple[str, ...] = ()

    @property
    def whose(self) -> str:
        """The users who may call it, as a sentence."""
        return "Requires root, or the bus's policy to permit it." if self.changes else "Any user may call it."


@dataclass(frozen=True, slots=True)
class Property:
    """A read-only property. `constant`: it never changes while the object exists. `asked`: its value is asked for when
    a client reads it, as a call is carried out; then all of its interface's are. No signal bears a new value of such a
    one: PropertiesChanged names it where `invalidated` says so, and does not tell of it otherwise."""

    name: str
    signature: str
    doc: str
    constant: bool = False
    asked: bool = False
    invalidated: bool = False

    @property
    def emits(self) -> str:
        """How its changes are told, in the words of the annotation EmitsChangedSignal."""
        if self.constant:
            return "const"
        return "invalidates" if self.invalidated else "false" if self.asked else "true"


@dataclass(frozen=True, slots=True)
class BusSignal:
    """A signal as D-Bus has it, and its arguments; what failoverd itself tells is a model.signals.Signal."""

    name: str
    doc: str
    args: tuple[Arg, ...]


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface."""

    name: str
    doc: str
    methods: tuple[Method, ...] = ()
    properties: tuple[Property, ...] = ()
    signals: tuple[BusSignal, ...] = ()

    def method(self, name: str) -> Method | None:
        """Return the method with this name, None for none."""
        return next((method for method in self.methods if method.name == name), None)

    def property(self, name: str) -> Property | None:
        """Return the property with this name, None for none."""
        return next((found for found in self.properties if found.name == name), None)

    def signal(self, name: str) -> BusSignal:
        """Return the signal with this name, which has to exist."""
        return next(signal for signal in self.signals if signal.name == name)


Values = Mapping[str, Any]
"""The properties of one interface of one object. Structures and arrays are lists, as dbus-next requires."""

Objects = Mapping[str, Mapping[str, Values]]
"""All objects: by path, each one's interfaces and their properties."""


def signature(args: tuple[Arg, ...]) -> str:
    """Return the signature of a body with these arguments."""
    return "".join(arg.signature for arg in args)


class BusError(Exception):
    """An error reply. `name` is a whole error name; the text says what was asked, and what to do."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name
