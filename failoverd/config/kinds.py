"""The kinds of value that a key can have. Each takes a value out of a TOML document, or refuses it with a reason.

A kind raises InvalidValueError with half a sentence ("5 is too small") and describes the values that it takes ("a whole
number from 10 to 10000"). The reader of the documents puts file, line and key in front and the description behind, so
that every error has one form. TOML has true types, so nothing is guessed: a quoted "1" is not a number, and `true`,
which is an int to Python, is not one either.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import field
from typing import Any, Protocol

from failoverd.dataclass import dataclass

_TYPE_NAMES = {
    bool: "a boolean",
    int: "a whole number",
    float: "a fractional number",
    str: "a text",
    dict: "a table",
    type(None): "null",
}


class InvalidValueError(ValueError):
    """The value is refused; the text says what is wrong with it."""


class ValueKind(Protocol):
    """One kind of value."""

    def take(self, value: object) -> Any:
        """Return the value as the spec keeps it. Raises InvalidValueError."""

    def describe(self) -> str:
        """Describe the accepted values, to follow "give" in an error and to stand alone in the reference."""


def show(value: object, longest: int = 60) -> str:
    """Return a value in TOML's spelling, in one line of at most `longest` characters."""
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, int) and value.bit_length() > 256:
        return f"a number of {value.bit_length()} bits"
    elif isinstance(value, (str, int, float)):
        text = json.dumps(value) if isinstance(value, str) else str(value)
    elif isinstance(value, (list, tuple)):
        text = "[" + ", ".join(show(item, longest) for item in value) + "]"
    else:
        return _TYPE_NAMES.get(type(value), "a date or a time")
    return text if len(text) <= longest else text[: longest - 3] + "..."


def wrong_type(value: object) -> InvalidValueError:
    """Return the error for a value of another type."""
    name = _TYPE_NAMES.get(type(value))
    shown = show(value)
    if name is None:
        name = "a list" if isinstance(value, (list, tuple)) else shown
    return InvalidValueError(f"it is {name}" if name == shown else f"{shown} is {name}")


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""

    def take(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise wrong_type(value)
        return value

    def describe(self) -> str:
        return "true or false"


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number within limits, both included."""

    low: int
    high: int
    unit: str = ""

    def take(self, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong_type(value)
        _within(value, self.low, self.high)
        return value

    def describe(self) -> str:
        return f"a whole number from {self.low} to {self.high}" + (f" ({self.unit})" if self.unit else "")


@dataclass(frozen=True, slots=True)
class Seconds:
    """A span of time in seconds within limits, both included; a whole number is accepted, too."""

    low: float
    high: float

    def take(self, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise wrong_type(value)
        if isinstance(value, float) and math.isnan(value):
            raise InvalidValueError("nan is no span of time")
        _within(value, self.low, self.high)
        return float(value)

    def describe(self) -> str:
        return f"a number from {self.low:g} to {self.high:g} (seconds)"


@dataclass(frozen=True, slots=True)
class Choice:
    """One word out of a few."""

    words: Sequence[str]

    def take(self, value: object) -> str:
        if not isinstance(value, str):
            raise wrong_type(value)
        if value not in self.words:
            raise InvalidValueError(f"{show(value)} is not known")
        return value

    def describe(self) -> str:
        quoted = [show(word) for word in self.words]
        return ", ".join(quoted[:-1]) + " or " + quoted[-1]


UNFIT = frozenset(b"/:%\xa0\x7f") | frozenset(range(33))
"""Bytes that a device name may not have here: those that the kernel refuses (net/core/dev.c, dev_valid_name, to which
0xA0 is white space wherever it stands), `%`, which the kernel expands, and those that are not printable."""


def unfit_in_name(text: str) -> str:
    """Return the first character that no device name may have, or ""."""
    return next((c for c in text if UNFIT.intersection(c.encode(errors="surrogatepass"))), "")


SHORTEST = 3
"""Fewest bytes of a suffix: a standby that has lost its master is recognised by it, and its own name is the part
before."""


@dataclass(frozen=True, slots=True)
class Suffix:
    """The end of a device name, of bytes that the kernel allows in one, no longer than `longest` bytes."""

    longest: int

    def take(self, value: object) -> str:
        if not isinstance(value, str):
            raise wrong_type(value)
        size = len(value.encode(errors="surrogatepass"))
        if not 1 <= size <= self.longest:
            raise InvalidValueError(f"{show(value)} has {size} bytes")
        if bad := unfit_in_name(value):
            raise InvalidValueError(f"{show(value)} holds {show(bad)}, which no device name may")
        if size < SHORTEST or value[0].isdigit():
            raise InvalidValueError(f"{show(value)} is how a NIC's own name may end")
        return value

    def describe(self) -> str:
        return (
            f"a text of {SHORTEST} to {self.longest} bytes, no digit first, without '/', ':', '%', white space or "
            "control characters"
        )


@dataclass(frozen=True, slots=True)
class Text:
    """A text of a certain form, in one line; "" for none."""

    form: str
    """A regular expression for all of it."""

    of: str

    def take(self, value: object) -> str:
        if not isinstance(value, str):
            raise wrong_type(value)
        if value and not re.fullmatch(self.form, value):
            raise InvalidValueError(f"{show(value)} is not of that form")
        return value

    def describe(self) -> str:
        return self.of


@dataclass(frozen=True, slots=True)
class Words:
    """A list of words; `of` says which. A MAC is kept as the kernel writes it: lower case, colons."""

    of: str
    _mac: re.Pattern[str] = field(default=re.compile(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}"), repr=False)

    def take(self, value: object) -> tuple[str, ...]:
        if not isinstance(value, (list, tuple)):
            raise wrong_type(value)
        return tuple(self._word(item) for item in value)

    def _word(self, item: object) -> str:
        if not isinstance(item, str):
            raise wrong_type(item)
        if not item:
            raise InvalidValueError(f"{show(item)} is empty")
        if bad := re.search(r"[\s\x00-\x1f\x7f]", item):
            raise InvalidValueError(f"{show(item)} holds {show(bad[0])}")
        return item.lower().replace("-", ":") if self._mac.fullmatch(item) else item

    def describe(self) -> str:
        return f"a list of {self.of}"


def _within(value: float, low: float, high: float) -> None:
    if value < low:
        raise InvalidValueError(f"{show(value)} is too small")
    if value > high:
        raise InvalidValueError(f"{show(value)} is too large")
