"""`links --dry-run`, `links check FILE --dry-run` and `failoverd --dry-run`: by this kernel and the real doorkeeper."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from daemonprocess import Daemon
from doorkeeper import doorkeeper, own_run
from privatenet import private_net

from failoverd.cli.ctl import main
from failoverd.config import load

HOST = """
[link.web-host]
kind = "veth"
peer = "web-ct"
device = "web0"
addresses = ["192.0.2.1/24"]
"""
POD = """
[link.web-ct]
kind = "veth"
peer = "web-host"
namespace = { name = "red" }
device = "eth1"
"""
STORAGE = """
[link.storage]
kind = "macvlan"
lower = "master:ens3"
"""
FRESH = """
[link.inner]
kind = "dummy"
namespace = { name = "blue", create = true }
"""


def run(*words: str) -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(["links", *words])
    return code, out.getvalue(), err.getvalue()


def ip(*words: str) -> str:
    return subprocess.run(("ip", *words), check=True, capture_output=True, text=True).stdout


class There:
    """A machine's configuration; failoverctl reads it, and the daemon."""

    def __init__(self, where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        own_run()
        self.where = where
        self.main = where / "failoverd.toml"
        self.main.write_text("[dbus]\nenabled = false\n")
        self.drop_ins = where / "failoverd.toml.d"
        self.drop_ins.mkdir()
        self.door = where / "run-netns" / "socket"
        self.door.parent.mkdir()
        monkeypatch.setattr(load, "MAIN", self.main)
        for key, name in (("RUNTIME_DIRECTORY", "run"), ("STATE_DIRECTORY", "state")):
            monkeypatch.setenv(key, str(where / name))
        monkeypatch.setenv("FAILOVERD_CONTROL", str(where / "run" / "control"))


@private_net
def test_without_a_daemon(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        there = There(tmp_path, monkeypatch)
        (there.drop_ins / "10-host.toml").write_text(HOST)
        ip("netns", "add", "red")
        extra = tmp_path / "20-pod.toml"
        extra.write_text(POD + STORAGE)
        code, out, err = run("--dry-run")
        assert (code, err) == (0, "")
        assert out.splitlines() == [
            "nothing to do for links",
            "web-host: pending: its other end [link.web-ct] is not declared yet (no-peer)",
        ]
        code, out, _ = run("check", str(extra), "--dry-run")
        assert "storage: pending: no failover master ens3 is joined; see failoverctl status (master-absent)" in out
        assert "(door-closed)" in out
        before = ip("link") + ip("-n", "red", "link")
        with doorkeeper(there.door):
            code, out, err = run("check", str(extra), "--dry-run")
            assert (code, err) == (0, "")
            assert "web-host, in" in out, out
            near, far = (
                out.index("web-host, in failoverd's own namespace:"),
                out.index("web-ct, in the namespace"),
            )
            assert near < out.index("  create veth web0 with MAC ") < out.index("  add 192.0.2.1/24 to web0") < far
            assert "peer eth1 in the namespace red\n" in out
            assert out.count("storage: pending") == 1
            code, out, _ = run("check", str(extra), "--dry-run", "--json")
            told = json.loads(out)
            assert [one["link"] for one in told["requests"]] == ["web-host", "web-ct"]
            assert [one["namespace"] for one in told["requests"]] == ["own", "name red"]
            states = {row["name"]: (row["state"], row["changes"]) for row in told["links"]}
            assert states["storage"] == ("pending", False)
            assert states["web-host"] == ("ready", True)
            assert run("list", "web-host", "--dry-run")[0] == 0
            assert "no link 'nothing' is declared" in run("list", "nothing", "--dry-run")[2]
            assert ip("link") + ip("-n", "red", "link") == before
            extra.write_text(POD.replace("peer", "peeer"))
            code, out, err = run("check", str(extra), "--dry-run")
            assert (code, f"{extra}:4" in err) == (1, True)
            code, out, _ = run("check", str(extra), "--dry-run", "--json")
            assert (code, json.loads(out)["problems"][0]["line"]) == (1, 4)


@private_net
def test_a_namespace_that_is_to_be_made_is_not(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        there = There(tmp_path, monkeypatch)
        (there.drop_ins / "10-inner.toml").write_text(FRESH)
        with doorkeeper(there.door):
            command = [sys.executable, "-m", "failoverd", "--dry-run", "--config", str(there.main)]
            lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
            lines = lines[lines.index("nothing to do") + 1 :]
            assert lines[:3] == ["", "make the network namespace blue", "inner, in the namespace blue:"]
            assert any(line.startswith("  create dummy inner") for line in lines)
            assert "blue" not in ip("netns")


@private_net
def test_beside_a_daemon(tmp_path: Path) -> None:
    """From it it learns what was declared before."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        there = There(tmp_path, monkeypatch)
        (there.drop_ins / "10-host.toml").write_text(HOST)
        (there.drop_ins / "20-pod.toml").write_text(POD)
        ip("netns", "add", "red")
        with doorkeeper(there.door), Daemon(tmp_path, "--config", str(there.main), into=()) as daemon:
            daemon.hears("READY=1")
            daemon.until(lambda: run("list", "-q")[0] == 0, "the links")
            assert run("--dry-run")[1] == "nothing to do for links\n"
            (there.drop_ins / "10-host.toml").write_text(HOST + "mtu = 1400\n")
            code, out, err = run("--dry-run")
            assert (code, err) == (0, "")
            asked = ["web-host, in failoverd's own namespace:", "  set the MTU of web0 to 1400"]
            assert out.splitlines() == asked
            (there.drop_ins / "20-pod.toml").unlink()
            out = run("--dry-run")[1]
            assert "delete the device with the alternative name failoverd-link-" in out
            assert "web0" in ip("link")
            assert "mtu 1500" in ip("link", "show", "web0")
