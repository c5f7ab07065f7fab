from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from privatenet import private_net

from failoverd import __version__
from failoverd.cli import daemon
from failoverd.cli.daemon import main
from failoverd.config import load as load_module
from failoverd.config.errors import Problem
from failoverd.config.spec import Config
from failoverd.daemon import last_good_config as last_good_module
from failoverd.daemon.disk_writer import DiskWriter
from failoverd.daemon.last_good_config import LastGoodConfig
from failoverd.daemon.paths import Paths, StartError
from failoverd.model.requests import Rename
from failoverd.netlink.requests import write_request
from failoverd.netlink.transport import KernelSocket


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """The command line sets up logging for its process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_configuration_in_order(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "failoverd.toml"
    config.write_text("[failback]\nhold_down = 3\n")
    assert main(["--check-config", "--config", str(config)]) == 0
    assert capfd.readouterr() == ("the configuration is in order\n", "")


def test_what_the_service_could_not_read_is_not_in_order(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A drop-in that root has written with umask 077. With --config it is another daemon's file."""
    problem = Problem("/etc/failoverd/failoverd.toml.d/50-mine.toml", 0, "", "the service may not read it")
    monkeypatch.setattr(daemon, "unreadable", lambda: [problem])
    monkeypatch.setattr(load_module, "MAIN", tmp_path / "failoverd.toml")
    assert main(["--check-config"]) == 2
    out, err = capfd.readouterr()
    assert (out, err) == ("", f"failoverd: {problem}\n")
    (tmp_path / "mine.toml").touch()
    assert main(["--check-config", "--config", str(tmp_path / "mine.toml")]) == 0


@pytest.mark.parametrize("options", [["--check-config"], ["--dry-run"], []])
def test_a_configuration_with_mistakes(tmp_path: Path, capfd: pytest.CaptureFixture[str], options: list[str]) -> None:
    config = tmp_path / "failoverd.toml"
    config.write_text("[bond]\nmiimom = 3\n[log]\nlevel = 7\n")
    assert main([*options, "--config", str(config)]) == 2
    out, error = capfd.readouterr()
    assert out == ""
    assert f"{config}:2: [bond] miimom: no such key; did you mean miimon?" in error
    assert f"{config}:4: [log] level: " in error


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the command line has waited."""
    found: list[float] = []
    monkeypatch.setattr("time.sleep", found.append)
    return found


def begin(monkeypatch: pytest.MonkeyPatch, config: Path | None, kept: Path, is_service: bool = True) -> list[Config]:
    """Start with this file, and a copy of it where `kept` is; gives what the daemon is run with."""
    monkeypatch.setenv("STATE_DIRECTORY", str(kept))
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if is_service:
        monkeypatch.setenv("NOTIFY_SOCKET", "/no/such/socket")
    ran: list[Config] = []
    monkeypatch.setattr(daemon, "_run", lambda config, *_: ran.append(config) or 0)
    assert main([] if config is None else ["--config", str(config)]) == (0 if ran else 2)
    return ran


def keep(config: Path | None, kept: Path) -> None:
    last_good_config, disk_writer = LastGoodConfig(kept / "accepted.json", config), DiskWriter()
    last_good_config.load()
    last_good_config.keep(disk_writer)
    disk_writer.end()


def test_a_start_with_a_mistake_has_the_last_one_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], naps: list[float]
) -> None:
    config = tmp_path / "failoverd.toml"
    drop_in = tmp_path / "failoverd.toml.d" / "10.toml"
    drop_in.parent.mkdir()
    config.write_text("\ufeff# \u2026\r\n[failback]\nhold_down = 3\n")
    drop_in.write_text("[bond]\nmiimon = 50\n")
    keep(config, tmp_path)
    config.write_text("[failback]\nhold_down = -3\n")
    drop_in.write_text("[bond]\nmiimom = 50\n")
    (found,) = begin(monkeypatch, config, tmp_path)
    assert (found.failback.hold_down, found.bond.miimon, naps) == (3.0, 50, [])
    said = capfd.readouterr().err.splitlines()
    assert said[0].startswith(f"ERROR: the configuration has a mistake: {config}:2: [failback] hold_down: -3")
    assert said[1].startswith(f"ERROR: the configuration has a mistake: {drop_in}:2: [bond] miimom: no such key")
    assert said[2] == "ERROR: running with the last one without; put it right, then failoverctl reload"
    assert begin(monkeypatch, config, tmp_path, is_service=False) == []
    assert naps == [], "who names a file reads what is wrong with it"


def test_the_usual_files_have_their_copy_also_outside_of_a_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "failoverd.toml"
    for module in (load_module, last_good_module):
        monkeypatch.setattr(module, "MAIN", config)
    config.write_text("[failback]\nhold_down = 3\n")
    keep(None, tmp_path)
    config.write_text("[failback]\nhold_down = -3\n")
    (found,) = begin(monkeypatch, None, tmp_path, is_service=False)
    assert found.failback.hold_down == 3.0


@pytest.mark.parametrize("options", [["--check-config"], ["--dry-run"]])
def test_who_asks_about_a_configuration_is_told_of_that_one_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, naps: list[float], options: list[str]
) -> None:
    config = tmp_path / "failoverd.toml"
    config.touch()
    keep(config, tmp_path)
    config.write_text("[bond]\nmiimom = 3\n")
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("NOTIFY_SOCKET", "/no/such/socket")
    assert main([*options, "--config", str(config)]) == 2
    assert naps == []


GOOD = b'{"main": "MAIN", "documents": []}'


@pytest.mark.parametrize(
    ("content", "is_said"),
    [
        (None, False),
        (GOOD.replace(b"MAIN", b"/etc/other.toml"), False),
        (b"", True),
        (b"\xff", True),
        (b"[" * 50_000, True),
        (b"[]", True),
        (b"{}", True),
        (GOOD.replace(b"[]", b"[7]"), True),
        (GOOD.replace(b"[]", b'[["a.toml", "[bond"]]'), True),
        (GOOD.replace(b"[]", b'[["a.toml", "[bond]\\nmiimom = 3"]]'), True),
    ],
)
def test_a_service_without_a_copy_of_use_is_not_started_again_at_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    naps: list[float],
    content: bytes | None,
    is_said: bool,
) -> None:
    config = tmp_path / "failoverd.toml"
    config.write_text("[bond]\nmiimom = 3\n")
    if content is not None:
        (tmp_path / "accepted.json").write_bytes(content.replace(b"MAIN", bytes(config)))
    assert begin(monkeypatch, config, tmp_path) == []
    assert naps == [daemon.PAUSE]
    said = capfd.readouterr().err
    assert f"failoverd: {config}:2: [bond] miimom: no such key" in said
    assert ("accepted.json: not a configuration that can be used" in said) is is_said


@pytest.mark.parametrize("name", ["/", ".", ""])
def test_a_path_that_names_no_file(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--check-config", "--config", name]) == 2
    assert f"{name!r} names no file" in capfd.readouterr().err


def test_a_file_that_is_not_there(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--check-config", "--config", str(tmp_path / "none.toml")]) == 2
    assert "none.toml: cannot be read: No such file or directory; name another file" in capfd.readouterr().err


def test_version_and_help(capfd: pytest.CaptureFixture[str]) -> None:
    for option in ("--version", "--help"):
        assert main([option]) == 0
    out = capfd.readouterr().out
    assert f"failoverd {__version__}" in out
    assert "exit codes:\n  0  done\n  1  cannot run here\n  2  wrong usage or a wrong configuration\n" in out


@pytest.mark.parametrize(
    ("error", "code"), [(StartError("another failoverd holds the lock"), 1), (ValueError("of no use"), 3)]
)
@pytest.mark.parametrize(
    ("is_service", "short", "waits"), [(True, daemon.SHORT, True), (True, 0.0, False), (False, daemon.SHORT, False)]
)
def test_a_service_that_ends_at_once_is_not_started_again_at_once(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    naps: list[float],
    error: Exception,
    code: int,
    is_service: bool,
    short: float,
    waits: bool,
) -> None:
    """Each start costs lines in the journal and in the history. One that has lived comes back at once."""

    async def run(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(daemon, "run", run)
    monkeypatch.setattr(daemon, "SHORT", short)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if is_service:
        monkeypatch.setenv("NOTIFY_SOCKET", "/no/such/socket")
    config = tmp_path / "failoverd.toml"
    config.touch()
    assert main(["--config", str(config)]) == code
    assert naps == ([daemon.PAUSE] if waits else [])


@pytest.mark.parametrize("group", [False, True])
def test_a_reason_not_to_start_is_one_line_whatever_trio_wraps_it_in(
    group: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    error: Exception = StartError("/run/failoverd/lock: Permission denied; run it as root")
    if group:
        error = ExceptionGroup("trio", [ExceptionGroup("trio", [error])])
    assert daemon._broke_down(error) == 1
    assert capfd.readouterr().err == "failoverd: /run/failoverd/lock: Permission denied; run it as root\n"


@pytest.mark.parametrize("group", [False, True])
def test_any_other_end_is_told_with_its_trace_and_a_last_line(group: bool, capfd: pytest.CaptureFixture[str]) -> None:
    error: Exception = ValueError("of no use")
    if group:
        error = ExceptionGroup("trio", [error, OSError(5, "Input/output error")])
    daemon._log("info")
    assert daemon._broke_down(error) == 3
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith("failoverd: ended by ValueError: of no use")
    assert ("; OSError: [Errno 5] Input/output error. " in last) is group


def test_log_lines_are_lines_and_cannot_steer_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    daemon._log("info")
    logging.getLogger("failoverd").info("%s", "ens3\x1b[2J\nERROR: forged \udcff")
    assert capfd.readouterr().err == "INFO: ens3\\x1b[2J\\nERROR: forged \\udcff\n"


@pytest.mark.parametrize(
    ("environment", "runtime", "state"),
    [
        ({}, "/run/failoverd", "/var/lib/failoverd"),
        ({"RUNTIME_DIRECTORY": "/run/a:/run/b", "STATE_DIRECTORY": "/x"}, "/run/a", "/x"),
        ({"RUNTIME_DIRECTORY": "", "STATE_DIRECTORY": ":"}, "/run/failoverd", "/var/lib/failoverd"),
    ],
)
def test_where_files_are_kept(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], runtime: str, state: str
) -> None:
    for name in ("RUNTIME_DIRECTORY", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Paths.from_environment() == Paths(Path(runtime), Path(state))
    assert Paths.from_environment().control == Path(runtime) / "control"


@private_net
def test_a_dry_run_on_a_machine_without_nics() -> None:
    """In the child process of its own, where nobody minds what becomes of stdout."""
    from io import StringIO

    async def rename() -> None:
        sock = await KernelSocket.open()
        await sock.send(write_request(Rename(1, "\udcff\x1b[2J"), 1))
        await sock.recv()
        sock.close()

    trio.run(rename)
    sys.stdout = out = StringIO()
    assert main(["--dry-run"]) == 0
    assert out.getvalue().endswith("nothing to do\n")
    assert all(line.isprintable() for line in out.getvalue().splitlines())
