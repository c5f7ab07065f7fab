"""What a reload says of links: every key of the table, as it would be declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from failoverd.config.changes import diff
from failoverd.config.keys import entries
from failoverd.config.links.read import declared_from
from failoverd.config.links.spec import Link
from failoverd.config.links.told import told
from failoverd.config.spec import Config
from failoverd.model.declared import Declared

ENDS: Mapping[str, Mapping[str, object]] = {
    "wire": {
        "kind": "veth",
        "peer": "b",
        "device": "x",
        "namespace": {"name": "red"},
        "up": False,
        "mac": "02:00:00:00:00:01",
        "mtu": 1400,
        "addresses": ["10.0.0.1/8"],
        "routes": [{"to": "::/0"}, {"to": "10.0.0.0/8", "via": "10.0.0.2", "metric": 5, "table": 7}],
        "foreign_addresses": "remove",
    },
    "v": {"kind": "vlan", "lower": "link:wire", "id": 7, "protocol": "802.1ad"},
    "m": {"kind": "macvlan", "lower": "link:wire", "mode": "private"},
    "i": {"kind": "ipvlan", "lower": "link:wire", "mode": "l3s"},
    "b": {"kind": "bridge", "stp": True, "forward_delay": 2.5, "vlan_filtering": True, "ports": ["link:wire"]},
    "r": {"kind": "vrf", "table": 7},
    "d": {"kind": "dummy"},
}


def declared(links: Mapping[str, object]) -> Declared:
    """The ends of several links."""
    return {end.name: end for name, keys in links.items() for end in declared_from(name, keys, "f")}


def changes(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    """What a reload says."""
    was, now = (replace(Config(), declared=declared(links)) for links in (old, new))
    return [str(change) for change in diff(was, now)]


@pytest.mark.parametrize("name", ENDS)
def test_every_key_is_told_as_it_was_given(name: str) -> None:
    given = {**ENDS[name]}
    shown = told(declared({name: given})[name])
    assert list(shown) == [entry.name for entry in entries("link", Link)]
    if name == "wire":
        given |= {"namespace": "name red", "routes": ("::/0", "10.0.0.0/8 via 10.0.0.2 metric 5 table 7")}
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    assert {key: shown[key] for key in given} == given


def test_what_a_reload_says() -> None:
    changed = {**ENDS["wire"], "mtu": 1450, "namespace": {"pid": 7}, "routes": []}
    assert changes(ENDS, ENDS) == []
    assert changes({"wire": ENDS["wire"], "d": ENDS["d"]}, {"wire": changed, "r": ENDS["r"]}) == [
        "[link.d] enabled: true -> false",
        "[link.r] enabled: false -> true",
        '[link.wire] namespace: "name red" -> "pid 7"',
        "[link.wire] mtu: 1400 -> 1450",
        '[link.wire] routes: ["::/0", "10.0.0.0/8 via 10.0.0.2 metric 5 table 7"] -> []',
    ]
    assert changes({"x": ENDS["d"]}, {"x": ENDS["r"]}) == [
        '[link.x] kind: "dummy" -> "vrf"',
        '[link.x] table: "" -> 7',
    ]


def test_where_it_stands_is_no_change() -> None:
    (here,), (there,) = (declared_from("d", {"kind": "dummy"}, where) for where in ("f:1", "f:2"))
    assert here == there
    assert here.source != there.source
