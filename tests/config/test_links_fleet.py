"""Values of etcd's: what is accepted, what is refused and why, and what is not allowed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from failoverd.config.links.fleet import RefusedError, ends_of
from failoverd.config.spec import EtcdAllow

VETH: dict[str, Any] = {"kind": "veth", "peer": "b"}
WHERE = "etcd:/failoverd/v1/nodes/h1/links/a"


def refused(raw: bytes | dict[str, Any], allow: EtcdAllow | None = None) -> tuple[str, str]:
    data = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
    with pytest.raises(RefusedError) as caught:
        ends_of("a", data, WHERE, allow or EtcdAllow())
    return caught.value.reason, str(caught.value)


def test_the_keys_are_those_of_files() -> None:
    (end,) = ends_of("a", json.dumps(VETH | {"addresses": ["192.0.2.1/24"]}).encode(), WHERE, EtcdAllow())
    assert (end.name, end.kind, end.peer, end.addresses, end.source) == ("a", "veth", "b", ("192.0.2.1/24",), WHERE)
    both = ends_of("a", b'{"kind": "veth", "peer": {"device": "x0"}}', WHERE, EtcdAllow())
    assert [end.name for end in both] == ["a", "a.peer"]
    assert ends_of("a", b'{"kind": "veth", "peer": "b", "enabled": false}', WHERE, EtcdAllow()) == ()


@pytest.mark.parametrize(
    ("raw", "reason", "words"),
    [
        (b"", "malformed", "it is empty"),
        (b"{", "malformed", 'it begins with "{"'),
        (b'{"kind": "veth"', "malformed", "this is not JSON"),
        (b"[]", "malformed", "it is no object"),
        (b'{"a": "\xff"}', "malformed", "byte 7 is not UTF-8"),
        (b'{"kind": NaN}', "malformed", "NaN is no number"),
        (b'{"kind": "veth", "kind": "vlan"}', "malformed", 'the key "kind" is given twice'),
        (b'{"mtu": ' + b"9" * 5000 + b"}", "malformed", "this is not JSON"),
        (b'{"x": "' + b"y" * (1 << 21) + b'"}', "out-of-limits", "2097161 bytes, and 65536 are the most"),
        (b"[" * 10_000, "out-of-limits", "nested more than 64 deep"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "out-of-limits", "nested more than 64 deep"),
        (json.dumps(VETH | {"pear": 1}).encode(), "unknown-key", "[link.a] pear: no such key"),
        (json.dumps(VETH | {"mtu": "1500"}).encode(), "wrong-value", "[link.a] mtu"),
        (json.dumps(VETH | {"routes": [[[[[[[[[1]]]]]]]]]}).encode(), "wrong-value", "nested too deeply"),
        (b'{"kind": "veth"}', "wrong-value", "a veth needs peer"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_reason(raw: bytes, reason: str, words: str) -> None:
    found, text = refused(raw)
    assert found == reason
    assert words in text


def test_brackets_in_texts_are_not_counted() -> None:
    refusal = refused(json.dumps(VETH | {"device": "[" * 100 + '\\"['}).encode())
    assert refusal[0] == "wrong-value"


@pytest.mark.parametrize(
    ("link", "allow", "words"),
    [
        ({"kind": "dummy"}, {}, "a dummy is not allowed (kinds)"),
        (VETH | {"namespace": {"pid": 7}}, {}, 'the network namespace "pid:7" is not allowed (namespaces)'),
        (VETH | {"namespace": {"path": "/x"}}, {"namespaces": ("own", "path:/y")}, '"path:/x" is not allowed'),
        (VETH, {"namespaces": ("name:*",)}, '"own" is not allowed'),
        (VETH | {"device": "eth0"}, {"devices": ("fo-*",)}, 'a device "eth0" is not allowed'),
        (VETH | {"routes": [{"to": "0.0.0.0/0"}]}, {}, "the route to 0.0.0.0/0 is not allowed (default_routes)"),
        (VETH | {"routes": [{"to": "10.0.0.0/8"}, {"to": "128.0.0.0/1"}]}, {}, "the route to 128.0.0.0/1"),
        (VETH | {"peer": {"device": "x", "namespace": {"pid": 7}}}, {}, '"pid:7" is not allowed'),
    ],
)
def test_what_is_not_allowed_is_refused(link: dict[str, Any], allow: dict[str, Any], words: str) -> None:
    reason, text = refused(link, replace(EtcdAllow(), **allow))
    assert reason == "not-allowed"
    assert words in text
    assert "[etcd.allow]" in text


@pytest.mark.parametrize(
    ("link", "allow"),
    [
        (VETH | {"namespace": {"container": "label:role=web"}}, {}),
        (VETH | {"namespace": {"name": "red"}, "device": "eth0"}, {"devices": ("fo-*",)}),
        (VETH | {"device": "fo-1"}, {"devices": ("fo-*",)}),
        (VETH | {"routes": [{"to": "::/0"}]}, {"default_routes": True}),
        (VETH | {"routes": [{"to": "10.0.0.0/8"}]}, {}),
        ({"kind": "dummy"}, {"kinds": ("veth", "dummy")}),
    ],
)
def test_what_is_allowed_is_taken(link: dict[str, Any], allow: dict[str, Any]) -> None:
    assert ends_of("a", json.dumps(link).encode(), WHERE, replace(EtcdAllow(), **allow))
