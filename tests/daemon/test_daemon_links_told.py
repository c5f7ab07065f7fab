"""Declared links as failoverctl tells of them, with the real daemon and the real doorkeeper: the tutorial's story."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from daemonprocess import Daemon, places
from privatenet import private_net
from test_daemon_links_process import HOST, POD, ip, machine, until

CTL = (sys.executable, "-c", "from failoverd.cli.ctl import main; raise SystemExit(main())", "links")


def links(where: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of `failoverctl links`."""
    return subprocess.run((*CTL, *words), env=places(where), check=False, capture_output=True, text=True, timeout=60)


def told(where: Path, *words: str) -> object:
    return json.loads(links(where, *words, "--json").stdout)


def declared(daemon: Daemon, where: Path) -> None:
    until(lambda: links(where, "list", "-q").returncode == 4, daemon)


@private_net
def test_a_wire_is_waited_for_counted_and_let_go(tmp_path: Path) -> None:
    with machine(tmp_path) as there:
        there.declare("60-web", HOST + POD)
        with there.daemon() as daemon:
            declared(daemon, tmp_path)
            late = links(tmp_path, "wait", "web-host", "--timeout", "0.2")
            assert (late.returncode, late.stdout.split()[:2]) == (7, ["web-host:", "pending:"])
            explained = links(tmp_path, "explain").stdout
            assert "web-ct: pending, eth1 in the namespace red" in explained
            assert "(namespace-absent)" in explained
            assert links(tmp_path, "release", "nine").returncode == 1
            ip("netns", "add", "red")
            ready = links(tmp_path, "wait", "web-host", "web-ct", "--timeout", "20")
            assert (ready.returncode, ready.stdout) == (0, "web-host: ready\nweb-ct: ready\n"), daemon.text()
            assert links(tmp_path).returncode == 0
            assert told(tmp_path, "graph") == {
                "namespaces": {"own": ["web-host"], "name red": ["web-ct"]},
                "wires": [["web-host", "web-ct"]],
                "stands_on": {},
                "ports": {},
                "masters": [],
                "waits": {},
            }
            counted = told(tmp_path, "stats")
            assert isinstance(counted, dict)
            assert {one["name"] for one in counted["statistics"]} == {"web-host", "web-ct"}
            assert links(tmp_path, "resync").returncode == 0
            assert links(tmp_path, "release", "web-host").returncode == 0
            until(lambda: links(tmp_path, "show", "web-host").stdout.startswith("web-host: released\n"), daemon)
            assert "web0" in ip("link")
            assert daemon.end() == 0
    events = [json.loads(line)["event"] for line in (tmp_path / "state" / "history").read_text().splitlines()]
    assert events.count("link-ready") >= 2
    assert events.index("link-pending") < events.index("link-ready")
