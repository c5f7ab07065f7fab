"""One failoverd in a network namespace."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trio
from daemonprocess import PATIENCE, Daemon, places
from privatenet import private_net

from failoverd.daemon.onlyone import BACKLOG, only_one, say_who_we_are
from failoverd.daemon.paths import StartError

NO_MAC = 65534


@pytest.fixture
def name(tmp_path: Path) -> str:
    """A name of this test's own: the namespace is the machine's."""
    return f"\0failoverd-test-{tmp_path}"


@pytest.fixture
def squatter(name: str) -> Iterator[None]:
    """A process of another user that has taken the name."""
    ready, go = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            os.setuid(NO_MAC)
            with socket.socket(socket.AF_UNIX) as sock:
                sock.bind(name)
                sock.listen(BACKLOG)
                go.sendall(b"x")
                go.recv(1)
        os._exit(0)
    ready.recv(1)
    yield
    ready.sendall(b"x")
    os.waitpid(pid, 0)
    ready.close()
    go.close()


@private_net
def test_a_second_daemon_with_directories_of_its_own_says_which_is_there_and_ends(tmp_path: Path) -> None:
    for which in "ab":
        (tmp_path / which).mkdir()
    command = [sys.executable, "-m", "failoverd"]
    environment = os.environ | places(tmp_path / "b")
    with Daemon(tmp_path / "a", into=()) as daemon:
        daemon.hears("READY=1")
        for _ in range(2):
            found = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
            )
            assert found.returncode == 1
            assert found.stderr == (
                f"failoverd: another failoverd (pid {daemon.process.pid}) runs in this network namespace; stop it "
                "first (systemctl stop failoverd)\n"
            )
        assert not (tmp_path / "b" / "run").exists(), "it has touched nothing"
        looked = subprocess.run(
            [*command, "--dry-run"], env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert (looked.returncode, looked.stderr) == (0, "")
        assert daemon.process.poll() is None
        daemon.process.kill()
        daemon.process.wait()
    with Daemon(tmp_path / "b", into=()) as daemon:
        daemon.hears("READY=1")
        assert daemon.end() == 0


def test_who_has_the_name_is_told_however_many_ask(name: str) -> None:
    async def main() -> None:
        with only_one(name) as sock:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(say_who_we_are, sock)
                for _ in range(BACKLOG * 3):
                    with pytest.raises(StartError, match=rf"another failoverd \(pid {os.getpid()}\)"):
                        await trio.to_thread.run_sync(only_one, name)
                nursery.cancel_scope.cancel()

    trio.run(main)
    only_one(name).close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_users_process_keeps_nobody_out(name: str, squatter: None, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        with only_one(name) as sock:
            assert sock.getsockname() in ("", b"")
            await say_who_we_are(sock)

    trio.run(main)
    assert f"of user {NO_MAC} has the name that failoverd has here, and is no failoverd; passed over" in caplog.text


def test_one_that_does_not_answer_keeps_nobody_out(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is bound and does not listen: nothing says who it is."""
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(name)
        only_one(name).close()
    assert "some process has the name" in caplog.text


def test_a_system_that_does_not_let_us_have_a_name(caplog: pytest.LogCaptureFixture) -> None:
    only_one("/proc/failoverd").close()
    assert "cannot see whether another failoverd is here: " in caplog.text
