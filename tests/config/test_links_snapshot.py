"""What the daemon makes of a snapshot beside the links of its files."""

from __future__ import annotations

import json
from typing import Any

import pytest

from failoverd.config.links.across import MOST
from failoverd.config.links.read import declared_from
from failoverd.config.links.snapshot import Merged, Offer, contact_in, contradicting, merged, offers_in
from failoverd.config.spec import EtcdAllow
from failoverd.model.declared import End
from failoverd.model.etcdcontact import EtcdContact
from failoverd.model.linkstatus import LinkState, LinkStatus

ALL = EtcdAllow(kinds=("veth", "vlan", "dummy", "bridge"), namespaces=("*",))


def link(value: object, **more: Any) -> dict[str, Any]:
    text = value if value is None or isinstance(value, str) else json.dumps(value)
    return {"where": "etcd:/k", "value": text, "state": "", "reason": "", "detail": "", "since": 5.0} | more


def offered(**links: dict[str, Any]) -> tuple[Offer, ...]:
    named = {name.replace("_", "."): body for name, body in links.items()}
    return offers_in(json.dumps({"version": 1, "links": named}).encode())


def files(**links: object) -> dict[str, End]:
    return {end.name: end for name, body in links.items() for end in declared_from(name, body, f"{name}.toml:1")}


def told(found: Merged) -> dict[str, tuple[LinkState, str]]:
    return {name: (remark.state, remark.reason) for name, remark in found.remarks.items()}


def test_files_and_etcd_together() -> None:
    found = merged(files(a={"kind": "veth", "peer": "b"}), offered(b=link({"kind": "veth", "peer": "a"})), ALL)
    assert sorted(found.declared) == ["a", "b"]
    assert (found.remarks, found.shadowed) == ({}, {})


def test_a_file_wins() -> None:
    mine = files(a={"kind": "dummy"}, c={"kind": "veth", "peer": {"device": "x"}})
    offers = offered(a=link({"kind": "veth", "peer": "b"}), c=link(None, state="invalid"), c_peer=link("{"))
    found = merged(mine, offers, ALL)
    assert found.declared == mine
    assert found.shadowed == {"a": "etcd:/k", "c": "etcd:/k", "c.peer": "etcd:/k"}
    assert found.remarks == {}
    rows = [LinkStatus("a", "dummy", "a", "own", LinkState.READY)]
    assert [(row.name, row.state, row.shadows) for row in found.overlaid(rows)] == [("a", LinkState.READY, "etcd:/k")]


def test_what_is_said_of_etcds_is_laid_over_the_rows() -> None:
    suspect = link({"kind": "dummy"}, state="suspect", reason="history-lost", detail="it is gone")
    found = merged({}, offered(a=suspect, b=link(None, state="invalid", reason="malformed", detail="bad")), ALL)
    assert sorted(found.declared) == ["a"]
    rows = found.overlaid([LinkStatus("a", "dummy", "a0", "own", LinkState.READY, ifindex=7)])
    assert [(row.name, row.state, row.reason, row.ifindex, row.since) for row in rows] == [
        ("a", LinkState.SUSPECT, "history-lost", 7, 5.0),
        ("b", LinkState.INVALID, "malformed", 0, 5.0),
    ]
    assert rows[1].source == "etcd:/k"


def test_what_failoverd_etcd_hands_over_is_checked_once_more() -> None:
    offers = offered(a=link({"kind": "vrf", "table": 7}), b=link('{"kind": '), c=link('{"device": "\ud800"}'))
    found = merged({}, offers, ALL)
    assert found.declared == {}
    assert told(found) == {
        "a": (LinkState.CONFLICT, "not-allowed"),
        "b": (LinkState.INVALID, "malformed"),
        "c": (LinkState.INVALID, "malformed"),
    }


def test_what_contradicts_a_file_is_left_out() -> None:
    mine = files(a={"kind": "dummy", "device": "eth7"})
    found = merged(mine, offered(b=link({"kind": "dummy", "device": "eth7"}), c=link({"kind": "dummy"})), ALL)
    assert sorted(found.declared) == ["a", "c"]
    assert told(found) == {"b": (LinkState.CONFLICT, "contradicts")}
    assert "[link.a]" in found.remarks["b"].detail


def test_a_file_that_is_told_of_because_of_etcd_keeps_its_link() -> None:
    mine = files(a={"kind": "bridge", "ports": ["link:b"]})
    found = merged(mine, offered(b=link({"kind": "bridge"})), ALL)
    assert found.declared == mine
    assert told(found) == {"b": (LinkState.CONFLICT, "contradicts")}


def test_two_ends_of_one_name() -> None:
    offers = offered(a=link({"kind": "veth", "peer": {"device": "x"}}), a_peer=link({"kind": "dummy", "device": "y"}))
    found = merged({}, offers, ALL)
    assert {name: end.kind for name, end in found.declared.items()} == {"a": "veth", "a.peer": "veth"}
    assert told(found) == {"a.peer": (LinkState.CONFLICT, "contradicts")}


CONTACT = {"connected": False, "since": 5, "endpoint": "x", "revision": 7, "trouble": "y"}


def test_how_it_stands_with_etcd() -> None:
    assert contact_in(json.dumps(CONTACT).encode()) == EtcdContact(False, 5, "x", 7, "y")
    damaged: list[Any] = [{}, [], CONTACT | {"connected": 1}, CONTACT | {"since": "x"}, CONTACT | {"revision": None}]
    for broken in damaged:
        with pytest.raises(ValueError, match="it does not say how it stands"):
            contact_in(json.dumps(broken).encode())


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"7",
        b'{"version": 2, "links": {}}',
        b'{"version": 1}',
        b'{"version": 1, "links": []}',
        b'{"version": 1, "links": {"a": {}}}',
        b'{"version": 1, "links": {"a": 7}}',
        json.dumps({"version": 1, "links": {"a": link(7) | {"value": 7}}}).encode(),
        json.dumps({"version": 1, "links": {"a": link({}, since="x")}}).encode(),
        json.dumps({"version": 1, "links": {"a": link({}, detail=7)}}).encode(),
        json.dumps({"version": 1, "links": {"a": link({}, state="great")}}).encode(),
        json.dumps({"version": 1, "links": {f"a{number}": link({}) for number in range(1025)}}).encode(),
        b"[" * 100_000,
    ],
)
def test_what_is_no_snapshot_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        offers_in(raw)


def test_no_more_than_there_may_be() -> None:
    mine = files(**{f"m{number}": {"kind": "dummy"} for number in range(MOST - 1)})
    found = merged(mine, offered(a=link({"kind": "veth", "peer": {"device": "x"}}), b=link({"kind": "dummy"})), ALL)
    assert sorted(found.declared.keys() - mine.keys()) == ["a", "a.peer"]
    assert told(found) == {"b": (LinkState.CONFLICT, "contradicts")}


def test_a_tower_of_files_and_etcd_is_too_high_for_etcds() -> None:
    """Without v8, v7 would stand on a device all the same."""
    tag = {"kind": "vlan", "id": 7}
    mine = files(**{f"v{number}": tag | {"lower": f"link:v{number + 1}"} for number in range(7)})
    found = merged(mine, offered(v7=link(tag | {"lower": "link:v8"}), v8=link({"kind": "dummy"})), ALL)
    assert found.declared == mine
    assert {name: remark.detail.partition(":")[0] for name, remark in found.remarks.items()} == {
        "v7": "with it, lower of [link.v0] is wrong",
        "v8": "with it, lower of [link.v0] is wrong",
    }


def test_what_is_wrong_between_files_is_not_etcds_to_mend() -> None:
    mine = files(a={"kind": "dummy", "device": "x"}, b={"kind": "dummy", "device": "x"})
    assert contradicting(mine, {"c": tuple(files(c={"kind": "dummy"}).values())}) == {}
