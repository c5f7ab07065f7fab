"""The whole daemon, as a service manager and an administrator meet it: real processes, sockets and signals."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from daemonprocess import PATIENCE, Daemon, places
from privatebus import PrivateBus
from privatenet import inside

from failoverd import __version__
from failoverd.cli import client
from failoverd.cli.commands import NO_PAIR
from failoverd.cli.historyfile import read


def ctl(where: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from failoverd.cli.ctl import main; raise SystemExit(main())", *words]
    environment = os.environ | places(where)
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)


def failoverd(where: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A failoverd that is expected to end by itself."""
    return subprocess.run(
        inside(sys.executable, "-m", "failoverd", *words),
        env=os.environ | places(where) | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_a_life(tmp_path: Path) -> None:
    """Start, READY, status, SIGTERM."""
    with Daemon(tmp_path) as daemon:
        daemon.hears("READY=1\nSTATUS=no pair found yet")
        status = ctl(tmp_path, "--json", "status")
        assert (status.returncode, status.stderr) == (NO_PAIR, "")
        assert json.loads(status.stdout)["masters"] == []
        assert ctl(tmp_path).stdout.startswith("no pair found; failoverctl explain says")
        assert daemon.end() == 0
        daemon._manager.settimeout(5)
        assert daemon._manager.recv(100) == b"STOPPING=1"
    lines = [line for line in daemon.text().splitlines() if not line.startswith("INFO: not on a bus")]
    assert lines == ["INFO: ending on SIGTERM; the pairs stay joined"]
    assert ctl(tmp_path).returncode == 3
    left = ["accepted.json", "control", "history", "lock", "log", "notify", "run", "state"]
    assert sorted(path.name for path in tmp_path.rglob("*")) == left
    assert [event["event"] for event in read(str(tmp_path / "state" / "history"))] == ["started", "stopped"]


def test_ctrl_c_ends_it_as_well(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        daemon.hears("READY=1")
        assert daemon.end(signal.SIGINT) == 0


def test_signals_in_a_heap_are_one_orderly_end(tmp_path: Path) -> None:
    for pause in (0.0, 0.0005, 0.002):
        with Daemon(tmp_path) as daemon:
            daemon.hears("READY=1")
            while daemon.process.poll() is None:
                for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
                    daemon.process.send_signal(number)
                time.sleep(pause)
            assert daemon.process.returncode == 0, daemon.text()


def test_told_to_end_while_it_starts(tmp_path: Path) -> None:
    """At any moment from its first line of Python on, which is when it can be asked to end in order."""
    for pause in (0.15, 0.25, 0.35, 0.45):
        with Daemon(tmp_path) as daemon:
            time.sleep(pause)
            assert daemon.end() in (0, -signal.SIGTERM)
        assert "Traceback" not in daemon.text()


def test_a_second_daemon_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        daemon.hears("READY=1")
        second = failoverd(tmp_path)
        assert second.returncode == 1
        assert second.stderr == (
            f"failoverd: another failoverd holds {tmp_path}/run/lock; stop it first (systemctl stop failoverd)\n"
        )
        assert ctl(tmp_path).returncode == NO_PAIR


def test_nobody_else_can_hold_the_lock(tmp_path: Path) -> None:
    """Whoever can open a file can lock it, and so keep every daemon from starting."""
    with Daemon(tmp_path) as daemon:
        daemon.hears("READY=1")
        assert (tmp_path / "run" / "lock").stat().st_mode & 0o777 == 0o600


def test_killed_and_started_again(tmp_path: Path) -> None:
    """The socket and the lock that it leaves are in nobody's way."""
    for _ in range(2):
        with Daemon(tmp_path) as daemon:
            daemon.hears("READY=1")
            assert ctl(tmp_path).returncode == NO_PAIR
            assert daemon.end(signal.SIGKILL) == -signal.SIGKILL
    assert (tmp_path / "run" / "control").exists()
    with Daemon(tmp_path) as daemon:
        daemon.hears("READY=1")
        assert ctl(tmp_path).returncode == NO_PAIR


def test_a_stopped_daemon_is_told_apart_from_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PATIENCE", 1)
    monkeypatch.setenv("FAILOVERD_CONTROL", str(tmp_path / "run" / "control"))
    with Daemon(tmp_path) as daemon:
        daemon.hears("READY=1")
        daemon.process.send_signal(signal.SIGSTOP)
        with pytest.raises(client.NoDaemonError, match="for 1 s: failoverd is there"):
            client.call("status")
        daemon.process.send_signal(signal.SIGCONT)
        assert client.call("status")["masters"] == []


def test_a_reload(tmp_path: Path) -> None:
    config = tmp_path / "failoverd.toml"
    config.write_text("[failback]\nhold_down = 2\n")
    with Daemon(tmp_path, "--config", str(config)) as daemon:
        daemon.hears("READY=1")
        config.write_text('[failback]\nhold_down = 3\n[netlink]\nreceive_buffer = 1_048_576\n[log]\nlevel = "debug"\n')
        daemon.process.send_signal(signal.SIGHUP)
        daemon.hears("RELOADING=1\nMONOTONIC_USEC=")
        daemon.hears("READY=1", times=2)
        daemon.says("configuration: [failback] hold_down: 2.0 -> 3.0")
        daemon.says('configuration: [log] level: "info" -> "debug"')
        assert daemon.end() == 0


def test_a_reload_with_mistakes_keeps_what_there_is_and_names_each(tmp_path: Path) -> None:
    config = tmp_path / "failoverd.toml"
    config.write_text("[failback]\nhold_down = 2\n")
    with Daemon(tmp_path, "--config", str(config)) as daemon:
        daemon.hears("READY=1")
        config.write_text("[failback]\nhold_down = -1\n[bond]\nmiimom = 3\n")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.says("ERROR: the configuration stays as it was: ", times=2)
        daemon.says(f"the configuration stays as it was: {config}:2: [failback] hold_down: -1 is too small")
        daemon.says(f"the configuration stays as it was: {config}:4: [bond] miimom: no such key")
        daemon.hears("READY=1", times=2)
        assert ctl(tmp_path).returncode == NO_PAIR
        config.write_text("[failback]\nhold_down = 3\n")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.says("hold_down: 2.0 -> 3.0")


def test_a_mistake_at_a_start_leaves_the_last_configuration_without(tmp_path: Path) -> None:
    config = tmp_path / "failoverd.toml"
    kept = tmp_path / "state" / "accepted.json"
    config.write_text("[failback]\nhold_down = 2\n")
    with Daemon(tmp_path, "--config", str(config)) as daemon:
        daemon.hears("READY=1")
        daemon.until(kept.exists, "copy")
        config.write_text("[failback]\nhold_down = 4\n")
        assert ctl(tmp_path, "reload").returncode == 0
        daemon.until(lambda: "hold_down = 4" in kept.read_text(), "copy of the new one")
        config.write_text("[failback]\nhold_down = -1\n")
        assert ctl(tmp_path, "reload").returncode == 1
        assert daemon.end() == 0
    with Daemon(tmp_path, "--config", str(config)) as daemon:
        daemon.hears("READY=1\nSTATUS=the configuration has a mistake, and the last one without is used")
        daemon.says(f"ERROR: the configuration has a mistake: {config}:2: [failback] hold_down: -1 is too small")
        assert ctl(tmp_path, "reload").returncode == 1
        config.write_text("[failback]\nhold_down = 5\n")
        assert ctl(tmp_path, "reload").stdout == "[failback] hold_down: 4.0 -> 5.0\n"
        daemon.hears("READY=1\nSTATUS=no pair found yet")
        daemon.until(lambda: "hold_down = 5" in kept.read_text(), "copy of what was put right")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[" * 50_000, b"a = " + b"[" * 50_000, None])
def test_a_reload_of_garbage_does_not_end_the_daemon(tmp_path: Path, content: bytes | None) -> None:
    config = tmp_path / "failoverd.toml"
    config.write_text("")
    with Daemon(tmp_path, "--config", str(config)) as daemon:
        daemon.hears("READY=1")
        config.unlink()
        if content is not None:
            config.write_bytes(content)
        daemon.process.send_signal(signal.SIGHUP)
        daemon.says("the configuration stays as it was")
        assert ctl(tmp_path).returncode == NO_PAIR


def test_the_watchdog_hears_of_an_idle_daemon(tmp_path: Path) -> None:
    with Daemon(tmp_path, environment={"WATCHDOG_USEC": "300000"}) as daemon:
        daemon.hears("READY=1")
        daemon.heard.clear()
        start = time.monotonic()
        daemon.hears("WATCHDOG=1", times=5)
        assert 0.4 <= time.monotonic() - start < 1.5


def test_without_a_watchdog_an_idle_daemon_is_silent(tmp_path: Path) -> None:
    with Daemon(tmp_path, environment={"WATCHDOG_USEC": "nonsense"}) as daemon:
        daemon.hears("READY=1")
        assert ctl(tmp_path).returncode == NO_PAIR
        assert daemon.end() == 0
        assert [message for message in daemon.heard if "WATCHDOG" in message] == []


@pytest.mark.parametrize("notify", ["", "/no/such/socket", "@", "x" * 300])
def test_a_service_manager_that_cannot_be_reached(tmp_path: Path, notify: str) -> None:
    with Daemon(tmp_path, environment={"NOTIFY_SOCKET": notify}) as daemon:
        end = time.monotonic() + PATIENCE
        while ctl(tmp_path).returncode != NO_PAIR:
            assert time.monotonic() < end, daemon.text()
        assert daemon.end() == 0


GARBAGE = {
    "LANG": "xx_YY.garbage",
    "LC_ALL": "\udcff",
    "PYTHONIOENCODING": "ascii",
    "HOME": "",
    "PATH": "",
    "TZ": "nowhere",
    "WATCHDOG_PID": "\udcfe",
    "LISTEN_FDS": "x",
    "TERM": "",
}


def test_an_environment_of_garbage(tmp_path: Path) -> None:
    with Daemon(tmp_path, environment=GARBAGE) as daemon:
        daemon.hears("READY=1")
        assert daemon.end() == 0


def test_a_state_directory_that_cannot_be_written_is_no_reason_not_to_run(tmp_path: Path) -> None:
    """Root may write anywhere, but nobody can make a directory in a file."""
    (tmp_path / "file").touch()
    with Daemon(tmp_path, environment={"STATE_DIRECTORY": str(tmp_path / "file" / "state")}) as daemon:
        daemon.hears("READY=1")
        daemon.says("it is no directory; nothing is taken from it")
        assert daemon.end() == 0


def test_a_runtime_directory_that_cannot_be_had(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = failoverd(tmp_path, RUNTIME_DIRECTORY=str(tmp_path / "file" / "run"))
    assert found.returncode == 1
    assert found.stderr == (
        f"failoverd: {tmp_path}/file/run/lock: Not a directory; run it as root, or set RUNTIME_DIRECTORY\n"
    )


def test_a_control_socket_that_cannot_be_had_is_no_reason_not_to_run(tmp_path: Path) -> None:
    """A path that is too long for a socket is one."""
    where = tmp_path / ("x" * 100)
    where.mkdir()
    with Daemon(tmp_path, environment={"RUNTIME_DIRECTORY": str(where)}) as daemon:
        daemon.hears("READY=1")
        daemon.says("failoverctl will not reach this daemon")
        assert daemon.end() == 0


def test_a_journal_of_garbage_is_set_aside(tmp_path: Path) -> None:
    moves = tmp_path / "run" / "moves"
    moves.mkdir(parents=True)
    (moves / "525400000001.json").write_bytes(b"\xff" * 100)
    with Daemon(tmp_path) as daemon:
        daemon.hears("READY=1")
        daemon.says("set aside as 525400000001.json.bad")
        assert daemon.end() == 0


def test_what_is_released_and_not_here_is_no_pair_until_it_is_adopted(tmp_path: Path) -> None:
    pairs = tmp_path / "state" / "pairs"
    pairs.mkdir(parents=True)
    for mac in ("525400000001", "525400000002"):
        (pairs / mac).write_text("released\n")
    with Daemon(tmp_path) as daemon:
        daemon.hears("READY=1")
        found = ctl(tmp_path, "--json", "status")
        assert (found.returncode, json.loads(found.stdout)["masters"]) == (NO_PAIR, [])
        metrics = tmp_path / "run" / "metrics.prom"
        daemon.until(metrics.exists, "metrics")
        assert "failoverd_master_state" not in metrics.read_text()
        assert ctl(tmp_path, "adopt", "52:54:00:00:00:01").returncode == 0
        daemon.until(lambda: (pairs / "525400000001").read_text() == "joined\n", "the adoption")
        assert ctl(tmp_path, "status").returncode == NO_PAIR


def test_a_dry_run_changes_nothing_and_can_be_had_beside_a_daemon(tmp_path: Path) -> None:
    moves = tmp_path / "run" / "moves"
    moves.mkdir(parents=True)
    (moves / "525400000001.json").write_bytes(b"garbage")
    with Daemon(tmp_path) as daemon:
        daemon.hears("READY=1")
        daemon.until((tmp_path / "run" / "metrics.prom").exists, "metrics")
        daemon.until((tmp_path / "state" / "accepted.json").exists, "copy of the configuration")
        (tmp_path / "run" / "drains").mkdir()
        (tmp_path / "run" / "drains" / "525400000002").write_text("garbage")
        before = sorted(path.name for path in tmp_path.rglob("*"))
        found = failoverd(tmp_path, "--dry-run")
        assert (found.returncode, found.stdout.endswith("nothing to do\n")) == (0, True)
        assert "525400000002: Expecting value" in found.stderr
        assert "set aside" not in found.stderr
        assert sorted(path.name for path in tmp_path.rglob("*")) == before
    nowhere = tmp_path / "nowhere"
    found = failoverd(nowhere, "--dry-run")
    assert found.returncode == 0
    assert not nowhere.exists()


BROKEN = """
from failoverd.cli.daemon import main
from failoverd.netlink.transport import KernelSocket

recv, recv_nowait = KernelSocket.recv, KernelSocket.recv_nowait

def checked(data):
    if data is not None and data[4:6] == bytes([3, 0]):
        raise OSError(5, "Input/output error")
    return data

async def broken(self):
    return checked(await recv(self))

KernelSocket.recv = broken
KernelSocket.recv_nowait = lambda self: checked(recv_nowait(self))
raise SystemExit(main([]))
"""


def test_a_task_that_fails_ends_the_daemon_with_a_last_line(tmp_path: Path) -> None:
    """Here the netlink socket fails when the first dump is over, which no kernel can be made to do."""
    command = inside(sys.executable, "-c", BROKEN)
    environment = os.environ | places(tmp_path)
    found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert found.returncode == 3
    assert "CRITICAL: the daemon broke down" in found.stderr
    assert found.stderr.splitlines()[-1] == (
        "failoverd: ended by OSError: [Errno 5] Input/output error. Traffic goes on without it; start it again, and "
        "please report this with the lines above"
    )


def test_the_lock_is_the_kernels_and_not_the_files(tmp_path: Path) -> None:
    """A lock file that is merely there, of a machine that lost its power, is in nobody's way; a held one is."""
    (tmp_path / "run").mkdir()
    with (tmp_path / "run" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert failoverd(tmp_path).returncode == 1
    with Daemon(tmp_path) as daemon:
        daemon.hears("READY=1")


def test_it_is_on_the_bus_and_reloads_from_there(tmp_path: Path) -> None:
    config = tmp_path / "failoverd.toml"
    on_bus = "[dbus]\nenabled = true\n[failback]\n"
    config.write_text(f"{on_bus}hold_down = 2.0\n")

    def ask(*words: str) -> subprocess.CompletedProcess[str]:
        command = ["busctl", f"--address={bus.address}", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)

    def reload() -> subprocess.CompletedProcess[str]:
        return ask("call", "org.failoverd1", "/org/failoverd1", "org.failoverd1.Manager", "Reload")

    address = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={tmp_path / 'bus'}"}
    with PrivateBus(tmp_path) as bus, Daemon(tmp_path, "--config", str(config), environment=address) as daemon:
        daemon.says("on the bus as org.failoverd1")
        version = ask("get-property", "org.failoverd1", "/org/failoverd1", "org.failoverd1.Manager", "Version")
        assert version.stdout == f's "{__version__}"\n'
        config.write_text(f"{on_bus}hold_down = 3.0\n")
        assert reload().returncode == 0
        daemon.says("configuration: [failback] hold_down: 2.0 -> 3.0")
        config.write_text(f"{on_bus}hold_down = -1\n")
        wrong = reload()
        assert f"{config}:4: [failback] hold_down: -1 is too small" in wrong.stderr
        assert daemon.end() == 0


def test_it_is_ready_before_it_loads_what_the_bus_needs_and_does_without(tmp_path: Path) -> None:
    command = "import sys, failoverd.cli.daemon; sys.exit(any('dbus' in name for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0
    (tmp_path / "dbus_next.py").write_text("raise ImportError('broken')\n")
    paths = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    with Daemon(tmp_path, environment={"PYTHONPATH": paths}) as daemon:
        daemon.hears("READY=1")
        daemon.says("not on D-Bus, as it cannot be loaded (ImportError('broken'))")
        assert ctl(tmp_path, "--json", "status").returncode == NO_PAIR
        assert daemon.end() == 0
