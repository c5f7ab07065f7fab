"""What a local user can make a running daemon hold, log or wait for: each of them tried, against a real process.

SECURITY.md lists the bounds. While two users do their worst, root is answered, and the daemon holds no more descriptors
and memory, writes no more lines, and takes no more of the CPU than it says there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from daemonprocess import Daemon, places
from privatenet import private_net

from failoverd.cli import client
from failoverd.daemon.control import CLIENTS
from failoverd.daemon.onlyone import NAME

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="two users are needed to tell them apart")

ATTACKER = Path(__file__).parents[1] / "attacker.py"
USERS = (65534, 65533)
SECONDS = 4.0
ANSWERED = client.PATIENCE
"""Seconds in which root is answered: what failoverctl waits."""
MOST_MEMORY = 8 << 20
"""Bytes of resident memory that it may cost."""
MOST_FILES = CLIENTS + 4
"""Descriptors: those of clients, and what is being accepted, or refused just then."""
MOST_LINES = 5
MOST_CPU = 0.5
"""Of one CPU."""


@contextmanager
def attacked(kind: str, path: str) -> Iterator[None]:
    """While this is open, two users attack."""
    attackers = []
    try:
        for uid in USERS:
            command = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", sys.executable, "-I", "-S"]
            attacker = subprocess.Popen([*command, str(ATTACKER), kind, path], stdout=subprocess.PIPE)
            attackers.append(attacker)
            assert attacker.stdout is not None
            assert attacker.stdout.readline() == b"begun\n"
        yield
    finally:
        for attacker in attackers:
            attacker.kill()
            attacker.communicate()


def files(pid: int) -> int:
    """Descriptors it has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def memory(pid: int) -> int:
    """Resident bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu(pid: int) -> float:
    """Seconds of CPU it has used."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def under_attack(kind: str, where: Path) -> None:
    """Attack a daemon, and see that it bears it."""
    os.environ.update(places(where))
    with Daemon(where, into=()) as daemon:
        daemon.hears("READY=1")
        pid = daemon.process.pid
        for _ in range(20):
            client.call("explain")
        before, lines = (files(pid), memory(pid)), len(daemon.text().splitlines())
        path = NAME[1:] if kind == "name" else str(where / "run" / "control")
        with attacked(kind, path):
            took, most = [], 0
            began, used = time.monotonic(), cpu(pid)
            while time.monotonic() < began + SECONDS:
                asked = time.monotonic()
                client.call("status")
                took.append(time.monotonic() - asked)
                most = max(most, files(pid))
                time.sleep(0.05)
            share = (cpu(pid) - used) / (time.monotonic() - began)
            grown, said = memory(pid) - before[1], len(daemon.text().splitlines()) - lines
        costs = f"{most - before[0]} files, {grown >> 10} KiB, {said} lines, CPU {share:.2f}"
        found = f"{kind}: root {max(took):.2f} s, {costs}"
        print(found)
        assert max(took) < ANSWERED, found
        assert most - before[0] <= MOST_FILES, found
        assert grown <= MOST_MEMORY, found
        assert said <= MOST_LINES, found
        assert share <= MOST_CPU, found
        assert daemon.end() == 0


@pytest.mark.parametrize("kind", ["half", "deaf", "long", "knock", "name"])
def test_a_daemon_bears_what_users_do_to_its_sockets(kind: str) -> None:
    where = Path(tempfile.mkdtemp(prefix="failoverd-test-"))
    where.chmod(0o755)
    try:
        private_net(under_attack)(kind, where)
    finally:
        shutil.rmtree(where)


def test_who_can_open_what() -> None:
    """With the unit's umask. What is not for everybody is the daemon's own."""
    where = Path(tempfile.mkdtemp(prefix="failoverd-test-"))

    def look() -> None:
        os.environ.update(places(where))
        os.umask(0o077)
        with Daemon(where, into=()) as daemon:
            daemon.hears("READY=1")
            daemon.until((where / "run" / "metrics.prom").is_file, "metrics")
            daemon.until((where / "state" / "accepted.json").is_file, "copy of the configuration")
            found = {
                f"{folder}/{path.name}": oct(path.lstat().st_mode & 0o777)
                for folder in ("run", "state")
                for path in (where / folder).iterdir()
            }
            assert daemon.end() == 0
        everybodys = {"run/control": "0o666", "run/metrics.prom": "0o644", "state/history": "0o644"}
        assert {name: mode for name, mode in found.items() if name in everybodys} == everybodys
        assert {mode for name, mode in found.items() if name not in everybodys} == {"0o600"}, found

    try:
        private_net(look)()
    finally:
        shutil.rmtree(where)
