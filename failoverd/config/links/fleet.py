"""Links that are declared elsewhere than in files: a value of JSON for each, as etcd has it, and what it may declare.

The service that reads etcd checks them, so that the last good value of each stays in force, and the daemon checks what
it is handed once more: what etcd may do here is for the daemon's own configuration to say.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from failoverd.config.bounds import LARGEST
from failoverd.config.errors import ConfigError
from failoverd.config.kinds import show
from failoverd.config.links.ends import says
from failoverd.config.links.read import declared_from
from failoverd.config.spec import EtcdAllow
from failoverd.model.declared import End

DEEPEST = 64
"""Most brackets within each other; five are of use. Python's parser of JSON calls itself for each."""
SHORTEST_PREFIX = 8
"""A route to a shorter prefix is as good as a default route: two /1 are one."""

MALFORMED, UNKNOWN_KEY, WRONG_VALUE, OUT_OF_LIMITS = "malformed", "unknown-key", "wrong-value", "out-of-limits"
NOT_ALLOWED = "not-allowed"
"""The reasons."""

_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{\]}]', re.DOTALL)


class RefusedError(Exception):
    """A value cannot be used. `reason` is a word for programs, the text says what is wrong and where."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


def ends_of(name: str, raw: bytes, where: str, allow: EtcdAllow) -> tuple[End, ...]:
    """Return the one or two ends that a value declares; none if it is not enabled. `where` is its place, for people.

    Raises RefusedError.
    """
    tree = parsed(raw)
    try:
        ends = declared_from(name, tree, where)
    except ConfigError as error:
        unknown = any("no such key" in problem.text for problem in error.problems)
        raise RefusedError(UNKNOWN_KEY if unknown else WRONG_VALUE, str(error)) from None
    for end in ends:
        if text := forbidden(end, allow):
            raise RefusedError(
                NOT_ALLOWED, f"{text}; it is for [etcd.allow] of this machine's configuration to allow it"
            )
    return ends


def parsed(raw: bytes) -> Mapping[str, Any]:
    """Return the JSON object. Limits come first: the parser takes more than its input. Raises RefusedError."""
    if len(raw) > LARGEST:
        raise RefusedError(OUT_OF_LIMITS, f"it has {len(raw)} bytes, and {LARGEST} are the most; declare less")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise RefusedError(MALFORMED, f"byte {error.start} is not UTF-8, which JSON must be; {_begins(raw)}") from None
    if _depth(text) > DEEPEST:
        raise RefusedError(
            OUT_OF_LIMITS, f"it is nested more than {DEEPEST} deep; no key takes more than a list of tables"
        )
    try:
        tree = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except ValueError as error:
        raise RefusedError(MALFORMED, f"this is not JSON: {error}; {_begins(raw)}") from None
    if not isinstance(tree, dict):
        raise RefusedError(MALFORMED, f"it is no object, as {{...}} is; {_begins(raw)}")
    return tree


def _begins(raw: bytes) -> str:
    """Show the first bytes: a shell may have cut them (txn of etcdctl 3.4 and 3.5 takes '{"' for '{')."""
    return f"it begins with {show(raw[:40].decode(errors='replace'))}" if raw else "it is empty"


def _depth(text: str) -> int:
    depth = deepest = 0
    for found in _BRACKET.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        deepest = max(deepest, depth)
    return deepest


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    taken: dict[str, Any] = {}
    for key, value in pairs:
        if key in taken:
            raise ValueError(f"the key {show(key)} is given twice")
        taken[key] = value
    return taken


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON")


def forbidden(end: End, allow: EtcdAllow) -> str:
    """Return what about an end is not allowed, "" if nothing is."""
    if end.kind not in allow.kinds:
        return f"{says(end.kind)} is not allowed (kinds)"
    place = "own" if end.namespace.by == "own" else f"{end.namespace.by}:{end.namespace.value}"
    if not _fits(place, allow.namespaces):
        return f"the network namespace {show(place)} is not allowed (namespaces)"
    if place == "own" and not _fits(end.device, allow.devices):
        return f"a device {show(end.device)} is not allowed in failoverd's own network namespace (devices)"
    if not allow.default_routes:
        for route in end.routes:
            if ipaddress.ip_network(route.to).prefixlen < SHORTEST_PREFIX:
                return f"the route to {route.to} is not allowed (default_routes)"
    return ""


def _fits(text: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)
