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
from failoverd.daemon.places import Places, StartError
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


@pytest.mark.parametrize("options", [["--check-config"], ["--dry-run"], []])
def test_a_configuration_with_mistakes(tmp_path: Path, capfd: pytest.CaptureFixture[str], options: list[str]) -> None:
    config = tmp_path / "failoverd.toml"
    config.write_text("[bond]\nmiimom = 3\n[log]\nlevel = 7\n")
    assert main([*options, "--config", str(config)]) == 2
    out, error = capfd.readouterr()
    assert out == ""
    assert f"{config}:2: [bond] miimom: no such key; did you mean miimon?" in error
    assert f"{config}:4: [log] level: " in error


@pytest.mark.parametrize("name", ["/", ".", ""])
def test_a_path_that_names_no_file(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--check-config", "--config", name])
    assert caught.value.code == 2
    assert f"{name!r} names no file" in capfd.readouterr().err


def test_a_file_that_is_not_there(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--check-config", "--config", str(tmp_path / "none.toml")]) == 2
    assert "none.toml: cannot be read: No such file or directory; name another file" in capfd.readouterr().err


def test_version_and_help(capfd: pytest.CaptureFixture[str]) -> None:
    for option in ("--version", "--help"):
        with pytest.raises(SystemExit) as caught:
            main([option])
        assert caught.value.code == 0
    out = capfd.readouterr().out
    assert f"failoverd {__version__}" in out
    assert "exit codes: 0 done, 1 cannot run here, 2 wrong usage" in out


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
    assert Places.from_environment() == Places(Path(runtime), Path(state))
    assert Places.from_environment().control == Path(runtime) / "control"


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
