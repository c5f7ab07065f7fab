"""What failoverctl prints and ends with. What a real daemon answers is in test_ctl_process; here it is a fake."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from controlfake import Answer, Fake, error, master, ok, status

from failoverd.cli import ctl
from failoverd.cli.commands import COMMANDS, NO_DAEMON
from failoverd.cli.ctl import main
from failoverd.config import load, readable
from failoverd.config.errors import Problem

COMMAND = [sys.executable, "-c", "from failoverd.cli.ctl import main; raise SystemExit(main())"]

Start = Callable[[Answer], Fake]


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts something that answers at the control socket."""
    monkeypatch.setenv("FAILOVERD_CONTROL", str(tmp_path / "control"))
    with ExitStack() as stack:
        yield lambda answer: stack.enter_context(Fake(tmp_path / "control", answer))


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ([], 8),
        (["accelerated"], 0),
        (["accelerated", "released"], 0),
        (["accelerated", "on-standby"], 4),
        (["released", "joining"], 4),
        (["releasing"], 4),
        (["accelerated", "alone"], 4),
        (["released"], 8),
        (["on-standby", "degraded"], 5),
        (["accelerated", "levitating"], 5),
        ([None], 5),
    ],
)
def test_the_exit_code_tells_the_worst(daemon: Start, states: list[str], code: int) -> None:
    daemon(status(*(master(state) for state in states)))
    assert main(["status"]) == code


@pytest.mark.parametrize(("state", "code"), [("accelerated", 0), ("released", 4), ("on-standby", 4), ("degraded", 5)])
@pytest.mark.parametrize("word", ["lan0", "7", "52:54:00:AA:00:02", "ens8"])
def test_the_exit_code_of_one_master(
    daemon: Start, capsys: pytest.CaptureFixture[str], word: str, state: str, code: int
) -> None:
    slave = {"name": "ens8", "ifindex": 8}
    other = master(state, name="lan0", ifindex=7, mac="52:54:00:aa:00:02", primary=slave, standby=None)
    daemon(status(master("degraded"), other))
    assert main(["status", word]) == code
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["MASTER", "lan0"]


def test_a_master_by_its_alternative_name_which_only_the_daemon_knows(daemon: Start) -> None:
    fake = daemon(lambda asked: ok({"nics": [master()]}) if asked["call"] == "explain" else status(master()))
    assert main(["status", "enp1s0"]) == 0
    assert fake.asked[1] == {"call": "explain", "arguments": ["enp1s0"]}


@pytest.mark.parametrize("word", ["ens9", ""])
def test_a_nic_that_is_in_no_pair(daemon: Start, capsys: pytest.CaptureFixture[str], word: str) -> None:
    alone = {"name": "ens9", "mac": "52:54:00:00:00:09"}
    daemon(lambda asked: ok({"nics": [alone]}) if asked["call"] == "explain" else status(master()))
    assert main(["show", word]) == 1
    assert capsys.readouterr().err == f"failoverctl: {word!r} belongs to no pair; failoverctl explain says why\n"


def test_status_is_what_is_told_without_a_command(daemon: Start, capsys: pytest.CaptureFixture[str]) -> None:
    bare = master("degraded", active=None, primary=None, standby=None, reason="no slave can carry", name="\x1b7")
    drained = master(
        "on-standby", name="lan0", active="lan0nsby", reason="drained", drained=True, drain_ends=time.monotonic() + 12.4
    )
    fake = daemon(status(master(), bare, drained))
    assert main([]) == 5
    assert capsys.readouterr().out.splitlines() == [
        "MASTER  STATE        ACTIVE    PRIMARY  STANDBY   DATAPATH  MAC                WHY",
        "ens3    accelerated  ens4      ens4     ens3nsby  bond      52:54:00:00:00:01  -",
        "\\x1b7   degraded     -         -        -         bond      52:54:00:00:00:01  no slave can carry",
        "lan0    on-standby   lan0nsby  ens4     ens3nsby  bond      52:54:00:00:00:01  drained; ends in 12 s",
    ]
    assert fake.asked == [{"call": "status", "arguments": []}]


@pytest.mark.parametrize("words", [["--json"], ["--json", "status"], ["status", "--json"]])
def test_json_is_the_daemons_answer(daemon: Start, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    daemon(status(master(name="\udcff")))
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["masters"] == [master(name="\udcff")]


NICS = [
    {"name": "ens3", "ifindex": 5, "mac": "52:54:00:00:00:01", "driver": "bonding", "verdict": "ignored"},
    {"name": "ens4", "ifindex": 3, "mac": "52:54:00:00:00:01", "driver": "", "verdict": "paired", "reason": "with"},
    {"name": "ens9", "ifindex": 9, "mac": "52:54:00:00:00:09", "driver": "e1000e", "verdict": "alone", "reason": "."},
]


def test_list_has_every_nic_once(daemon: Start, capsys: pytest.CaptureFixture[str]) -> None:
    unfit = master(primary=master()["primary"] | {"fit": False}, active="ens3nsby")
    daemon(status(unfit, nics=NICS))
    assert main(["list"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "ens3      master   ens3  accelerated",
        "ens4      primary  ens3  unfit",
        "ens3nsby  standby  ens3  active",
        "ens9      -        -     alone",
    ]
    assert main(["list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["devices"][3] == {
        "name": "ens9",
        "ifindex": 9,
        "role": None,
        "master": None,
        "state": "alone",
    }


def test_show_says_it_in_words(daemon: Start, capsys: pytest.CaptureFixture[str]) -> None:
    last = {
        "from": "ens4",
        "to": "ens3nsby",
        "reason": "its carrier was lost",
        "monotonic": time.monotonic() - 300,
        "silence_seconds": 0.0004,
    }
    lost = master()["primary"] | {"carrier": False, "fit": False}
    daemon(status(master("on-standby", active="ens3nsby", primary=lost, failovers=1, last_failover=last)))
    assert main(["show", "ens4"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "ens3: on-standby",
        "  traffic    on ens3nsby",
        "  primary    ens4: mlx5_core at 0000:01:00.0, up, no carrier, MTU 1500, cannot carry",
        "  standby    ens3nsby: virtio_net at virtio0, up, carrier, MTU 1500",
        "  datapath   bond",
        "  MAC        52:54:00:00:00:01",
        "  MTU        1500",
        "  ifindex    5",
        "  failovers  1",
        "  last       5 min ago, ens4 -> ens3nsby, its carrier was lost, no slave carried for 0.4 ms",
    ]


def test_explain(daemon: Start, capsys: pytest.CaptureFixture[str]) -> None:
    fake = daemon(ok({"nics": [NICS[1]]}))
    assert main(["explain", "ens4"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "ens4  52:54:00:00:00:01  -       paired   with"
    assert fake.asked == [{"call": "explain", "arguments": ["ens4"]}]


def test_drain_says_what_is_true_now_and_when_it_ends(daemon: Start, capsys: pytest.CaptureFixture[str]) -> None:
    answer = {"mac": "52:54:00:00:00:01", "master": "ens3", "active": "ens3nsby", "drain_ends": time.monotonic() + 59.9}
    fake = daemon(ok(answer))
    assert main(["drain", "ens4", "--timeout", "60"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "ens3: traffic is on ens3nsby, and the neighbours have been told. The VF may be pulled now.",
        "The drain ends in 60 s, with the next VF that is plugged in, or by failoverctl undrain ens3.",
    ]
    assert fake.asked == [{"call": "drain", "arguments": ["ens4", "60"]}]
    fake.answer = ok(answer | {"drain_ends": None})
    assert main(["drain", "ens4"]) == 0
    assert "\nThe drain ends with the next VF that is plugged in, or" in capsys.readouterr().out
    assert fake.asked[1] == {"call": "drain", "arguments": ["ens4"]}


def test_a_drain_without_a_vf_promises_none(daemon: Start, capsys: pytest.CaptureFixture[str]) -> None:
    daemon(ok({"mac": "", "master": "ens3", "active": "ens3nsby", "drain_ends": None, "drained": False}))
    assert main(["drain", "ens3"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "ens3: traffic is on ens3nsby, and the neighbours have been told.",
        "There is no VF, so nothing is drained: the next one carries when it has been steady.",
    ]


MAC = {"mac": "52:54:00:00:00:01"}


@pytest.mark.parametrize(
    ("words", "document", "said"),
    [
        (["undrain", "ens3"], MAC | {"master": "ens3"}, "ens3: no longer drained; traffic goes back to the VF"),
        (["reset-damping", "ens3"], MAC | {"master": "ens3"}, "ens3: the VF's flaps are forgotten\n"),
        (["switch", "ens3", "ens4"], MAC | {"master": "ens3", "active": "ens4"}, "ens3: traffic is on ens4\n"),
        (["rename", "ens3", "lan0"], {"ifindex": 5, "old_name": "ens3", "new_name": "lan0"}, "ens3 is lan0 now\n"),
        (["rename", "ens3", "\x1b"], {"ifindex": 5, "old_name": "ens3", "new_name": "\x1b"}, "ens3 is \\x1b now\n"),
        (["reload"], {"changes": ["[bond] miimon: 100 -> 50"]}, "[bond] miimon: 100 -> 50\n"),
        (["reload"], {"changes": []}, "read; nothing has changed\n"),
        (["release", "ens3"], MAC, "release: under way for 52:54:00:00:00:01; failoverctl status tells"),
        (["adopt", "ens3"], MAC, "adopt: under way for 52:54:00:00:00:01; failoverctl status tells"),
    ],
)
def test_what_is_to_be_done(
    daemon: Start, capsys: pytest.CaptureFixture[str], words: list[str], document: dict[str, Any], said: str
) -> None:
    fake = daemon(ok(document))
    assert main(words) == 0
    assert capsys.readouterr().out.startswith(said)
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == document
    assert main([*words, "-q"]) == 0
    assert capsys.readouterr() == ("", "")
    assert fake.asked == [{"call": words[0], "arguments": words[1:]}] * 3


@pytest.mark.parametrize(("kind", "code"), [("NoSuchPair", 1), ("AccessDenied", 6), ("TimedOut", 7), ("Unheard", 1)])
def test_a_refusal(daemon: Start, capsys: pytest.CaptureFixture[str], kind: str, code: int) -> None:
    daemon(error("'\x1b]' belongs\nto no pair", kind))
    assert main(["-q", "adopt", "\x1b]"]) == code
    assert capsys.readouterr() == ("", "failoverctl: '\\x1b]' belongs\nto no pair\n")


@pytest.mark.parametrize(
    ("words", "document"),
    [
        (["status"], {}),
        (["status"], {"masters": 7}),
        (["list"], {"masters": [7], "version": "9"}),
        (["explain"], {"nics": None}),
    ],
)
def test_an_answer_without_what_was_asked_for(
    daemon: Start, capsys: pytest.CaptureFixture[str], words: list[str], document: Any
) -> None:
    daemon(ok(document))
    assert main(words) == 3
    assert "is not of this failoverctl's release; systemctl restart failoverd" in capsys.readouterr().err


def test_an_answer_with_less_and_with_other_things_than_known(
    daemon: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = {"name": 7, "state": "levitating", "primary": "ens4", "standby": {"fit": []}, "drained": {}, "new": [1]}
    daemon(status(odd, {}, nics=[{}, {"verdict": "adored"}]))
    assert main(["status"]) == 5
    assert main(["list"]) == 0
    assert main(["show", "7"]) == 0
    out = capsys.readouterr().out
    assert "7       levitating  -       -        -        -         -    -\n" in out
    assert "-  -        -  adored\n" in out
    assert "  standby  : down, no carrier, MTU , cannot carry\n" in out


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: failoverctl {command}")
    for words, what in COMMANDS[command].examples:
        assert f"  failoverctl {words} " in out
        assert what in out
    assert "\n  3  no failoverd answers" in out


def test_what_status_ends_with_is_told_of_status_alone(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        assert main([command, "--help"]) == 0
        told = capsys.readouterr().out.partition("exit codes:")[2]
        assert ("on its VF" in told) == ("\n  8  there is no pair" in told) == (command == "status")
    assert main(["--help"]) == 0
    told = capsys.readouterr().out.partition("exit codes:")[2]
    assert "  0  the call was carried out; status: every master is on its VF\n" in told
    assert "  8  status: there is no pair" in told


def test_the_general_help_and_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-h"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {command}" in out for command in COMMANDS)
    assert "failoverctl drain ens3" in out
    assert main(["--version", "status"]) == 0
    assert capsys.readouterr().out.startswith("failoverctl 0.")


def test_each_command_is_carried_out() -> None:
    assert {*ctl.RUN, *ctl.ASIDE} == set(COMMANDS)


@pytest.mark.parametrize("path", ["/", "", "/dev/zero", "/etc/passwd/x", "x" * 5000])
def test_check_config_of_what_is_no_file(capsys: pytest.CaptureFixture[str], path: str) -> None:
    assert main(["check-config", path]) == 1
    assert capsys.readouterr().err.startswith(f"failoverctl: {path or '.'}: ")


@pytest.mark.parametrize("answer", [b"{x\n", b'{"ok": {"a', b"[1,\n", b'{"ok": {"masters": "\n'])
def test_an_answer_that_was_cut_is_a_sentence(daemon: Start, answer: bytes) -> None:
    """In an interpreter that has loaded what failoverctl loads, and no more."""
    daemon(answer)
    found = run("status", capture_output=True)
    assert found.returncode == NO_DAEMON
    assert b" answered what is no answer: " in found.stderr
    assert found.stderr.count(b"\n") == 1


@pytest.mark.parametrize("changes", [5, {"a": 1}, "text", None])
def test_a_reload_that_tells_of_no_list(daemon: Start, changes: Any, capsys: pytest.CaptureFixture[str]) -> None:
    daemon(ok({"changes": changes}))
    assert main(["reload"]) == 0
    assert capsys.readouterr().out == "read; nothing has changed\n"


def test_check_config_needs_no_daemon(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text("[failback]\nhold_down = 2\n")
    bad.write_text("[failback]\nhold_down = -1\n[bond]\nmiimom = 3\n")
    assert main(["check-config", str(good)]) == 0
    assert capsys.readouterr() == ("the configuration is in order\n", "")
    assert main(["check-config", str(bad)]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 2)
    assert f"{bad}:4: [bond] miimom: no such key" in err
    assert main(["check-config", "--json", str(bad)]) == 1
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert [(row["line"], row["subject"]) for row in problems] == [(2, "[failback] hold_down"), (4, "[bond] miimom")]
    assert main(["check-config", str(tmp_path / "none.toml")]) == 1
    assert "none.toml" in capsys.readouterr().err
    problem = Problem(str(good), 0, "", "the service may not read it")
    monkeypatch.setattr(readable, "unreadable", lambda: [problem])
    monkeypatch.setattr(load, "MAIN", good)
    assert main(["check-config"]) == 1
    assert capsys.readouterr().err == f"failoverctl: {good}: the service may not read it\n"
    assert main(["check-config", str(good)]) == 0


def run(*words: str, **more: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*COMMAND, *words], timeout=20, check=False, **more)


def test_colour_is_for_terminals(daemon: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon(status(master()))
    monkeypatch.delenv("NO_COLOR", raising=False)

    def on_terminal(*words: str, **environment: str) -> bytes:
        ours, theirs = pty.openpty()
        try:
            run(*words, stdout=theirs, stderr=theirs, env=os.environ | {"TERM": "xterm"} | environment)
            return os.read(ours, 1 << 16)
        finally:
            os.close(ours)
            os.close(theirs)

    green = b"\x1b[32maccelerated\x1b[0m  ens4"
    assert green in on_terminal()
    for words, environment in (
        ([], {"NO_COLOR": "1"}),
        ([], {"TERM": "dumb"}),
        (["--color=never"], {}),
        (["--color", "never"], {}),
        (["--json"], {}),
    ):
        assert b"\x1b" not in on_terminal(*words, **environment)
    assert b"\x1b" not in run(stdout=subprocess.PIPE).stdout
    for words in ([], ["list"], ["show", "ens3"]):
        assert b"\x1b[32m" in run("--color=always", *words, stdout=subprocess.PIPE).stdout


def test_it_needs_no_environment_and_no_terminal(daemon: Start, tmp_path: Path) -> None:
    """As the guest agent calls it. A locale without the characters of a name is no reason to fail, either."""
    fake = daemon(ok({"mac": "", "master": "ens日", "active": "x", "drain_ends": None}))
    bare = {"FAILOVERD_CONTROL": os.environ["FAILOVERD_CONTROL"], "PYTHONPATH": str(Path.cwd())}
    for more in ({}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}):
        done = run("drain", "ens日", env=bare | more, stdin=subprocess.DEVNULL, capture_output=True, cwd="/")
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.startswith((b"ens\\u65e5: traffic is on x", "ens日: traffic is on x".encode()))
    assert fake.asked == [{"call": "drain", "arguments": ["ens日"]}] * 2
    assert run("drain", os.fsdecode(b"\xff"), env=bare, stdout=subprocess.DEVNULL).returncode == 0
    assert fake.asked[2]["arguments"] == ["\udcff"]


def test_without_standard_streams(daemon: Start) -> None:
    daemon(status(master("on-standby")))
    closed = ["/bin/sh", "-c", '"$@" <&- >&- 2>&-', "sh", *COMMAND]
    assert subprocess.run([*closed, "status"], timeout=20, check=False).returncode == 4
    assert subprocess.run([*closed, "bogus"], timeout=20, check=False).returncode == 2


def test_output_that_nobody_takes(daemon: Start) -> None:
    """What was to be read was not read: 1. What was to be done is done: 0. A closed pipe is no failure."""
    fake = daemon(status(master()))
    with Path("/dev/full").open("wb") as full:
        done = run(stdout=full, stderr=subprocess.PIPE)
        assert (done.returncode, done.stderr) == (
            1,
            b"failoverctl: cannot write the output: No space left on device\n",
        )
        fake.answer = ok({"master": "ens3", "active": "ens3nsby", "drain_ends": None})
        assert run("drain", "ens3", stdout=full, stderr=full).returncode == 0
    reader, writer = os.pipe()
    os.close(reader)
    fake.answer = status(master("on-standby"))
    try:
        done = run(stdout=writer, stderr=subprocess.PIPE)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (4, b"")


def test_nothing_is_imported_that_a_call_does_not_need(daemon: Start) -> None:
    """Starting is most of a call's time, and these are most of starting."""
    daemon(status(master()))
    code = (
        "import sys; before = set(sys.modules); from failoverd.cli.ctl import main; main([]); main(['--json']);"
        "print(*(name for name in set(sys.modules) - before if not name.startswith('failoverd')), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-IS", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
        timeout=20,
        capture_output=True,
    )
    heavy = {"argparse", "collections", "contextlib", "dataclasses", "enum", "json", "re", "socket", "typing"}
    assert done.stderr
    assert not heavy & set(done.stderr.decode().split())
