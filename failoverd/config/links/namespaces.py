"""How a link names its network namespace: a table with exactly one reference."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from failoverd.config.document import suggest
from failoverd.config.kinds import InvalidValueError, show
from failoverd.config.links.values import plain
from failoverd.dataclass import dataclass
from failoverd.model.declared import NamespaceRef

REFERENCES = ("name", "pid", "path", "container")
CONTAINERS = ("label", "env", "name", "id", "pod", "machine")
_FORMS = {"label": "label:KEY=VALUE", "env": "env:NAME=VALUE", "pod": "pod:NAMESPACE/NAME"}


@dataclass(frozen=True, slots=True)
class NamespaceName:
    """A name below /run/netns, of any bytes that a file's name may have."""

    def take(self, value: object) -> str:
        name = plain(value)
        if "/" in name or name in (".", ".."):
            raise InvalidValueError(f"{show(name)} is no name of a file")
        if len(name.encode()) > 255:
            raise InvalidValueError(f"{show(name)} has {len(name.encode())} bytes")
        return name

    def describe(self) -> str:
        return "a name as `ip netns` lists it, at most 255 bytes"


@dataclass(frozen=True, slots=True)
class AbsolutePath:
    """The path of a file from the root on."""

    longest: int = 4095

    def take(self, value: object) -> str:
        path = plain(value)
        if not path.startswith("/"):
            raise InvalidValueError(f"{show(path)} does not begin with a slash")
        if len(path.encode()) > self.longest:
            raise InvalidValueError(f"{show(path)} has {len(path.encode())} bytes")
        return path

    def describe(self) -> str:
        return f"an absolute path of at most {self.longest} bytes"


@dataclass(frozen=True, slots=True)
class Container:
    """A container, as its runtime knows it."""

    def take(self, value: object) -> str:
        text = plain(value)
        by, colon, what = text.partition(":")
        if not colon or not what:
            raise InvalidValueError(f"{show(text)} does not say how the container is known")
        if by not in CONTAINERS:
            known = suggest(by, CONTAINERS, '"{}:"', "it may be")
            raise InvalidValueError(f"{show(by + colon)} is not known, {known}")
        first, between, last = what.partition("/" if by == "pod" else "=")
        if by in _FORMS and not (first and between and (last or by != "pod")):
            raise InvalidValueError(f"{show(text)} is not of the form {_FORMS[by]}")
        if by not in ("label", "env") and re.search(r"\s|/.*/", what):
            raise InvalidValueError(f"{show(text)} names no container")
        return text

    def describe(self) -> str:
        return ", ".join(f'"{_FORMS.get(by, by + ":" + by.upper())}"' for by in CONTAINERS[:-1]) + ' or "machine:NAME"'


def reference(given: Mapping[str, Any]) -> NamespaceRef:
    """Return the reference of a `namespace` table. Raises InvalidValueError."""
    found = [by for by in REFERENCES if given[by] is not None]
    if len(found) != 1:
        raise InvalidValueError(" and ".join(found) + " are given together" if found else "it names no namespace")
    (by,) = found
    if given["create"] and by != "name":
        raise InvalidValueError(f"create is given for a namespace by {by}, and only one by name can be created")
    return NamespaceRef(by, str(given[by]), given["create"])
