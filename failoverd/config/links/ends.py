"""One declared end: what is wrong with its keys together, and what they make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from failoverd.config.keys import entries
from failoverd.config.kinds import Choice, InvalidValueError, show
from failoverd.config.links.spec import MODES, Link
from failoverd.config.links.values import DeviceName
from failoverd.kinds import Bridge, Dummy, Ipvlan, Macvlan, Vlan, Vrf
from failoverd.kinds import ipvlan as ipvlans
from failoverd.kinds import macvlan as macvlans
from failoverd.kinds.vlan import ETH_P_8021Q
from failoverd.model.declared import EXISTING, OWN, End, Options

Given = Mapping[str, Any]
"""The values of the keys that are given."""
Fault = tuple[str, str]
"""A key, "" for the whole, and what is wrong with it."""

DEFAULTS: Given = {field.name: field.default for field in fields(Link)}
_KEYS = {entry.name: entry for entry in entries("link", Link)}
_NEEDED = {"veth": ("peer",), "vlan": ("lower", "id"), "macvlan": ("lower",), "ipvlan": ("lower",), "vrf": ("table",)}
_SAYS = {"ipvlan": "an ipvlan", EXISTING: "an existing device"}
PROTOCOLS = {"802.1Q": ETH_P_8021Q, "802.1ad": 0x88A8}
_LEAST_DELAY = 2
"""Seconds. Less the kernel refuses where STP is on (br_set_forward_delay)."""
_LEAST_FOR_IPV6 = 1280
"""Bytes. With a smaller MTU the kernel takes IPv6 off a device (addrconf_notify)."""


def says(kind: str) -> str:
    """Return a kind as a noun with its article."""
    return _SAYS.get(kind, f"a {kind}")


def faults(name: str, given: Given) -> Iterator[Fault]:
    """Yield what is wrong with the keys of an end together."""
    kind = given.get("kind")
    if kind is None:
        yield "", f"kind is missing; give {_KEYS['kind'].kind.describe()}"
        return
    for key in given:
        if (of := _KEYS[key].of) and kind not in of:
            yield key, f"{says(kind)} has no {key}; remove it (it is for {' and '.join(map(says, of))})"
    for key in _NEEDED.get(kind, ()):
        if key not in given:
            yield "", f"{says(kind)} needs {key}; give {_KEYS[key].kind.describe()}"
    yield from _of_name(name, given)
    yield from _at_odds(name, kind, given)


def _of_name(name: str, given: Given) -> Iterator[Fault]:
    """Check that there is a name for the device."""
    if "device" in given:
        return
    kind = DeviceName()
    try:
        kind.take(name)
    except InvalidValueError as refused:
        yield "", f"its name cannot be its device's, as {refused}; give device, {kind.describe()}"


def _at_odds(name: str, kind: str, given: Given) -> Iterator[Fault]:
    """Yield the keys that contradict each other."""
    if given.get("peer") == name:
        yield "peer", "it is its own peer; name the other end"
    mode, modes = given.get("mode"), MODES.get(kind, ())
    if mode and modes and mode not in modes:
        yield "mode", f"{show(mode)} is no mode of {says(kind)}; give {Choice(modes).describe()}"
    delay = given.get("forward_delay", _LEAST_DELAY)
    if given.get("stp") and delay < _LEAST_DELAY:
        yield "forward_delay", f"{delay:g} is too small with stp; give {_LEAST_DELAY} at least"
    mtu = given.get("mtu") or _LEAST_FOR_IPV6
    if mtu < _LEAST_FOR_IPV6 and any(":" in address for address in given.get("addresses", ())):
        yield "mtu", f"{mtu} is too small for IPv6, of which there are addresses; give {_LEAST_FOR_IPV6} at least"


def end_of(name: str, given: Given, source: str) -> End:
    """Return the end that these keys make, which have no faults."""
    full = {**DEFAULTS, **given}
    return End(
        name=name,
        kind=full["kind"],
        device=full["device"] or name,
        namespace=full["namespace"] or OWN,
        peer=full["peer"] or "",
        options=_options(full),
        lower=full["lower"],
        ports=full["ports"],
        up=full["up"],
        mac=full["mac"] or "",
        mtu=full["mtu"],
        addresses=full["addresses"],
        routes=full["routes"],
        keeps_foreign_addresses=full["foreign_addresses"] == "keep",
        source=source,
    )


def _options(full: Given) -> Options | None:
    match full["kind"]:
        case "vlan":
            return Vlan(full["id"], PROTOCOLS[full["protocol"]])
        case "macvlan":
            return Macvlan(_number(macvlans.MODES, full["mode"] or MODES["macvlan"][0]))
        case "ipvlan":
            return Ipvlan(_number(ipvlans.MODES, full["mode"] or MODES["ipvlan"][0]))
        case "dummy":
            return Dummy()
        case "bridge":
            return Bridge(round(full["forward_delay"] * 100), full["stp"], full["vlan_filtering"])
        case "vrf":
            return Vrf(full["table"])
    return None


def _number(modes: Mapping[int, str], word: str) -> int:
    return next(number for number, name in modes.items() if name == word)
