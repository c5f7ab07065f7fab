"""What is told of a machine and how it is shown; Ligato's keys; the service's socket. All without an etcd."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from failoverd.config.load import load
from failoverd_etcd.control import answer
from failoverd_etcd.declared import Good, Values
from failoverd_etcd.history import History, Version
from failoverd_etcd.ligato import convert
from failoverd_etcd.picture import Picture
from failoverd_etcd.report import changes, told
from failoverd_etcd.rows import nodes_of, rows_of, worst
from failoverd_etcd.trouble import is_token, on_the_way
from failoverd_etcd.trouble import told as why


def picture() -> Picture:
    history = History(keys={"a": Version(3, 7, "x"), "b": Version(3, 3, "y")})
    return Picture(history, Values(lambda _name, _raw: (), good={"a": Good("{}", 7), "p": Good("{}", 5)}))


def row(name: str, state: str = "ready", **more: Any) -> dict[str, Any]:
    return {"name": name, "state": state, "reason": "", "detail": "", "source": f"etcd:/{name}", "shadows": "", **more}


MASTER = {
    "name": "ens3",
    "state": "on-standby",
    "reason": "the VF is gone",
    "mac": "52:54:00:00:00:01",
    "active": "ens3nsby",
    "primary": None,
    "standby": {"name": "ens3nsby"},
    "last_failover": {"from": "ens4", "to": "ens3nsby", "to_role": "standby", "reason": "removed", "monotonic": 50.25},
}


def test_what_is_told() -> None:
    links = [
        row("a"),
        row("p.peer"),
        row("f", source="/etc/x.toml:3"),
        row("s", source="/etc/x.toml:9", shadows="etcd:/s"),
    ]
    found = told({"version": "0.1.0", "masters": [MASTER]}, links, picture(), 1000.0)
    assert {key: value.get("revision") for key, value in found.items() if key.startswith("links/")} == {
        "links/a": 7,
        "links/p.peer": 5,
        "links/f": 0,
        "links/s": None,
    }
    assert found["links/s"]["state"] == "shadowed"
    assert found["masters/ens3"]["role"] == "standby"
    assert found["masters/ens3"]["last_failover"]["time"] == 1050.25
    assert found["node"] == {
        "daemon": "running",
        "version": "0.1.0",
        "revision": 7,
        "links": {"ready": 4},
        "masters": {"on-standby": 1},
    }


def test_what_is_told_of_a_silent_daemon_and_of_a_master_without_an_active_slave() -> None:
    assert told(None, [], picture(), 0.0)["node"]["daemon"] == "silent"
    bare = {"name": "ens3", "state": "degraded", "active": None, "last_failover": {"reason": "x"}}
    found = told({"masters": [bare]}, [], picture(), 0.0)["masters/ens3"]
    assert (found["role"], found["last_failover"]) == (None, {"reason": "x"})
    never = told({"masters": [bare | {"last_failover": None}]}, [], picture(), 0.0)["masters/ens3"]
    assert never["last_failover"] is None


def test_only_changes_are_written() -> None:
    wanted = {"a": {"x": 1}, "b": {"y": 2}}
    first = changes({"old": ""}, wanted)
    assert first == {"a": '{"x":1}', "b": '{"y":2}', "old": None}
    known = {key: text for key, text in first.items() if text is not None}
    assert changes(known, wanted) == {}
    assert changes(known, {"a": {"x": 2}}) == {"a": '{"x":2}', "b": None}


def written(**keys: Any) -> list[dict[str, Any]]:
    there = {key.replace("__", "/"): json.dumps(value).encode() for key, value in keys.items()}
    return nodes_of(there | {"h9/node": b"{", "h9/else/x": b"{}", "h9/masters/x": b"[]"})


def test_the_rows_of_a_fleet() -> None:
    nodes = written(
        h1__node={"daemon": "running", "version": "1"},
        h1__masters__ens3={
            "state": "on-standby",
            "active": "x",
            "role": "standby",
            "last_failover": {"reason": "r", "time": 40},
        },
        h1__links__a={"state": "ready"},
        h1__links__b={"state": "pending"},
        h2__node={"daemon": "silent"},
        h2__masters__ens3={"state": "accelerated", "last_failover": {"reason": "s"}},
        h3__node={"daemon": "running"},
    )
    assert rows_of(nodes, 100.0) == [
        ["h1", "ens3", "on-standby", "x (standby)", "1/2", "1", "1 min ago, r"],
        ["h2", "ens3", "silent", "-", "-", "-", "s"],
        ["h3", "-", "-", "-", "-", "-", "-"],
    ]
    assert rows_of(nodes, None)[0][-1] == "r"


@pytest.mark.parametrize(
    ("seconds", "text"), [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (7200, "2 h"), (90_000, "1 d")]
)
def test_how_long_ago(seconds: float, text: str) -> None:
    nodes = written(h1__masters__x={"state": "accelerated", "last_failover": {"time": 1000.0, "reason": "r"}})
    assert rows_of(nodes, 1000.0 + seconds)[0][-1] == f"{text} ago, r"


@pytest.mark.parametrize(
    ("states", "outcome"),
    [
        ([], "none"),
        (["accelerated", "released"], "fine"),
        (["accelerated", "alone"], "standby"),
        (["accelerated", "away"], "standby"),
        (["on-standby", "degraded"], "degraded"),
        (["unheard-of"], "degraded"),
    ],
)
def test_the_worst_of_a_fleet(states: Sequence[str], outcome: str) -> None:
    masters: dict[str, Any] = {f"h1__masters__m{number}": {"state": state} for number, state in enumerate(states)}
    assert worst(written(**masters)) == outcome
    assert worst(written(**masters, h2__node={"daemon": "silent"})) == "degraded"


OLD = """\
/vnf-agent/x/linux/config/v1/interface/veth1
{"name":"Veth 1","type":0,"enabled":true,"phys_address":"D2:74:8C:12:67:D2","veth":{"peer_if_name":"veth2"},
 "mtu":1500,"ip_addresses":["10.10.1.1/24"]}
/vnf-agent/x/linux/config/v1/interface/veth2
{"name":"veth2","namespace":{"type":1,"microservice":"web"},"veth":{"peer_if_name":"Veth 1"},"host_if_name":"eth1"}
/vnf-agent/x/linux/config/v1/interface/veth3
{"name":"veth3","namespace":{"type":2,"name":"red"},"veth":{"peer_if_name":"veth4"}}
/vnf-agent/x/linux/config/v1/route/r1
{"name":"r1","interface":"veth2","default":true,"gw_addr":"10.10.1.1"}
"""
NEW = """\
/vnf-agent/vpp1/config/linux/interfaces/v2/interface/a.1
{"name":"a.1","type":"VETH","namespace":{"type":"NSID","reference":"ns1"},"enabled":true,"veth":{"peer_if_name":"b",
"rx_checksum_offloading":"CHKSM_OFFLOAD_DISABLED"}}
/vnf-agent/vpp1/config/linux/interfaces/v2/interface/b
{"name":"b","type":"VETH","namespace":{"type":"PID","reference":"77"},"enabled":true,"veth":{"peer_if_name":"a.1"}}
/vnf-agent/vpp1/config/linux/interfaces/v2/interface/c
{"name":"c","type":"EXISTING","namespace":{"type":"FD","reference":"/proc/1/ns/net"},"ip_addresses":["10.0.0.1/8"],"link_only":true}
/vnf-agent/vpp1/config/linux/interfaces/v2/interface/d
{"name":"d","type":"VETH","namespace":{"type":"MICROSERVICE","reference":"web"},"veth":{"peer_if_name":"e"}}
/vnf-agent/vpp1/config/linux/interfaces/v2/interface/tap
{"name":"tap","type":"TAP_TO_VPP"}
/vnf-agent/vpp1/config/linux/interfaces/v2/interface/C
{"name":"C","type":"EXISTING"}
/vnf-agent/vpp1/config/linux/interfaces/v2/interface/broken
{"name":
/vnf-agent/vpp1/config/linux/interfaces/v2/interface/list
[]
/vnf-agent/vpp1/config/linux/interfaces/v2/interface/__
{"type":"EXISTING","namespace":{"type":"PID","reference":"self"}}
/vnf-agent/vpp1/config/linux/l3/v2/route/r
{"outgoing_interface":"b","dst_network":"10.1.0.0/16","gw_addr":"10.0.0.9","metric":7}
/vnf-agent/vpp1/config/linux/l3/v2/route/r6
{"outgoing_interface":"b","gw_addr":"fd00::1"}
/vnf-agent/vpp1/config/linux/l3/v2/route/lost
{"outgoing_interface":"nobody","dst_network":"10.1.0.0/16"}
/vnf-agent/vpp1/config/vpp/v2/interfaces/loop
{"name":"loop"}
"""


def declared(tmp_path: Path, toml: str) -> dict[str, Any]:
    path = tmp_path / "links.toml"
    path.write_text(toml)
    return dict(load(path).declared)


def test_ligatos_old_keys(tmp_path: Path) -> None:
    toml, left = convert(OLD)
    assert left == []
    ends = declared(tmp_path, toml.replace('device = "Veth 1"', 'device = "veth1"'))
    one, two = ends["veth-1"], ends["veth2"]
    assert (one.peer, one.mac, one.mtu, one.addresses, one.up) == (
        "veth2",
        "d2:74:8c:12:67:d2",
        1500,
        ("10.10.1.1/24",),
        True,
    )
    assert (str(two.namespace), two.device, two.up) == ("container env:MICROSERVICE_LABEL=web", "eth1", False)
    assert [str(route) for route in two.routes] == ["0.0.0.0/0 via 10.10.1.1"]
    assert str(ends["veth3"].namespace) == "name red"


def test_ligatos_new_keys(tmp_path: Path) -> None:
    toml, left = convert(NEW)
    assert [line.partition(": ")[2] for line in left] == [
        "rx_checksum_offloading has no counterpart; it is left out",
        'failoverd makes no interface of type "TAP_TO_VPP"; it is left out',
        "another interface becomes the link c, too; it is left out",
        "this is not JSON: Expecting value: line 1 column 9 (char 8)",
        "its interface is not among these; it is left out",
    ]
    ends = declared(tmp_path, toml.partition("[link.link]")[0] + "\n")
    assert {name: str(end.namespace) for name, end in ends.items()} == {
        "a.1": "name ns1",
        "b": "pid 77",
        "c": "path /proc/1/ns/net",
        "d": "container env:MICROSERVICE_LABEL=web",
    }
    assert ends["c"].addresses == ()
    assert [str(route) for route in ends["b"].routes] == ["10.1.0.0/16 via 10.0.0.9 metric 7", "::/0 via fd00::1"]
    assert '[link.link]\nkind = "existing"\ndevice = "__"\nnamespace = { pid = "self" }\nup = false\n' in toml


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]", b'{"call": "x", "arguments": []}', b'{"call": "status", "arguments": [7]}']
)
def test_what_is_no_call(line: bytes) -> None:
    calls = {"status": (False, lambda _: {"x": 1})}
    assert answer(calls, line, 0)["error"]["text"] == "this is no call; there are status"


def test_orders_are_roots() -> None:
    def refuse(names: Sequence[str]) -> dict[str, Any]:
        raise ValueError(f"not {names[0]}")

    calls = {"status": (False, lambda _: {"x": 1}), "accept": (True, refuse)}
    assert answer(calls, b'{"call": "status", "arguments": []}', 65534) == {"ok": {"x": 1}}
    assert answer(calls, b'{"call": "accept", "arguments": ["a"]}', 65534)["error"]["kind"] == "AccessDenied"
    for uid in (0, os.geteuid()):
        assert answer(calls, b'{"call": "accept", "arguments": ["a"]}', uid)["error"]["text"] == "not a"


def test_why_etcd_refuses() -> None:
    assert is_token("UNAUTHENTICATED", "")
    assert is_token("INVALID_ARGUMENT", "etcdserver: user name is empty")
    assert is_token("INVALID_ARGUMENT", "etcdserver: revision of auth store is old")
    assert not is_token("UNAVAILABLE", "x")
    assert "it wants a user" in why("INVALID_ARGUMENT", "etcdserver: user name is empty")
    assert "with the final slash" in why("PERMISSION_DENIED", "etcdserver: permission denied")
    assert why("UNAVAILABLE", "") == "UNAVAILABLE"
    assert why("UNKNOWN", "Stream removed (Socket closed)") == "it has closed the connection"


def test_why_etcd_is_not_reached() -> None:
    assert on_the_way("127.0.0.1:1", None, 1.0) == "it cannot be reached: Connection refused"
    assert on_the_way("127.0.0.1:1", ("", "", ""), 1.0) == "it cannot be reached: Connection refused"
    assert on_the_way("127.0.0.1:x", None, 1.0).startswith("it cannot be reached: invalid literal")
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert on_the_way(f"127.0.0.1:{server.getsockname()[1]}", None, 1.0) == ""
