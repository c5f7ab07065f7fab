"""Declared ends as the keys that declare them, for what people read: the reload's log lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from failoverd.config.links.ends import DEFAULTS, PROTOCOLS
from failoverd.kinds import Bridge, Ipvlan, Macvlan, Vlan, Vrf
from failoverd.kinds import ipvlan as ipvlans
from failoverd.kinds import macvlan as macvlans
from failoverd.model.declared import Declared, End, Options


def differences(old: Declared, new: Declared) -> Iterator[tuple[str, str, Any, Any]]:
    """Yield the name of an end, a key, its old and its new value: `enabled` of an end that comes or goes, of others
    what differs, in the order of the table of keys."""
    for name in sorted({*old, *new}):
        if name not in old or name not in new:
            yield name, "enabled", name in old, name in new
        else:
            was, now = told(old[name]), told(new[name])
            yield from ((name, key, was[key], now[key]) for key in was if was[key] != now[key])


def told(end: End) -> Mapping[str, Any]:
    """Return every key of the table with its value in TOML's types, "" for none."""
    given = {
        "kind": end.kind,
        "peer": end.peer,
        "device": end.device,
        "namespace": str(end.namespace),
        "lower": str(end.lower or ""),
        **_of_options(end.options),
        "ports": tuple(map(str, end.ports)),
        "up": end.up,
        "mac": end.mac,
        "mtu": end.mtu,
        "addresses": end.addresses,
        "routes": tuple(map(str, end.routes)),
        "foreign_addresses": "keep" if end.keeps_foreign_addresses else "remove",
    }
    return {key: given.get(key, "" if default is None else default) for key, default in DEFAULTS.items()}


def _of_options(options: Options | None) -> Mapping[str, Any]:
    match options:
        case Vlan():
            protocol = next(name for name, number in PROTOCOLS.items() if number == options.protocol)
            return {"id": options.id, "protocol": protocol}
        case Macvlan():
            return {"mode": macvlans.MODES[options.mode]}
        case Ipvlan():
            return {"mode": ipvlans.MODES[options.mode]}
        case Bridge():
            delay = options.forward_delay / 100
            return {"stp": options.stp, "forward_delay": delay, "vlan_filtering": options.vlan_filtering}
        case Vrf():
            return {"table": options.table}
    return {}
