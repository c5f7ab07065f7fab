"""[Match] of a .network file, as systemd-networkd evaluates it (its shared/net-condition.c; 252 and 257 are alike)."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path

from failoverd.daemon.configurers.devices import Device
from failoverd.daemon.configurers.files import Assignment
from failoverd.daemon.configurers.machine import CONDITIONS, holds
from failoverd.daemon.configurers.patterns import WordError, matches, passes, words
from failoverd.dataclass import dataclass

LISTS = ("Name", "Path", "Driver", "Type", "Kind", "Property", "WLANInterfaceType", "SSID")
MACS = ("MACAddress", "PermanentMACAddress", "BSSID")
NAME = re.compile(r"(?!\.{1,2}$)(?![0-9]+$)[!-$&-.0-9;-~]{1,127}")
"""What systemd accepts as a name or a pattern of names (its ifname_valid_full()); it skips others."""
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
OCTETS = re.compile("(?:[0-9a-fA-F]{1,2}([:-])(?:[0-9a-fA-F]{1,2}\\1){4}[0-9a-fA-F]{1,2})")
PAIRS = re.compile("[0-9a-fA-F]{1,4}(?:\\.[0-9a-fA-F]{1,4}){2}")
OTHER = re.compile("[0-9a-fA-F.:-]*[.:-][0-9a-fA-F.:-]*")
"""What may be the address of another kind of device: no Ethernet device has it."""


@dataclass(slots=True)
class Match:
    """The sections [Match] of a file and its drop-ins, all of them together."""

    lists: dict[str, list[str]] = field(default_factory=dict)
    macs: dict[str, list[str]] = field(default_factory=dict)
    conditions: dict[str, str] = field(default_factory=dict)
    places: dict[str, Path] = field(default_factory=dict)
    """By key, the file its last value is in."""

    def take(self, said: Assignment) -> None:
        """Take in one assignment: it extends a list, replaces a condition, and clears either if it is empty."""
        key, value = said.key, said.value
        if key in LISTS:
            self.lists[key] = [*self.lists.get(key, []), *_patterns(key, value)] if value else []
        elif key in MACS:
            self.macs[key] = [*self.macs.get(key, []), *_addresses(value)] if value else []
        elif key in CONDITIONS:
            self.conditions[key] = value
        self.places[key] = said.path

    @property
    def is_empty(self) -> bool:
        """Return whether there are no assignments: networkd skips such a file."""
        return not any((*self.lists.values(), *self.macs.values(), *self.conditions.values()))

    def is_loaded(self, root: Path) -> bool | None:
        """Return whether networkd takes the file on this machine; None if unknown."""
        if self.is_empty:
            return False
        found = [holds(key, value, root) for key, value in self.conditions.items() if value]
        return False if False in found else None if None in found else True

    def miss(self, device: Device) -> str:
        """Return the key by which it does not match this device, "" if it matches."""
        for key, wanted in self.macs.items():
            has = {"MACAddress": device.mac, "PermanentMACAddress": device.perm_mac}.get(key, "")
            if wanted and has not in wanted:
                return key
        return next((key for key, wanted in self.lists.items() if not _has(key, wanted, device)), "")

    def text(self, key: str) -> str:
        """Return the value of this key, shortened."""
        found = self.lists.get(key) or self.macs.get(key) or [self.conditions.get(key, "")]
        return f"{key}={' '.join(found)}"


def _has(key: str, wanted: Sequence[str], device: Device) -> bool:
    match key:
        case "Name":
            return any(passes(wanted, name) for name in (device.name, *device.altnames))
        case "Property" | "Path" if not device.is_recorded:
            return True
        case "Property":
            return all(_is_set(one, device) for one in wanted)
        case "Path":
            return passes(wanted, device.path)
        case "Driver":
            return passes(wanted, device.driver or None)
        case "Type":
            return passes(wanted, device.type)
        case "Kind":
            return passes(wanted, device.kind)
    return passes(wanted, None)


def _is_set(wanted: str, device: Device) -> bool:
    key, _, pattern = wanted.removeprefix("!").partition("=")
    is_so = key in device.properties and matches(pattern, device.properties[key])
    return is_so != wanted.startswith("!")


def _patterns(key: str, value: str) -> list[str]:
    """Return the words of a list, each with the "!" that the list begins with."""
    sign = "!" if value.startswith("!") else ""
    read = {"Name": words(value.removeprefix("!")), "Property": words(value.removeprefix("!"), True, "c")}
    found: list[str] = []
    with contextlib.suppress(WordError):
        found.extend(read.get(key) or words(value.removeprefix("!"), True, "keep"))
    valid = {"Name": NAME.fullmatch, "Property": VARIABLE.match}.get(key)
    return [sign + word for word in found if valid is None or valid(word)]


def _addresses(value: str) -> list[str]:
    """Return MACs, lower-case with colons; another kind of address stays unchanged, and what is no address is
    skipped."""
    found: list[str] = []
    with contextlib.suppress(WordError):
        for word in words(value):
            if OCTETS.fullmatch(word):
                found.append(":".join(part.zfill(2) for part in re.split("[:-]", word.lower())))
            elif PAIRS.fullmatch(word):
                digits = "".join(part.zfill(4) for part in word.lower().split("."))
                found.append(":".join(re.findall("..", digits)))
            elif OTHER.fullmatch(word):
                found.append(word)
    return found
