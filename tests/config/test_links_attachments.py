"""Attachments: what is refused and why, what is shared, and how they are laid under the others."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failoverd.config.links.attachments import Attachment, attachment_of, clash, laid_under, pods_on, shown
from failoverd.config.links.fleet import RefusedError
from failoverd.config.links.snapshot import Merged
from failoverd.config.load import from_mapping
from failoverd.kinds import Ipvlan, Vlan
from failoverd.model.declared import DeviceRef, NamespaceRef
from failoverd.model.linkstatus import LinkState, LinkStatus

OWNER = {"pod": "default/web", "container": "c1", "network": "net"}
USUAL: dict[str, Any] = {
    "kind": "ipvlan",
    "lower": "master:ens3",
    "namespace": {"path": "/run/netns/web"},
    "device": "net1",
    "owner": OWNER,
}


def attachment(name: str = "cni-a", since: float = 5.0, **keys: Any) -> Attachment:
    """One with these keys; None takes a key out."""
    given = {key: value for key, value in (USUAL | keys).items() if value is not None}
    return attachment_of(name, json.dumps(given).encode(), since)


def pair(name: str = "web", **keys: Any) -> Attachment:
    """A master that is in a pod."""
    return of_pod(name, kind="pair", lower="master:52:54:00:00:00:01", **keys)


def of_pod(name: str, **keys: Any) -> Attachment:
    """One of a pod of its own."""
    owner = OWNER | {"pod": f"default/{name}", "container": name}
    return attachment(f"cni-{name}", owner=owner, namespace={"path": f"/run/netns/{name}"}, **keys)


def test_a_document_has_the_keys_of_a_link_and_its_owner() -> None:
    one = attachment(mtu=1400, mode="l3")
    end = one.end
    assert (end.name, end.kind, end.device, end.mtu, end.options) == ("cni-a", "ipvlan", "net1", 1400, Ipvlan(1))
    assert (end.namespace, end.lower) == (NamespaceRef("path", "/run/netns/web"), DeviceRef("master", "ens3"))
    assert (end.owner, end.network, end.source) == ("default/web", "net", "attached for default/web")
    assert (one.shared, one.master, one.since) == (None, "ens3", 5.0)
    assert end.keeps_foreign_addresses
    assert attachment(owner=OWNER | {"pod": ""}).end.owner == "c1"


@pytest.mark.parametrize(
    ("keys", "reason", "words"),
    [
        ({"kind": "dummy", "lower": None, "mode": None}, "wrong-value", "kind: a dummy cannot be attached; give one"),
        ({"kind": "pair", "mtu": 1400}, "unknown-key", "mtu: a pair has only lower, namespace, device"),
        ({"kind": "pair", "vlan": {"id": 7}}, "wrong-value", "shares none"),
        ({"kind": "pair", "namespace": None}, "wrong-value", "namespace is missing; give the pod's"),
        ({"kind": "pair", "lower": "device:eth0"}, "wrong-value", "lower: device:eth0 is no failover master"),
        ({"lower": "device:eth0"}, "wrong-value", 'lower: device:eth0 is no failover master; give "master:NAME"'),
        ({"namespace": None}, "wrong-value", "namespace is missing; give the pod's"),
        ({"enabled": False}, "wrong-value", "enabled: false declares nothing"),
        ({"mtu": "1500"}, "wrong-value", "[link.cni-a] mtu"),
        ({"pear": 1}, "unknown-key", "[link.cni-a] pear: no such key"),
        ({"owner": None}, "wrong-value", "owner is no object; give one with container and network"),
        ({"owner": [1]}, "wrong-value", "owner is no object"),
        ({"owner": OWNER | {"x": ""}}, "unknown-key", "owner.x: no such key; there are pod, container, network"),
        ({"owner": {"container": "c1"}}, "wrong-value", "owner.network"),
        ({"owner": OWNER | {"container": 3}}, "wrong-value", "owner.container: 3 is a whole number; give its name"),
        ({"owner": OWNER | {"pod": "a\nb"}}, "wrong-value", "owner.pod"),
        ({"owner": OWNER | {"network": "n" * 254}}, "out-of-limits", "owner.network has 254 characters; 253 are"),
        ({"kind": "vlan", "id": 3, "vlan": {"id": 7}}, "wrong-value", "vlan: a vlan shares none"),
        ({"vlan": 7}, "wrong-value", "vlan: 7 is no object with id and protocol"),
        ({"vlan": {"id": 7, "mtu": 1400}}, "wrong-value", "is no object with id and protocol"),
        ({"vlan": {"id": 0}}, "wrong-value", "vlan.id: 0 is too small; give a whole number from 1 to 4094"),
        ({"vlan": {}}, "wrong-value", "vlan.id: it is null"),
        ({"vlan": {"id": 7, "protocol": "x"}}, "wrong-value", 'protocol: "x" is not'),
    ],
)
def test_what_is_refused_names_the_key(keys: dict[str, Any], reason: str, words: str) -> None:
    with pytest.raises(RefusedError) as caught:
        attachment(**keys)
    assert caught.value.reason == reason
    assert words in str(caught.value)
    assert "attachment cni-a" in str(caught.value)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b'{"a": "' + b"x" * 70_000 + b'"}', b"\xff"])
def test_what_is_no_document(raw: bytes) -> None:
    with pytest.raises(RefusedError):
        attachment_of("cni-a", raw)


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["vlan", "ipvlan", "master:ens3", 7]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*USUAL, *OWNER, "id", "vlan"]), inner),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from([*USUAL, "id", "vlan", "mode", "mtu", "mac", "routes", "peer", "ports"]), VALUES)
)
def test_whatever_comes_is_an_attachment_or_refused(keys: dict[str, Any]) -> None:
    with suppress(RefusedError):
        found = attachment_of("cni-a", json.dumps(USUAL | keys).encode())
        assert laid_under(Merged({}), {"cni-a": found}).declared["cni-a"].owner


def test_one_vlan_for_those_that_share_it_as_long_as_one_is_there() -> None:
    web, db = of_pod("web", vlan={"id": 7}), of_pod("db", kind="macvlan", vlan={"id": 7}, lower="master:ens3")
    other = of_pod("other", vlan={"id": 7, "protocol": "802.1ad"})
    found = laid_under(Merged({}), {one.end.name: one for one in (web, db, other)})
    vlans = {name: end for name, end in found.declared.items() if end.kind == "vlan"}
    assert [len(name) <= 15 for name in vlans] == [True, True]
    assert [end.options for end in vlans.values()] == [Vlan(7, 0x8100), Vlan(7, 0x88A8)]
    first = next(iter(vlans))
    assert (vlans[first].owner, vlans[first].lower) == ("default/web, default/db", DeviceRef("master", "ens3"))
    assert found.declared["cni-web"].lower == found.declared["cni-db"].lower == DeviceRef("link", first)
    assert found.declared["cni-other"].lower != DeviceRef("link", first)
    assert web.master == "ens3"
    assert laid_under(Merged({}), {"cni-other": other}).declared.keys() == {"cni-other", list(vlans)[1]}


def test_a_vlan_that_is_declared_is_the_one_that_is_shared() -> None:
    keys = {"kind": "vlan", "lower": "master:ens3", "id": 7, "device": "ens3.7"}
    files = from_mapping({"link": {"seven": keys, "x": {"kind": "dummy"}}}, "f").declared
    found = laid_under(Merged(files), {"cni-web": of_pod("web", vlan={"id": 7})})
    assert found.declared.keys() == {"seven", "x", "cni-web"}
    assert found.declared["cni-web"].lower == DeviceRef("link", "seven")


@pytest.mark.parametrize("word", ["ens3", "52:54:00:00:00:01", "uplink"])
def test_a_master_is_the_same_by_its_name_and_by_its_mac(word: str) -> None:
    mac = "52:54:00:00:00:01"
    macs = {"ens3": mac, "uplink": mac, mac: mac, "ens9": "52:54:00:00:00:09"}
    links = {"seven": {"kind": "vlan", "lower": f"master:{word}", "id": 7}, "x": {"kind": "dummy"}}
    links |= {"on-x": {"kind": "macvlan", "lower": "link:x"}, "nine": {"kind": "macvlan", "lower": "master:gone"}}
    files = from_mapping({"link": links}, "f").declared
    by_mac = {"lower": f"master:{mac}"}
    shares, alone = of_pod("web", vlan={"id": 7}, **by_mac), of_pod("db", kind="vlan", id=7, **by_mac)
    other = of_pod("other", kind="vlan", id=7, lower="master:52:54:00:00:00:09")
    pods = {one.end.name: one for one in (shares, alone, other)}
    found = laid_under(Merged(files), pods, macs)
    assert found.declared.keys() == {*files, "cni-web", "cni-other"}
    assert found.declared["cni-web"].lower == DeviceRef("link", "seven")
    assert "VLAN 7 of " in found.remarks["cni-db"].detail


def test_one_vlan_in_two_pods_is_refused_to_the_second() -> None:
    pods = {one.end.name: one for one in (of_pod("web", kind="vlan", id=7), of_pod("db", kind="vlan", id=7))}
    found = laid_under(Merged({}), pods)
    assert found.declared.keys() == {"cni-web"}
    remark = found.remarks["cni-db"]
    assert (remark.state, remark.since, remark.where) == (LinkState.CONFLICT, 5.0, "attached for default/db")
    assert "VLAN 7 of master:ens3 is [link.cni-web] (attached for default/web) already" in remark.detail


def test_who_was_there_first_stays_whether_it_shares_or_not() -> None:
    alone, shares = of_pod("web", kind="vlan", id=7), of_pod("db", vlan={"id": 7})
    assert shares.shared is not None
    found = laid_under(Merged({}), {"cni-web": alone, "cni-db": shares})
    assert found.remarks.keys() == {shares.shared.name}
    found = laid_under(Merged({}), {"cni-db": shares, "cni-web": alone})
    assert found.remarks.keys() == {"cni-web"}


def test_files_win_over_attachments() -> None:
    web = of_pod("web", vlan={"id": 7})
    assert web.shared is not None
    named = from_mapping({"link": {"cni-web": {"kind": "dummy", "device": "d0"}}}, "f").declared
    found = laid_under(Merged(named), {"cni-web": web})
    assert (found.declared, found.shadowed) == (named, {"cni-web": "attached for default/web"})
    # The VLAN's own name and place are another's: it is left out, and what stands on it waits.
    taken = from_mapping({"link": {"x": {"kind": "dummy", "device": web.shared.device}}}, "f").declared
    found = laid_under(Merged(taken), {"cni-web": web})
    assert found.declared.keys() == {"x", "cni-web"}
    assert (found.remarks[web.shared.name].since, found.remarks[web.shared.name].where) == (0.0, "shared by pods")
    called = from_mapping({"link": {web.shared.name: {"kind": "dummy"}}}, "f").declared
    assert laid_under(Merged(called), {"cni-web": web}).declared.keys() == {web.shared.name, "cni-web"}


def test_what_the_engine_has_not_judged_is_shown_all_the_same() -> None:
    web, db = of_pod("web"), of_pod("db")
    judged = LinkStatus("cni-db", "ipvlan", "net1", "path /run/netns/db", LinkState.READY)
    rows = shown([judged], {"cni-web": web, "cni-db": db})
    assert rows[0] == judged
    row = rows[1]
    assert (row.name, row.state, row.owner, row.network) == ("cni-web", LinkState.MAKING, "default/web", "net")
    assert (row.lower, row.namespace, row.since) == ("master:ens3", "path /run/netns/web", 5.0)


def test_the_pods_on_a_master_by_any_of_its_words() -> None:
    pods = {"a": of_pod("web", vlan={"id": 7}), "b": of_pod("db", lower="master:52:54:00:00:00:01")}
    assert pods_on(pods, {"ens3", "52:54:00:00:00:01"}) == ["default/db (net)", "default/web (net)"]
    assert pods_on(pods, {"ens3"}) == ["default/web (net)"]
    assert pods_on(pods, {"ens4"}) == []


def test_a_master_in_a_pod_is_no_link() -> None:
    one = pair()
    assert (one.is_pair, one.end.options, one.master, one.pod) == (
        True,
        None,
        "52:54:00:00:00:01",
        "default/web (net)",
    )
    assert (one.end.device, one.end.namespace) == ("net1", NamespaceRef("path", "/run/netns/web"))
    assert not of_pod("db").is_pair
    assert laid_under(Merged({}), {"cni-web": one}).declared == {}
    (row,) = shown([], {"cni-web": one})
    assert (row.kind, row.state, row.lower) == ("pair", LinkState.MAKING, "master:52:54:00:00:00:01")


def test_one_pod_has_a_master_and_then_no_other_has_anything_on_it() -> None:
    mac = "52:54:00:00:00:01"
    having, standing = {"cni-web": pair()}, {"cni-db": of_pod("db", lower=f"master:{mac}")}
    for is_pair in (True, False):
        text = "it is in the pod default/web (net); one pod at a time has it"
        assert clash("cni-db", having, {mac, "ens3"}, is_pair=is_pair) == text
        assert clash("cni-web", having, {mac}, is_pair=is_pair) == ""
        assert clash("cni-db", having, {"ens9"}, is_pair=is_pair) == ""
    text = "pods are attached to it: default/db (net); remove these pods first"
    assert clash("cni-web", standing, {mac}, is_pair=True) == text
    assert clash("cni-web", standing, {mac}, is_pair=False) == ""
