"""Status in etcd, and failoverctl's commands for a fleet, with a real etcd."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from etcdmachine import A, B, ip, is_gone, is_made, machine
from etcdserver import SUITES, Etcd, etcd
from privatenet import private_net

from failoverd.config.spec import Etcd as Config
from failoverd_etcd import client

HERE = ["http://127.0.0.1:2379"]
PUBLISH = "publish_status = true\n"
STATUS = "/failoverd/v1/status/h1/"


def told(server: Etcd) -> dict[str, Any]:
    return {key.removeprefix(STATUS): value for key, value in server.below(STATUS).items()}


@pytest.mark.parametrize("suite", SUITES)
@private_net
def test_what_becomes_of_links_is_told_and_goes_with_the_machine(tmp_path: Path, suite: str) -> None:
    with etcd(tmp_path / "etcd", suite) as server, machine(tmp_path / "m", HERE, PUBLISH) as there:
        server.put("h1", a=A, b=B)
        there.until(lambda: told(server).get("links/b", {}).get("state") == "ready")
        found = told(server)
        assert sorted(found) == ["links/a", "links/b", "node"]
        assert found["links/a"]["revision"] == found["node"]["revision"] > 1
        assert (found["node"]["daemon"], found["node"]["links"]) == ("running", {"ready": 2})
        revision = server.revision()
        there.until_quiet(3)
        assert server.revision() == revision, "nothing is written while nothing changes"
        ip("netns", "delete", "red")
        there.until(lambda: told(server)["links/a"]["reason"] == "namespace-absent")
        server.ctl("del", "/failoverd/v1/nodes/h1/links/b")
        there.until(lambda: "links/b" not in told(server))
        lease = json.loads(server.ctl("get", f"{STATUS}node", "-w", "json").stdout)["kvs"][0]["lease"]
        left = json.loads(server.ctl("lease", "timetolive", f"{lease:x}", "-w", "json").stdout)
        assert left["granted-ttl"] == 60
        there.daemon.process.kill()
        there.daemon.process.wait()
        end = time.monotonic() + 10
        while told(server)["node"]["daemon"] != "silent":
            assert time.monotonic() < end
        there.service.kill()
        there.service.wait()
        server.ctl("lease", "revoke", f"{lease:x}")
        assert told(server) == {}


@private_net
def test_the_status_goes_on_after_etcd_was_away_whatever_was_being_written(tmp_path: Path) -> None:
    with etcd(tmp_path / "etcd") as server, machine(tmp_path / "m", HERE, PUBLISH) as there:
        for number in range(4):
            server.put("h1", **{f"l{number}": {"kind": "veth", "peer": {"device": f"x{number}"}}})
            time.sleep(0.3 * number)
            server.kill()
            server.start()
            there.until(lambda wanted=number: told(server).get(f"links/l{wanted}", {}).get("state") == "ready")  # type: ignore[misc]
        assert there.service.poll() is None
        assert "Traceback" not in there.said()


@private_net
def test_a_connection_that_another_task_closes_is_lost_and_no_task_is_cancelled(tmp_path: Path) -> None:
    async def main(server: Etcd) -> None:
        config = Config(enabled=True)
        connection = client.Etcd(server.url, config, client.Secrets.of(config))
        async with connection.watch("/x/", 1) as watch:
            assert await watch.receive(5)
            server.kill(signal.SIGSTOP)
            asked = asyncio.create_task(connection.range(key=b"x"))
            await asyncio.sleep(0.2)
            await connection.__aexit__()
            with pytest.raises(client.LostError):
                await asked
            with pytest.raises(client.LostError):
                await watch.receive(5)
            with pytest.raises(client.LostError):
                await connection.range(key=b"x")
            with pytest.raises(client.LostError):
                async with connection.watch("/x/", 1):
                    pass

    with etcd(tmp_path / "etcd") as server:
        asyncio.run(main(server))


@private_net
def test_a_file_that_wins_is_told_as_shadowed(tmp_path: Path) -> None:
    with etcd(tmp_path / "etcd") as server, machine(tmp_path / "m", HERE, PUBLISH) as there:
        (there.drop_ins / "9.toml").write_text('[link.a]\nkind = "veth"\npeer = "b"\n')
        there.failoverctl("reload")
        server.put("h1", a=A)
        there.until(lambda: told(server).get("links/a", {}).get("state") == "shadowed")
        assert "9.toml:1 declares it, too, and wins" in told(server)["links/a"]["detail"]


@private_net
def test_put_get_and_del(tmp_path: Path) -> None:
    with etcd(tmp_path / "etcd") as server, machine(tmp_path / "m", HERE) as there:
        file = tmp_path / "web.toml"
        file.write_text(
            '[link.a]\nkind = "veth"\npeer = "b"\ndevice = "a0"\naddresses = ["192.0.2.1/24"]\n'
            '[link.b]\nkind = "veth"\npeer = "a"\ndevice = "b0"\nnamespace = { name = "red" }\n'
            'addresses = ["192.0.2.2/24"]\n[node.h7.link.x]\nkind = "dummy"\n'
        )
        before = server.revision()
        done = there.failoverctl("links", "put", str(file), "--config", str(there.config))
        assert (done.returncode, done.stderr) == (0, "")
        assert server.revision() == before + 1, "one transaction"
        there.until(is_made)
        got = json.loads(there.failoverctl("--json", "links", "get", "--config", str(there.config)).stdout)
        assert (got["node"], sorted(got["links"])) == ("h1", ["a", "b"])
        assert got["links"]["b"]["namespace"] == {"name": "red"}
        more = there.failoverctl("links", "get", "--node", "h7", "--endpoints", HERE[0], "--config", str(there.config))
        assert more.stdout == 'x  {"kind": "dummy"}\n'
        refused = there.failoverctl("links", "del", "a", "nothing", "--config", str(there.config))
        assert (refused.returncode, "not all of these are declared for h1" in refused.stderr) == (1, True)
        assert is_made()
        assert there.failoverctl("links", "del", "a", "b", "--config", str(there.config)).returncode == 0
        there.until(is_gone)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[link.a]\nkind = "veth"\n', "a veth needs peer"),
        ('[link.A]\nkind = "dummy"\n', "is no name of a link"),
        ("[master]\n", "[master]: only [link.NAME] and [node.NODE.link.NAME] are declared"),
        ("[node.h7]\nx = 1\n", "[node.h7] may only have links"),
        ("[link.a]\nkind = 1979-05-27\n", "is not JSON serializable"),
        (
            "".join(f'[link.{name}]\nkind = "dummy"\ndevice = "x"\n' for name in "ab"),
            'x.toml: node h7: [link.b]: "x" in own is [link.a]',
        ),
        ("", "it declares no link"),
        ("[link", "this is not TOML"),
        ("".join(f'[link.a{number}]\nkind = "dummy"\n' for number in range(129)), "129 links, and etcd takes 128"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_before_anything_is_sent(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "x.toml"
    file.write_text(text)
    command = [sys.executable, "-m", "failoverd_etcd", "put", str(file), "--node", "h7", "--endpoints", "127.0.0.1:1"]
    done = subprocess.run([*command, "--config", "/dev/null"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert words in done.stderr


@private_net
def test_the_fleet(tmp_path: Path) -> None:
    with etcd(tmp_path / "etcd") as server, machine(tmp_path / "m", HERE) as there:
        config = ("--config", str(there.config))
        assert there.failoverctl("fleet", *config).returncode == 8
        master = {"state": "accelerated", "active": "ens4", "role": "primary", "last_failover": None}
        node = {"daemon": "running", "version": "0.1.0"}
        server.ctl("put", "/failoverd/v1/status/h1/masters/ens3", json.dumps(master))
        server.ctl("put", "/failoverd/v1/status/h1/node", json.dumps(node))
        done = there.failoverctl("fleet", *config)
        assert done.returncode == 0
        assert done.stdout.splitlines() == [
            "NODE  MASTER  STATE        ACTIVE          LINKS  VERSION  LAST FAILOVER",
            "h1    ens3    accelerated  ens4 (primary)  -      0.1.0    -",
        ]
        command = [str(Path(sys.executable).with_name("failoverd-etcd")), "fleet", "--watch", "--json", *config]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
            assert watching.stdout is not None
            assert json.loads(watching.stdout.readline())["state"] == "accelerated"
            server.ctl("put", "/failoverd/v1/status/h1/masters/ens3", json.dumps(master | {"state": "on-standby"}))
            assert json.loads(watching.stdout.readline())["state"] == "on-standby"
            server.ctl("del", "/failoverd/v1/status/h1/masters/ens3")
            assert json.loads(watching.stdout.readline())["state"] == "-"
            watching.kill()
        there.until(lambda: there.failoverctl("fleet", *config).returncode == 8)


@private_net
def test_orders_are_roots_and_status_is_everybodys(tmp_path: Path) -> None:
    with etcd(tmp_path / "etcd"), machine(tmp_path / "m", HERE) as there:
        there.until(lambda: "connected, at" in there.said())
        done = there.run_etcd("status", "--json")
        told = json.loads(done.stdout)
        assert (told["connected"], told["node"], told["links"], told["suspect"]) == (True, "h1", 0, {})
        assert there.run_etcd("accept").stdout == "nothing is suspect\n"
        there.service.kill()
        there.service.wait()
        done = there.run_etcd("status")
        assert (done.returncode, "no failoverd-etcd answers at" in done.stderr) == (3, True)
