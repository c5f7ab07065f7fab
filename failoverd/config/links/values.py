"""The kinds of value that only declared links have: names and references. See config/kinds.py."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from typing import TypeVar

from failoverd.config.document import suggest
from failoverd.config.kinds import InvalidValueError, show, unfit_in_name, wrong_type
from failoverd.config.patterns import LONGEST, is_kept
from failoverd.dataclass import dataclass
from failoverd.model.declared import DeviceRef

Item = TypeVar("Item", bound=Hashable)

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
"""The NAME of a [link.NAME]."""
NAME_IN_WORDS = "lower-case letters, digits, '.', '_' and '-', 63 at most, a letter or a digit first"

_END = re.compile(NAME.pattern + r"(\.peer)?")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""Control characters, and what JSON can spell and no file's name can hold."""
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_NO_DEVICES = (".", "..", "all", "default")
"""Names of the right bytes that the kernel refuses: the directories of sysfs (dev_valid_name), and those that
/proc/sys/net has for all devices and for new ones (devinet_sysctl_register).
"""


def plain(value: object) -> str:
    """Return a text that is not empty and has no control character. Raises InvalidValueError."""
    if not isinstance(value, str):
        raise wrong_type(value)
    if not value:
        raise InvalidValueError(f"{show(value)} is empty")
    if bad := _UNPRINTABLE.search(value):
        raise InvalidValueError(f"{show(value)} holds {show(bad[0])}")
    return value


def each_once(items: Iterable[Item]) -> list[Item]:
    """Return the items. Raises InvalidValueError if one is given twice."""
    once: dict[Item, None] = {}
    for item in items:
        if item in once:
            raise InvalidValueError(f"{show(str(item))} is given twice")
        once[item] = None
    return list(once)


def as_mac(text: str) -> str:
    """Return a MAC in lower case with colons, "" for a text that is none."""
    mac = text.lower().replace("-", ":")
    return mac if _MAC.fullmatch(mac) else ""


@dataclass(frozen=True, slots=True)
class DeviceName:
    """The name of a device."""

    def take(self, value: object) -> str:
        name = plain(value)
        if bad := unfit_in_name(name):
            raise InvalidValueError(f"{show(name)} holds {show(bad)}, which no device name may")
        if len(name.encode()) > LONGEST:
            raise InvalidValueError(f"{show(name)} has {len(name.encode())} bytes")
        if name in _NO_DEVICES:
            raise InvalidValueError(f"the kernel has no device {show(name)}")
        if is_kept(name):
            raise InvalidValueError(f"{show(name)} is a name that failoverd keeps for itself")
        return name

    def describe(self) -> str:
        return f"a device name: at most {LONGEST} bytes without '/', ':', '%', white space or control characters"


@dataclass(frozen=True, slots=True)
class Mac:
    """The MAC of one device, lower case with colons."""

    def take(self, value: object) -> str:
        mac = plain(value).lower().replace("-", ":")
        if not _MAC.fullmatch(mac):
            raise InvalidValueError(f"{show(value)} is no MAC")
        if int(mac[:2], 16) & 1:
            raise InvalidValueError(f"{show(value)} is a multicast MAC")
        if mac == "00:00:00:00:00:00":
            raise InvalidValueError(f"{show(value)} is no device's")
        return mac

    def describe(self) -> str:
        return 'six bytes such as "02:00:5e:10:00:01", the first one even'


@dataclass(frozen=True, slots=True)
class Mtu:
    """An MTU in bytes. The kernel's limits for IPv4 (ETH_MIN_MTU, and 16 bits in the header)."""

    def take(self, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong_type(value)
        if value != 0 and not 68 <= value <= 65_535:
            raise InvalidValueError(f"{show(value)} is too {'small' if value < 68 else 'large'}")
        return value

    def describe(self) -> str:
        return "a whole number from 68 to 65535 (bytes), or 0"


@dataclass(frozen=True, slots=True)
class LinkRef:
    """The name of another link."""

    def take(self, value: object) -> str:
        name = plain(value)
        if not _END.fullmatch(name):
            raise InvalidValueError(f"{show(value)} is no name of a link")
        return name

    def describe(self) -> str:
        return "the NAME of another [link.NAME], or a table with the keys of the other end"


@dataclass(frozen=True, slots=True)
class Reference:
    """Another device, by what it is to failoverd."""

    def take(self, value: object) -> DeviceRef:
        by, colon, name = plain(value).partition(":")
        if not colon:
            raise InvalidValueError(f"{show(value)} does not say what it is")
        if by == "link":
            return DeviceRef(by, LinkRef().take(name))
        if by == "device":
            return DeviceRef(by, DeviceName().take(name))
        if by != "master":
            known = suggest(by, ("master", "link", "device"), '"{}:"', "it may be")
            raise InvalidValueError(f"{show(by + colon)} is not known, {known}")
        return DeviceRef(by, as_mac(name) or DeviceName().take(name))

    def describe(self) -> str:
        return '"master:NAME" or "master:MAC" (of failoverd\'s), "link:NAME" (of a [link.NAME]) or "device:NAME"'


@dataclass(frozen=True, slots=True)
class References:
    """Other devices, sorted by their texts."""

    def take(self, value: object) -> tuple[DeviceRef, ...]:
        if not isinstance(value, (list, tuple)):
            raise wrong_type(value)
        return tuple(sorted(each_once(Reference().take(item) for item in value), key=str))

    def describe(self) -> str:
        return f"a list of {Reference().describe()}"
