"""Declared links from a real etcd, by failoverd-etcd, the real daemon, the real doorkeeper and this kernel."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from etcdmachine import A, B, ip, is_carried, is_gone, is_made, machine
from etcdserver import SUITES, etcd
from privatenet import private_net

HERE = ["http://127.0.0.1:2379"]


@pytest.mark.parametrize("suite", SUITES)
@private_net
def test_both_ends_in_one_transaction_are_made_once_and_go_with_the_prefix(tmp_path: Path, suite: str) -> None:
    with machine(tmp_path / "m", HERE) as there, etcd(tmp_path / "etcd", suite) as server:
        there.connected()
        server.put("h1", a=A, b=B)
        assert there.until(is_made) < 2
        there.until(lambda: there.states() == {"a": "ready", "b": "ready"})
        assert sorted(row["made"] for row in there.links().values()) == [0, 1]
        assert is_carried()
        server.ctl("del", "--prefix", "/failoverd/v1/nodes/h1/")
        assert there.until(is_gone) < 2
        there.until(lambda: there.states() == {})


@private_net
def test_another_node_is_none_of_our_business(tmp_path: Path) -> None:
    with machine(tmp_path / "m", HERE) as there, etcd(tmp_path / "etcd") as server:
        server.put("h10", a=A, b=B)
        server.put("h1", d={"kind": "veth", "peer": {"device": "d1"}})
        there.until(lambda: "ready" in there.states().values())
        assert sorted(there.states()) == ["d", "d.peer"]


@private_net
def test_a_file_wins_and_the_link_says_so(tmp_path: Path) -> None:
    with machine(tmp_path / "m", HERE) as there, etcd(tmp_path / "etcd") as server:
        (there.drop_ins / "9.toml").write_text('[link.a]\nkind = "veth"\npeer = "b"\ndevice = "mine"\n')
        there.failoverctl("reload")
        server.put("h1", a=A, b=B)
        there.until(lambda: there.states().get("b") == "ready")
        row = there.links()["a"]
        assert (row["device"], row["shadows"]) == ("mine", "etcd:/failoverd/v1/nodes/h1/links/a")
        (there.drop_ins / "9.toml").unlink()
        there.failoverctl("reload")
        there.until(is_made)


@private_net
def test_what_cannot_be_used_or_is_not_allowed_leaves_the_last_good_one_in_force(tmp_path: Path) -> None:
    with (
        machine(tmp_path / "m", HERE) as there,
        etcd(tmp_path / "etcd", options=["--max-request-bytes", "8388608"]) as server,
    ):
        server.put("h1", a=A, b=B)
        there.until(is_made)
        bad = {
            "malformed": '{"kind": ',
            "unknown-key": json.dumps(A | {"pear": 1}),
            "out-of-limits": "[" * 10_000,
            "not-allowed": json.dumps(A | {"namespace": {"pid": 1}}),
        }
        for reason, value in bad.items():
            server.ctl("put", "/failoverd/v1/nodes/h1/links/a", given=value)
            there.until(lambda wanted=reason: there.links()["a"]["reason"] == wanted)  # type: ignore[misc]
            row = there.links()["a"]
            assert row["state"] == ("conflict" if reason == "not-allowed" else "invalid")
            assert "the last good value stays in force" in row["detail"]
            assert is_carried()
        server.ctl("put", "/failoverd/v1/nodes/h1/links/a", given='{"x": "' + "y" * ((2 << 20) - 1024) + '"}')
        there.until(lambda: "it has 2096137 bytes" in there.links()["a"]["detail"])
        server.put("h1", c='{"kind": 7}')
        there.until(lambda: there.states().get("c") == "invalid")
        assert is_carried()
        server.put("h1", a=A | {"mtu": 1400})
        there.until(lambda: there.states()["a"] == "ready")
        assert "mtu 1400" in ip("link", "show", "a0")
        server.ctl("del", "/failoverd/v1/nodes/h1/links/c")
        there.until(lambda: "c" not in there.states())


@private_net
def test_what_contradicts_another_link_leaves_the_last_good_one_in_force(tmp_path: Path) -> None:
    with machine(tmp_path / "m", HERE) as there, etcd(tmp_path / "etcd") as server:
        server.put("h1", a=A, b=B, c={"kind": "veth", "device": "c0", "peer": {"device": "c1"}})
        there.until(lambda: is_made() and there.states().get("c") == "ready")
        made = {name: row["ifindex"] for name, row in there.links().items()}
        server.put("h1", c={"kind": "veth", "device": "a0", "peer": {"device": "c1"}})
        there.until(lambda: there.states()["c"] == "conflict")
        row = there.links()["c"]
        assert (row["reason"], row["device"]) == ("contradicts", "c0")
        assert "[link.a] (etcd:/failoverd/v1/nodes/h1/links/a) already" in row["detail"]
        assert "the last good value stays in force" in row["detail"]
        # Another one of them may be changed, and a start of either service changes nothing.
        server.put("h1", a=A | {"mtu": 1400})
        there.until(lambda: "mtu 1400" in ip("link", "show", "a0"))
        there.service.kill()
        there.service.wait()
        there.daemon.process.kill()
        there.daemon.process.wait()
        there.start_daemon()
        there.start_service()
        there.until(lambda: there.said().count("connected, at") == 2)
        there.until(lambda: there.states() == {"a": "ready", "b": "ready", "c": "conflict", "c.peer": "ready"})
        assert {name: row["ifindex"] for name, row in there.links().items()} == made
        assert is_carried()
        server.put("h1", a=A | {"device": "a9"})
        there.until(lambda: there.states() == {"a": "ready", "b": "ready", "c": "ready", "c.peer": "ready"})
        assert (there.links()["c"]["device"], there.links()["c"]["ifindex"]) == ("a0", made["c"])


@private_net
def test_a_policy_that_is_tightened_here_is_obeyed(tmp_path: Path) -> None:
    with machine(tmp_path / "m", HERE) as there, etcd(tmp_path / "etcd") as server:
        server.put("h1", a=A, b=B)
        there.until(is_made)
        there.configure(HERE, '[etcd.allow]\nnamespaces = ["own"]\n')
        there.failoverctl("reload")
        there.until(is_gone)
        there.until(lambda: there.links()["b"]["reason"] == "not-allowed")
        there.configure(HERE)
        there.failoverctl("reload")
        there.until(is_made)


@private_net
def test_a_configuration_that_cannot_be_used_leaves_the_last_one_in_force(tmp_path: Path) -> None:
    with machine(tmp_path / "m", HERE) as there, etcd(tmp_path / "etcd") as server:
        server.put("h1", a=A, b=B)
        there.until(is_made)
        broken = there.drop_ins / "9.toml"
        broken.write_text("[etcd]\nendpoints = 7\n")
        there.until(lambda: "the last one stays in force" in there.said())
        server.put("h1", a=A | {"mtu": 1400})
        there.until(lambda: "mtu 1400" in ip("link", "show", "a0"))
        assert there.said().count("connected, at") == 1
        assert there.contact()["connected"]
        there.service.kill()
        there.service.wait()
        there.start_service()
        there.until(lambda: "etcd is not followed until it can" in there.said())
        assert is_carried()
        broken.unlink()
        there.until(lambda: there.said().count("connected, at") == 2)


@private_net
def test_the_last_snapshot_is_in_force_at_a_boot_without_etcd(tmp_path: Path) -> None:
    with etcd(tmp_path / "etcd") as server, machine(tmp_path / "m", HERE) as there:
        server.put("h1", a=A, b=B)
        there.until(is_made)
        found = there.contact()
        assert (found["connected"], found["endpoint"], found["trouble"]) == (True, HERE[0], "")
        there.until(lambda: there.contact()["revision"] == server.revision("/failoverd/v1/nodes/h1/links/a"))
        server.end()
        there.until(lambda: not there.contact()["connected"])
        assert there.contact()["trouble"].startswith(f"{HERE[0]}: ")
        assert there.contact()["since"] > found["since"]
        there.service.kill()
        there.service.wait()
        there.daemon.process.kill()
        there.daemon.process.wait()
        ip("link", "delete", "a0")
        assert is_gone()
        there.start_daemon()
        there.until(is_made)
        there.start_service()
        there.until(lambda: "cannot be reached" in there.said() or "Connection refused" in there.said())
        assert is_carried()
        server.start()
        server.ctl("del", "/failoverd/v1/nodes/h1/links/a")
        there.until(is_gone)
