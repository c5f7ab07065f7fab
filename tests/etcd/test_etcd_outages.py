"""What etcd's outages do to the links that it declares: nothing; and what was changed meanwhile is applied then."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from etcdmachine import A, B, Machine, ip, is_carried, is_gone, is_made, machine
from etcdserver import SUITES, Etcd, etcd
from privatenet import private_net

HERE = ["http://127.0.0.1:2379"]
AFTER = 5.0
"""Seconds after the end of an outage, at most."""
AFTER_STOP = 15.0
"""The same where etcd stood still."""


@contextmanager
def made(where: Path, suite: str = "bookworm", more: str = "") -> Iterator[tuple[Machine, Etcd]]:
    """A machine with a pair that etcd declares."""
    with etcd(where / "etcd", suite) as server, machine(where / "m", HERE, more) as there:
        server.put("h1", a=A, b=B)
        there.until(is_made)
        there.until(lambda: there.states() == {"a": "ready", "b": "ready"})
        yield there, server


def stands(there: Machine, seconds: float) -> None:
    """The pair carries, the same devices all the time."""
    first = ip("-o", "link", "show", "a0").split(":")[0]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert is_carried()
        assert ip("-o", "link", "show", "a0").split(":")[0] == first
        time.sleep(0.2)
    assert set(there.states().values()) == {"ready"}


def has_mtu(mtu: int) -> bool:
    return f"mtu {mtu} " in ip("link", "show", "a0")


@pytest.mark.parametrize(("suite", "number"), [("bookworm", signal.SIGTERM), ("trixie", signal.SIGKILL)])
@private_net
def test_etcd_ends_and_comes_back(tmp_path: Path, suite: str, number: signal.Signals) -> None:
    with made(tmp_path, suite) as (there, server):
        server.kill(number)
        stands(there, 3)
        server.start()
        server.put("h1", a=A | {"mtu": 1400})
        assert there.until(lambda: has_mtu(1400)) < AFTER
        server.ctl("del", "/failoverd/v1/nodes/h1/links/a")
        assert there.until(is_gone) < 2


@private_net
def test_etcd_stands_still(tmp_path: Path) -> None:
    with made(tmp_path) as (there, server):
        server.kill(signal.SIGSTOP)
        stands(there, 30)
        assert "does not answer any more" in there.said()
        server.kill(signal.SIGCONT)
        server.put("h1", a=A | {"mtu": 1400})
        assert there.until(lambda: has_mtu(1400)) < AFTER_STOP


@pytest.mark.parametrize("suite", SUITES)
@private_net
def test_a_compaction_while_disconnected(tmp_path: Path, suite: str) -> None:
    with made(tmp_path, suite) as (there, server):
        server.put("h1", c={"kind": "veth", "peer": {"device": "c1"}})
        there.until(lambda: there.states().get("c") == "ready")
        there.service.kill()
        there.service.wait()
        server.put("h1", a=A | {"mtu": 1400})
        server.ctl("del", "/failoverd/v1/nodes/h1/links/b")
        for number in range(20):
            server.ctl("put", "/elsewhere", str(number))
        server.ctl("compact", str(server.revision()))
        assert is_carried()
        there.start_service()
        assert there.until(lambda: not is_made()) < AFTER
        assert "b" not in there.states()
        assert "history was lost" not in there.said()


@pytest.mark.parametrize("suite", SUITES)
@private_net
def test_a_wiped_etcd_removes_nothing_until_an_administrator_accepts(tmp_path: Path, suite: str) -> None:
    with made(tmp_path, suite) as (there, server):
        server.end()
        server.where = tmp_path / "anew"
        server.start()
        there.until(lambda: there.states() == {"a": "suspect", "b": "suspect"})
        assert there.links()["a"]["reason"] == "source-emptied"
        assert is_carried()
        server.put("h1", b=B)
        there.until(lambda: there.states() == {"a": "suspect", "b": "ready"})
        refused = there.failoverctl("links", "accept", "b")
        assert (refused.returncode, "not suspect" in refused.stderr) == (1, True)
        assert there.failoverctl("links", "accept").returncode == 0
        there.until(is_gone)
        assert there.states() == {"b": "pending"}


@private_net
def test_an_older_backup_keeps_what_it_does_not_have_also_over_a_restart(tmp_path: Path) -> None:
    with made(tmp_path) as (there, server):
        backup = tmp_path / "backup"
        server.ctl("snapshot", "save", str(backup))
        server.put("h1", c={"kind": "veth", "peer": {"device": "c1"}})
        there.until(lambda: there.states().get("c") == "ready")
        server.end()
        peer = f"http://127.0.0.1:{server.port + 1}"
        where = ["--data-dir", str(tmp_path / "anew" / "data"), "--name", "one"]
        own = ["--initial-cluster", f"one={peer}", "--initial-advertise-peer-urls", peer]
        server.ctl("snapshot", "restore", str(backup), *where, *own)
        server.where = tmp_path / "anew"
        server.start()
        there.until(lambda: there.states().get("c") == "suspect")
        assert there.states() == {"a": "ready", "b": "ready", "c": "suspect", "c.peer": "ready"}
        there.service.kill()
        there.service.wait()
        there.start_service()
        for number in range(20):
            server.ctl("put", "/elsewhere", str(number))
        there.until(lambda: there.said().count("connected, at") >= 3)
        assert there.states()["c"] == "suspect"
        assert is_carried()


@private_net
def test_a_lost_history_is_obeyed_where_that_is_configured(tmp_path: Path) -> None:
    with made(tmp_path, more='[links]\nhistory_lost = "obey"\n') as (there, server):
        server.end()
        server.where = tmp_path / "anew"
        server.start()
        there.until(is_gone)


@private_net
def test_two_of_three_members_are_down(tmp_path: Path) -> None:
    ports = (2379, 2479, 2579)
    cluster = ",".join(f"m{port}=http://127.0.0.1:{port + 1}" for port in ports)
    members = [Etcd(tmp_path / str(port), port=port, name=f"m{port}", cluster=cluster) for port in ports]
    with ExitStack() as stack:
        for member in members:
            stack.callback(member.end)
            member.start(is_waited_for=False)
        members[0].wait()
        there = stack.enter_context(machine(tmp_path / "m", [member.url for member in members]))
        members[0].put("h1", a=A, b=B)
        there.until(is_made)
        for member in members[1:]:
            member.kill()
        stands(there, 12)
        for member in members[1:]:
            member.start(is_waited_for=False)
        members[1].wait()
        members[1].put("h1", a=A | {"mtu": 1400})
        assert there.until(lambda: has_mtu(1400)) < AFTER
        members[0].kill()
        members[1].wait()
        members[1].put("h1", a=A | {"mtu": 1450})
        assert there.until(lambda: has_mtu(1450)) < AFTER


@private_net
def test_failoverd_etcd_is_killed_and_what_was_deleted_meanwhile_goes(tmp_path: Path) -> None:
    with made(tmp_path) as (there, server):
        there.service.kill()
        there.service.wait()
        stands(there, 1)
        server.ctl("del", "--prefix", "/failoverd/v1/nodes/h1/")
        there.start_service()
        there.until(is_gone)
        assert there.states() == {}
