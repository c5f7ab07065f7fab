"""`failoverctl interfaces` and `interface-xml`: what they ask, print and end with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from controlfake import Answer, Fake, error, ok

from failoverd.cli.ctl import main
from failoverd.cli.interfacewatch import by_ifindex, changes

INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from failoverd.cli.ctl import main
raise SystemExit(main())
"""
"""Where the tests run in the background, an interrupt is ignored, and so it would be here."""
COMMAND = [sys.executable, "-c", "from failoverd.cli.ctl import main; raise SystemExit(main())"]
ROWS = [["-dash", False, ""], ["eth0", True, "52:54:00:00:00:01"], ["x\udcff\x1b", True, "52:54:00:00:00:01"]]

Start = Callable[[Answer], Fake]


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts something that answers at the control socket."""
    monkeypatch.setenv("FAILOVERD_CONTROL", str(tmp_path / "control"))
    with ExitStack() as stack:
        yield lambda answer: stack.enter_context(Fake(tmp_path / "control", answer))


def interfaces(rows: list[Any], sure: bool = True, generation: int = 5) -> bytes:
    return ok({"generation": generation, "sure": sure, "interfaces": rows})


def documents(*texts: str, refused: list[str] | None = None, sure: bool = True) -> bytes:
    return ok({"generation": 5, "sure": sure, "documents": texts, "refused": refused or []})


def run(*words: str, **more: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*COMMAND, *words], timeout=20, check=False, capture_output=True, **more)


def test_a_table_in_virshs_three_columns(daemon: Start, capfd: pytest.CaptureFixture[str]) -> None:
    daemon(interfaces(ROWS))
    assert main(["interfaces"]) == 0
    assert capfd.readouterr().out == (
        " Name          State      MAC Address\n"
        "----------------------------------------------\n"
        " -dash         inactive   -\n"
        " eth0          active     52:54:00:00:00:01\n"
        " x\\udcff\\x1b   active     52:54:00:00:00:01\n"
    )


def test_a_machine_without_any(daemon: Start, capfd: pytest.CaptureFixture[str]) -> None:
    daemon(interfaces([]))
    assert main(["interfaces", "--active"]) == 0
    assert capfd.readouterr().out.startswith(" Name   State      MAC Address\n---")


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["interfaces"], ["interfaces", "table", "all"]),
        (["interfaces", "--active"], ["interfaces", "table", "active"]),
        (["interfaces", "--inactive"], ["interfaces", "table", "inactive"]),
        (["interfaces", "--inactive", "--active"], ["interfaces", "table", "all"]),
        (["--json", "interfaces", "--active"], ["interfaces", "json", "active"]),
    ],
)
def test_what_is_asked(daemon: Start, words: list[str], asked: list[str]) -> None:
    fake = daemon(interfaces([]))
    assert main(words) == 0
    assert [[row["call"], *row["arguments"]] for row in fake.asked] == [asked]


def test_the_json_is_the_daemons_own(daemon: Start) -> None:
    daemon(b'{"ok": {"interfaces":  [{"name": "x\\udcff"}]}}\n')
    assert run("interfaces", "--json").stdout == b'{"interfaces":  [{"name": "x\\udcff"}]}\n'
    assert run("interfaces", "--json", "--quiet").stdout == b""


@pytest.mark.parametrize("words", [["interfaces"], ["interfaces", "--json"], ["interface-xml", "--all"]])
def test_a_refusal_and_what_is_no_answer(daemon: Start, words: list[str]) -> None:
    fake = daemon(error("no interfaces today"))
    done = run(*words)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"failoverctl: no interfaces today\n")
    for garbage in (b"\n", b"{}\n", b'{"ok": {"in\n', b'{"ok": []}\n'):
        fake.answer = garbage
        if garbage != b'{"ok": []}\n' or "--json" not in words:
            assert run(*words).returncode == 3, garbage


def test_what_may_be_missing_is_owned_up_to(daemon: Start) -> None:
    fake = daemon(interfaces(ROWS, sure=False))
    done = run("interfaces")
    assert (done.returncode, b"may not be all there is" in done.stderr, b"eth0" in done.stdout) == (0, True, True)
    fake.answer = documents("<interface/>\n", sure=False)
    assert b"may not be all there is" in run("interface-xml", "eth0").stderr


def test_documents_of_those_that_are_named(daemon: Start) -> None:
    fake = daemon(documents("<interface name='é'/>\n", refused=["there is no interface 'x'"]))
    done = run("interface-xml", "é", "--", "-dash", "--all", env=os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0"})
    assert done.stdout == "<interface name='é'/>\n".encode()
    assert (done.returncode, done.stderr) == (1, b"failoverctl: there is no interface 'x'\n")
    assert fake.asked == [{"call": "interface-xml", "arguments": ["é", "-dash", "--all"]}]
    assert json.loads(run("interface-xml", "é", "--json").stdout)["documents"] == ["<interface name='é'/>\n"]


def test_every_document_in_one(daemon: Start) -> None:
    fake = daemon(documents("<interface>\n  <mtu/>\n</interface>\n", "<interface/>\n"))
    done = run("interface-xml", "--all")
    assert done.stdout == (b"<interfaces>\n  <interface>\n    <mtu/>\n  </interface>\n  <interface/>\n</interfaces>\n")
    assert done.returncode == 0
    assert fake.asked == [{"call": "every-interface-xml", "arguments": []}]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["interface-xml"], "interface-xml wants NAME or --all"),
        (["interface-xml", "--all", "eth0"], "interface-xml wants NAME or --all"),
        (["interfaces", "--watch", "-q"], "--watch has nothing to do with --quiet"),
        (["interfaces", "eth0"], "interfaces has no use for 'eth0'"),
    ],
)
def test_wrong_usage(words: list[str], why: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert why in capfd.readouterr().err


def row(ifindex: int, name: str, **more: Any) -> dict[str, Any]:
    """A row as far as a watch looks at it."""
    return {
        "ifindex": ifindex,
        "name": name,
        "active": True,
        "state": "up",
        "carrier": True,
        "mac": "52:54:00:00:00:01",
        "mtu": 1500,
        "master": None,
        "ipv4": [],
        "ipv6": [],
        "gateway4": None,
        "gateway6": None,
        **more,
    }


def told(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> list[str]:
    return [words for _, words, _ in changes(by_ifindex({"interfaces": before}), by_ifindex({"interfaces": now}))]


def test_each_change_in_words() -> None:
    before = [row(2, "eth0"), row(3, "eth1")]
    assert told(before, before) == []
    assert told(before, [row(2, "lan0"), row(4, "eth1", active=False)]) == [
        "eth1: gone",
        "eth0: name eth0 -> lan0",
        "eth1: new, inactive",
    ]
    now = row(
        2,
        "eth0",
        active=False,
        carrier=False,
        master="br0",
        ipv4=[{"address": "10.0.0.2", "prefix": 24}, {"address": "10.0.0.3", "prefix": 32}],
        gateway4="10.0.0.1",
    )
    (words,) = told(before[:1], [now])
    assert words == (
        "eth0: active -> inactive, carrier yes -> no, master none -> br0, ipv4 none -> 10.0.0.2/24 10.0.0.3/32, "
        "gateway4 none -> 10.0.0.1"
    )


@pytest.mark.parametrize("as_json", [False, True])
def test_a_watch_tells_what_is_and_what_changes(daemon: Start, tmp_path: Path, as_json: bool) -> None:
    first, later = interfaces([row(2, "eth0")]), interfaces([row(2, "eth0", mtu=9000)], generation=6)
    unchanged = ok({"generation": 5, "sure": True, "unchanged": True})
    answers = [first, unchanged, error("not now"), error("not now"), later]

    def answer(_request: dict[str, Any]) -> bytes:
        return answers.pop(0) if len(answers) > 1 else answers[0]

    fake = daemon(answer)
    with (tmp_path / "out").open("wb") as out:
        words = ["interfaces", "--watch", *(["--json"] if as_json else [])]
        process = subprocess.Popen([sys.executable, "-c", INTERRUPTIBLE, *words], stdout=out)
    deadline = time.monotonic() + 20
    while "9000" not in (tmp_path / "out").read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(2)
    assert process.wait(20) in (0, 130)
    lines = (tmp_path / "out").read_text().splitlines()
    if as_json:
        events = [json.loads(line) for line in lines]
        assert [one["event"] for one in events] == ["interface", "no-daemon", "changed"]
        assert events[2]["interface"]["mtu"] == 9000
    else:
        assert lines[2] == " eth0   active     52:54:00:00:00:01"
        assert [line.partition(" ")[2] for line in lines[3:]] == ["not now", "eth0: mtu 1500 -> 9000"]
    assert [one["arguments"] for one in fake.asked[:3]] == [["json", "all"], *([["json", "all", "5"]] * 2)]


def test_a_watch_without_a_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAILOVERD_CONTROL", str(tmp_path / "nothing"))
    assert main(["interfaces", "--watch"]) == 3


def test_five_thousand_rows_take_no_import_that_a_call_does_not_need(daemon: Start) -> None:
    daemon(interfaces([[f"veth{number}", True, "52:54:00:00:00:01"] for number in range(5000)]))
    code = (
        "import sys; before = set(sys.modules); from failoverd.cli.ctl import main; main(['interfaces']);"
        "print(*(name for name in set(sys.modules) - before if not name.startswith('failoverd')), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-IS", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
        timeout=20,
        capture_output=True,
        check=False,
    )
    heavy = {"argparse", "collections", "contextlib", "dataclasses", "enum", "json", "re", "socket", "typing"}
    assert done.stdout.count(b"\n") == 5002
    assert done.stderr
    assert not heavy & set(done.stderr.decode().split())
