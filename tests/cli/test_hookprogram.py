"""failoverd-hooks as systemd starts it: a real process with a real socket as its file descriptor 3."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from failoverd.cli.hooks import change, say

IDLE = 0.4
MAIN = "import sys; from failoverd.cli.hooks import main; sys.exit(main())"
START = f"""
import os, sys
os.environ["LISTEN_PID"] = str(os.getpid())
fd = int(sys.argv[1])
os.dup2(fd, 3)
os.set_inheritable(fd, fd == 3)
os.execv(sys.executable, [sys.executable, "-c", {MAIN!r}, *sys.argv[2:]])
"""


class Service:
    """What systemd has of it: the socket, the directory, and the process while there is one."""

    def __init__(self, place: Path) -> None:
        self.hooks = place / "hooks.d"
        self.hooks.mkdir(mode=0o755)
        self.log = place / "log"
        self.out = place / "out"
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.process: subprocess.Popen[bytes] | None = None

    def hook(self, name: str, script: str, mode: int = 0o755) -> Path:
        path = self.hooks / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(mode)
        return path

    def event(self, word: str = "failover", **more: str) -> None:
        self.send({"hook": {"FAILOVERD_EVENT": word, **{f"FAILOVERD_{key}": value for key, value in more.items()}}})

    def send(self, message: object) -> None:
        self.ours.send(message if isinstance(message, bytes) else json.dumps(message).encode())

    def start(self, timeout: float = 20.0, idle: float = IDLE) -> None:
        fd = self.theirs.fileno()
        command = [sys.executable, "-c", START, str(fd), "--hooks", str(self.hooks)]
        command += ["--timeout", str(timeout), "--idle", str(idle)]
        environment = {**os.environ, "LISTEN_FDS": "1", "OUT": str(self.out), "NOTIFY_SOCKET": "/none"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, pass_fds=[fd], env=environment, stdout=log, stderr=log)

    def end(self) -> str:
        """Wait for it to end by itself. What it said."""
        assert self.process is not None
        assert self.process.wait(30) == 0, self.said()
        return self.said()

    def run(self, timeout: float = 20.0) -> str:
        self.start(timeout)
        return self.end()

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def written(self) -> list[str]:
        return self.out.read_text("utf-8", "surrogateescape").splitlines() if self.out.exists() else []

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not holds():
            assert time.monotonic() < deadline, f"it never came to that: {self.said()}"
            time.sleep(0.01)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path)
    yield service
    service.ours.close()
    service.theirs.close()
    if service.process is not None:
        with contextlib.suppress(ProcessLookupError):
            service.process.kill()
        service.process.wait()


def is_alive(pid: int) -> bool:
    """Whether it runs; one that has ended and that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# What is run


def test_events_in_order_and_for_each_the_hooks_in_order(service: Service) -> None:
    service.hook("20-second", 'echo "second $FAILOVERD_EVENT" >>"$OUT"')
    service.hook("10-first", 'echo "first $FAILOVERD_EVENT $FAILOVERD_FROM" >>"$OUT"')
    for word in ("joined", "failed-over", "released"):
        service.event(word, FROM="a b")
    said = service.run()
    words = [("joined", "a b"), ("failed-over", "a b"), ("released", "a b")]
    assert service.written() == [line for word, old in words for line in (f"first {word} {old}", f"second {word}")]
    assert f"{service.hooks}/10-first (joined): exit code 0 after 0." in said


def test_what_a_hook_finds(service: Service) -> None:
    """Its process group is its own; nothing of ours is open in it; odd bytes arrive as they are."""
    script = (
        'env | grep -c -e LISTEN_ -e NOTIFY_ >>"$OUT"; ls /proc/self/fd | tr "\\n" " " >>"$OUT"; echo >>"$OUT"\n'
        'readlink /proc/$$/fd/0 >>"$OUT"; cut -d" " -f5 /proc/$$/stat >>"$OUT"; echo $$ >>"$OUT"\n'
        'printf "%s\\n" "$FAILOVERD_TO" >>"$OUT"; grep SigIgn /proc/self/status >>"$OUT"'
    )
    service.hook("look", script)
    service.event(TO="en\udcff\u00fc")
    service.run()
    listening, fds, stdin, group, pid, name, ignored = service.written()
    assert listening == "0"
    assert fds.split() == ["0", "1", "2", "3"], "the last one is that of the directory"
    assert stdin == "/dev/null"
    assert group == pid
    assert name == "en\udcffü"
    assert int(ignored.split()[1], 16) & 1 << (signal.SIGPIPE - 1) == 0


def test_a_hook_that_is_there_later_is_run_too_and_one_that_is_gone_is_not(service: Service) -> None:
    service.start(idle=5)
    first = service.hook("first", 'echo first >>"$OUT"')
    service.event()
    service.until(lambda: service.written() == ["first"])
    first.unlink()
    service.hook("second", 'echo second >>"$OUT"')
    service.event()
    service.until(lambda: service.written() == ["first", "second"])


def test_without_a_directory_there_is_nothing_to_do(service: Service) -> None:
    service.hooks.rmdir()
    service.event()
    assert service.run() == ""


def test_files_that_are_no_hooks_are_named_once(service: Service) -> None:
    for name in ("10-x~", "10-x.dpkg-old", ".hidden", "a.sh", "ü"):
        service.hook(name, 'echo "$0" >>"$OUT"')
    service.hook("off", 'echo "$0" >>"$OUT"', mode=0o644)
    service.hook("writable", 'echo "$0" >>"$OUT"', mode=0o757)
    service.hook("by-group", 'echo "$0" >>"$OUT"', mode=0o775)
    (service.hooks / "directory").mkdir()
    (service.hooks / "dangling").symlink_to("nowhere")
    service.hook("good", 'echo good >>"$OUT"')
    (service.hooks / "link").symlink_to("good")
    service.event()
    service.event()
    said = service.run()
    assert service.written() == ["good"] * 4
    assert said.count("its name may have letters, digits, - and _ only") == 5
    assert said.count("off is not run: it is not executable (chmod +x)") == 1
    assert said.count("is not run: others than root may write to it (chmod go-w)") == 2
    assert said.count("directory is not run: it is no file") == 1
    assert said.count("dangling is not run: No such file or directory") == 1


def test_a_directory_others_can_write_to_has_no_hooks(service: Service) -> None:
    service.hook("good", 'echo good >>"$OUT"')
    service.hooks.chmod(0o777)
    service.event()
    assert f"no hook of {service.hooks} is run: others than root may write to it" in service.run()
    assert service.written() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_hook_of_somebody_else_is_not_run(service: Service) -> None:
    os.chown(service.hook("theirs", 'echo theirs >>"$OUT"'), 12345, 12345)
    service.event()
    assert "theirs is not run: it is not root's (chown root)" in service.run()
    assert service.written() == []


def test_a_directory_that_is_none(service: Service) -> None:
    service.hooks.rmdir()
    service.hooks.write_text("a file")
    service.event()
    assert f"no hook of {service.hooks} is run: Not a directory" in service.run()


# Hooks that are odd


def test_a_hook_that_fails_and_one_that_cannot_be_run_stop_nobody(service: Service) -> None:
    service.hook("10-fails", "exit 7")
    service.hook("20-dies", "kill -SEGV $$")
    (service.hooks / "30-no-interpreter").write_text("#!/no/such/thing\n")
    (service.hooks / "30-no-interpreter").chmod(0o755)
    service.hook("40-last", 'echo last >>"$OUT"')
    service.event()
    said = service.run()
    assert service.written() == ["last"]
    assert "10-fails (failover): exit code 7 after" in said
    assert "20-dies (failover): ended by SIGSEGV after" in said
    assert "30-no-interpreter (failover) cannot be run: No such file or directory; its first line has to name" in said


def test_a_hook_that_hangs_is_ended_with_its_children(service: Service) -> None:
    service.hook("10-hangs", 'sleep 600 & echo $! $$ >>"$OUT"; wait')
    service.hook("20-next", 'echo next >>"$OUT"')
    service.event()
    said = service.run(timeout=0.5)
    pids, last = service.written()
    assert last == "next"
    assert "10-hangs (failover): ended by SIGTERM, as 0.5 s were over after 0.5" in said
    service.until(lambda: not any(is_alive(int(pid)) for pid in pids.split()))


def test_a_hook_that_will_not_end_is_killed(service: Service) -> None:
    service.hook("10-stubborn", 'trap "" TERM; echo $$ >>"$OUT"; while :; do sleep 1; done')
    service.hook("20-next", 'echo next >>"$OUT"')
    service.event()
    said = service.run(timeout=0.3)
    pid, last = service.written()
    assert last == "next"
    assert "10-stubborn (failover): ended by SIGKILL, as 0.3 s were over after 5." in said
    assert not is_alive(int(pid))


def test_a_child_that_holds_the_output_holds_nobody_up(service: Service) -> None:
    service.hook("10-forks", 'sleep 600 & echo $! >>"$OUT"')
    service.hook("20-next", 'echo next >>"$OUT"')
    service.event()
    started = time.monotonic()
    assert "10-forks (failover): exit code 0" in service.run()
    assert time.monotonic() - started < 10
    pid, last = service.written()
    assert last == "next"
    os.kill(int(pid), signal.SIGKILL)


def test_a_megabyte_of_output_goes_where_ours_goes(service: Service) -> None:
    service.hook("loud", "head -c 1000000 /dev/zero | tr '\\0' x; head -c 100000 /dev/urandom >&2")
    service.event()
    service.run()
    assert service.log.read_bytes().count(b"x") >= 1_000_000
    assert b"loud (failover): exit code 0" in service.log.read_bytes()


# What comes in


def test_nothing_that_comes_in_ends_it(service: Service) -> None:
    service.hook("good", 'echo "$FAILOVERD_EVENT" >>"$OUT"')
    odd: list[object] = [
        b"",
        b"\xff",
        b"[" * 60_000,
        b"nonsense",
        [],
        7,
        "hook",
        {},
        {"hook": None},
        {"hook": ["FAILOVERD_EVENT"]},
        {"hook": {"PATH": "/tmp"}},
        {"hook": {"LD_PRELOAD": "/tmp/x.so"}},
        {"hook": {"FAILOVERD_EVENT": 1}},
        {"hook": {"FAILOVERD_EVENT": "a\0b"}},
        {"hook": {"FAILOVERD_EVENT": "\ud800"}},
        {"uevent": "lo"},
        {"uevent": "../../evil", "ifindex": 1},
        {"uevent": 7, "ifindex": 7},
        {"uevent": "", "ifindex": 7},
        {"uevent": "\ud800", "ifindex": 7},
        {"uevent": "a\0b", "ifindex": 7},
        {"uevent": "no-such-device0", "ifindex": 7},
    ]
    service.start(idle=3)
    for message in odd:
        service.send(message)
    service.event("last")
    said = service.end()
    assert service.written() == ["last"]
    assert said.count("passed over a message that is none of failoverd's") == len(odd) - 1


def test_what_waits_is_bounded_and_the_rest_is_left_in_the_socket(service: Service) -> None:
    """While a hook runs what comes is taken in, up to a bound; from there on the sender is told that it is full."""
    service.ours.setblocking(False)
    service.hook("10-slow", 'echo "$FAILOVERD_EVENT" >>"$OUT"; [ "$FAILOVERD_EVENT" != 0 ] || sleep 3')
    service.start()
    sent = 0
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        try:
            service.event(str(sent))
            sent += 1
        except BlockingIOError:
            time.sleep(0.01)
    assert 500 < sent < 1500
    service.until(lambda: len(service.written()) > 20)
    assert service.written()[:20] == [str(number) for number in range(20)]


def test_it_ends_only_when_nothing_has_come_for_a_while(service: Service) -> None:
    service.start(idle=0.6)
    for _ in range(4):
        time.sleep(0.3)
        service.send({"uevent": "no-such-device0", "ifindex": 7})
    assert service.process is not None
    assert service.process.poll() is None
    service.end()


@pytest.mark.parametrize("option", ["--timeout", "--idle"])
@pytest.mark.parametrize("text", ["nan", "-1", "0", "inf", "1e300", "soon", ""])
def test_what_is_no_time_is_refused(option: str, text: str) -> None:
    command = [sys.executable, "-c", MAIN, f"{option}={text}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    said = f"failoverd-hooks: {option}: {text!r} is no time; say seconds, more than 0 and at most 1000000"
    assert said in done.stderr


def test_it_is_not_to_be_run_by_hand() -> None:
    done = subprocess.run([sys.executable, "-c", MAIN], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "systemctl start failoverd-hooks.socket" in done.stderr


# Events for udev


@pytest.fixture
def net(tmp_path: Path) -> Path:
    device = tmp_path / "net" / "ens4"
    device.mkdir(parents=True)
    (device / "ifindex").write_text("7\n")
    (device / "uevent").write_text("")
    return tmp_path / "net"


def test_a_change_event_bears_an_id_and_says_whose_it_is(net: Path) -> None:
    change("ens4", 7, net)
    action, uuid, key = (net / "ens4" / "uevent").read_text().split(" ")
    assert (action, key) == ("change", "FAILOVERD=role")
    assert [len(part) for part in uuid.split("-")] == [8, 4, 4, 4, 12]


def test_a_device_that_has_the_name_by_now_is_left_alone(net: Path) -> None:
    change("ens4", 8, net)
    assert (net / "ens4" / "uevent").read_text() == ""
    change("ens5", 7, net)


def test_an_event_that_cannot_be_made_is_told_of(net: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (net / "ens4" / "uevent").unlink()
    (net / "ens4" / "uevent").mkdir()
    change("ens4", 7, net)
    assert capfd.readouterr().err == f"{net}/ens4/uevent: Is a directory; udev goes by the marks ens4 had before\n"


def test_any_byte_can_be_said(capfd: pytest.CaptureFixture[str]) -> None:
    say("en\udcff\ud800ü")
    assert capfd.readouterr().err == "en\\udcff\\ud800ü\n"


def test_what_is_said_is_one_line_whatever_was_sent(service: Service) -> None:
    """The socket is the service user's, and the log of what runs as root is not his to write."""
    service.hook("none", "").write_text("#!/nowhere\n")
    service.event("failover\nroot's hook: exit code 0\x1b[2J\u202e")
    service.send({"uevent": "a\nb/", "ifindex": 7})
    said = service.run().splitlines()
    assert len(said) == 2
    assert all(line.isprintable() for line in said)


def test_events_do_not_wait_for_a_hook(service: Service) -> None:
    """The device is none, but that it was looked for shows: what is no name is named at once."""
    service.hook("slow", 'echo started >>"$OUT"; sleep 3; echo ended >>"$OUT"')
    service.event()
    service.start()
    service.until(lambda: service.written() == ["started"])
    service.send({"uevent": "..", "ifindex": 7})
    service.until(lambda: "is no device" in service.said())
    assert service.written() == ["started"]


def test_it_starts_quickly_and_alone() -> None:
    """It is started by a failover, and many a machine has no hooks at all."""
    look = "import sys; from failoverd.cli import hooks; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"trio", "pyroute2", "subprocess", "asyncio", "dbus_next", "logging", "dataclasses"}
