"""The words in which a D-Bus interface is described: here "face", as `interface` means a network device elsewhere.

A face is a table, not a class with decorated methods. dbus-next reads signatures from annotations such as `-> 's'`,
which type checkers take for the name of a type; and introspection, the checks of arguments and the reference page
all need the same facts, which a table gives to each of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Arg:
    """One argument: its name, its D-Bus signature (one complete type), and what it means."""

    name: str
    signature: str
    doc: str


@dataclass(frozen=True, slots=True)
class Method:
    """A method. `changes`: it is not for everybody. `errors` are the last words of the names of its own errors."""

    name: str
    doc: str
    takes: tuple[Arg, ...] = ()
    gives: tuple[Arg, ...] = ()
    changes: bool = False
    errors: tuple[str, ...] = ()

    @property
    def whose(self) -> str:
        """Who may call it, in words."""
        return "Root's, and whose the bus's policy says." if self.changes else "Everybody's."


@dataclass(frozen=True, slots=True)
class Property:
    """A property that can be read. `constant`: it never changes while the object is there."""

    name: str
    signature: str
    doc: str
    constant: bool = False


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal and its arguments."""

    name: str
    doc: str
    args: tuple[Arg, ...]


@dataclass(frozen=True, slots=True)
class Face:
    """One interface."""

    name: str
    doc: str
    methods: tuple[Method, ...] = ()
    properties: tuple[Property, ...] = ()
    signals: tuple[Signal, ...] = ()

    def method(self, name: str) -> Method | None:
        """The method with this name."""
        return next((method for method in self.methods if method.name == name), None)

    def property(self, name: str) -> Property | None:
        """The property with this name."""
        return next((found for found in self.properties if found.name == name), None)

    def signal(self, name: str) -> Signal:
        """The signal with this name, which has to be there."""
        return next(signal for signal in self.signals if signal.name == name)


Values = Mapping[str, Any]
"""The properties of one face of one object. Structures and arrays are lists, as dbus-next wants them."""

Objects = Mapping[str, Mapping[str, Values]]
"""All objects: by path, the faces each has, and their properties."""


def signature(args: tuple[Arg, ...]) -> str:
    """The signature of a body with these arguments."""
    return "".join(arg.signature for arg in args)


class BusError(Exception):
    """An answer that is an error. `name` is a whole error name, the text says what was asked, and what to do."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name
