"""Names from a pattern with fields in braces, such as "{master}vf".

A pattern is refused where it cannot give a valid device name, however short the fields' values are. A name that is too
long for one device, or taken, is found when the pattern is filled in: that depends on the machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from failoverd.config.kinds import InvalidValueError, show, unfit_in_name, wrong_type
from failoverd.dataclass import dataclass

LONGEST = 15
"""Most bytes of a device name (linux/if.h: IFNAMSIZ is 16 with its NUL)."""
FIELD = re.compile(r"\{([^{}]*)\}")
FLAT_MAC = 12
KEPT = re.compile(r"f[os](?:\{mac\}|[0-9a-f]{12})|failoverd-.*", re.DOTALL)
"""The names that failoverd gives to a bond on its way in or out, to a standby whose name would be too long, and as
alternative names."""


def is_kept(name: str) -> bool:
    """Return whether this name, or one that this pattern gives, is among those that failoverd keeps for itself
    (KEPT)."""
    return KEPT.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Pattern:
    """A device name with fields; `{mac}` stands for the twelve digits of the MAC, other fields for a device's name.

    `optional`: an empty text is accepted, and means that nothing is renamed.
    """

    fields: tuple[str, ...]
    optional: bool = False

    def take(self, value: object) -> str:
        if not isinstance(value, str):
            raise wrong_type(value)
        if not value and self.optional:
            return value
        if unknown := [field for field in FIELD.findall(value) if field not in self.fields]:
            raise InvalidValueError(f"{show(value)} holds {show('{' + unknown[0] + '}')}, which is none of its fields")
        if is_kept(value):
            raise InvalidValueError(f"{show(value)} gives names that failoverd keeps for itself")
        rest = FIELD.sub("", value)
        if bad := unfit_in_name(rest) or next((c for c in rest if c in "{}"), ""):
            raise InvalidValueError(f"{show(value)} holds {show(bad)}, which no device name may")
        macs, names = (sum((field == "mac") is is_mac for field in FIELD.findall(value)) for is_mac in (True, False))
        size = len(rest.encode(errors="surrogatepass")) + FLAT_MAC * macs + names
        if value in ("", ".", "..") or size > LONGEST:
            raise InvalidValueError(f"{show(value)} gives no name of 1 to {LONGEST} bytes, whatever is put into it")
        return value

    def describe(self) -> str:
        fields = " and ".join("{" + field + "}" for field in self.fields)
        empty = ', or "" for none' if self.optional else ""
        return f"a device name of at most {LONGEST} bytes, in which {fields} may stand{empty}"


def fill(pattern: str, fields: Mapping[str, str]) -> str:
    """Return the name that the pattern gives; values are not searched for fields again."""
    return FIELD.sub(lambda found: fields[found[1]], pattern)


def gives(pattern: str, name: str, mac: str) -> bool:
    """Return whether the pattern gives this name for some device and this flat MAC."""
    parts = re.split(r"(\{[^{}]*\})", pattern)
    ways = {"{mac}": re.escape(mac)}
    spelt = "".join(ways.get(part, ".+") if FIELD.fullmatch(part) else re.escape(part) for part in parts)
    return re.fullmatch(spelt, name, re.DOTALL) is not None
