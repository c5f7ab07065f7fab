"""`failoverctl links`, against a daemon that answers as it is told."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from controlfake import Answer, Fake, error, ok
from linksfake import ABSENT, CONTAINER, HOST, STORAGE, WAITING, counters, document

from failoverd.cli.arguments import UsageError, parse
from failoverd.cli.commands import COMMANDS as OUTER
from failoverd.cli.commands import CTL
from failoverd.cli.ctl import main
from failoverd.cli.links import run, wait
from failoverd.cli.links.graph import ASCII, drawn, graph_of
from failoverd.cli.links.show import explained
from failoverd.cli.links.table import COMMANDS, LINKS
from failoverd.cli.links.watch import changes
from failoverd.core.link_facts import COUNTERS, LINK
from failoverd.model.linkstatus import LinkState, LinkStatus

COMMAND = [sys.executable, "-c", "from failoverd.cli.ctl import main; raise SystemExit(main())", "links"]
NS = "{http://www.w3.org/2000/svg}"
LAB = replace(HOST, name="lab", device="lab", namespace="name red", peer="lab.peer")
LAB_PEER = replace(HOST, name="lab.peer", device="lab0", namespace="name blue", peer="lab")
ABOVE = LinkStatus(
    "above",
    "macvlan",
    "mv0",
    "own",
    LinkState.PENDING,
    "lower-absent",
    "the link web-host waits",
    lower="link:web-host",
)

POD = LinkStatus(
    "cni-1-2",
    "ipvlan",
    "net1",
    "path /run/netns/web",
    LinkState.READY,
    lower="link:vlan7",
    source="attached for default/web",
    owner="default/web",
    network="tenant7",
)

Start = Callable[[Answer], Fake]


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts something that answers at the control socket."""
    monkeypatch.setenv("FAILOVERD_CONTROL", str(tmp_path / "control"))
    with ExitStack() as stack:
        yield lambda answer: stack.enter_context(Fake(tmp_path / "control", answer))


def telling(*rows: LinkStatus) -> Callable[[dict[str, Any]], bytes]:
    """Answers `links` as the daemon does."""

    def answer(asked: dict[str, Any]) -> bytes:
        name = (asked["arguments"] or [""])[0]
        found = [row for row in rows if name in ("", row.name)]
        return ok(document(*found)) if found or not name else error(f"no link {name!r} is declared", "NoSuchLink")

    return answer


def after(state: LinkState, reason: str = "", detail: str = "") -> LinkStatus:
    return replace(HOST, state=state, reason=reason, detail=detail)


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ([], 8),
        ([LinkState.READY], 0),
        ([LinkState.READY, LinkState.RELEASED], 0),
        ([LinkState.READY, LinkState.PENDING], 4),
        ([LinkState.MAKING, LinkState.REMOVING], 4),
        ([LinkState.PENDING, LinkState.DEGRADED], 5),
        ([LinkState.CONFLICT], 5),
        ([LinkState.FAILED], 5),
    ],
)
def test_the_exit_code_tells_the_worst(daemon: Start, states: list[LinkState], code: int) -> None:
    daemon(telling(*(replace(HOST, name=f"l{i}", state=state) for i, state in enumerate(states))))
    assert main(["links"]) == code
    assert main(["links", "list", "-q"]) == code


def test_a_state_that_is_not_known_here_is_not_good(daemon: Start) -> None:
    daemon(ok({"links": [{"name": "x", "state": "levitating"}]}))
    assert main(["links"]) == 5


def test_how_it_stands_with_etcd_is_the_last_line(daemon: Start, capsys: pytest.CaptureFixture[str]) -> None:
    contact = {"connected": True, "since": time.time() - 300, "endpoint": "http://etcd1:2379", "revision": 17}
    daemon(ok({"links": [], "etcd": contact}))
    assert main(["links"]) == 8
    assert capsys.readouterr().out.splitlines()[1:] == [
        "etcd: connected to http://etcd1:2379 for 5 min, revision 17",
    ]


def test_how_it_does_not_stand_with_etcd(daemon: Start, capsys: pytest.CaptureFixture[str]) -> None:
    away = {"connected": False, "since": 0, "trouble": "http://etcd1:2379: it does not answer"}
    daemon(ok({"links": [], "etcd": away}))
    assert main(["links"]) == 8
    assert capsys.readouterr().out.splitlines()[1:] == [
        "etcd: not connected; what it declared last stays in force: http://etcd1:2379: it does not answer",
    ]


def test_the_table(daemon: Start, capsys: pytest.CaptureFixture[str]) -> None:
    daemon(telling(STORAGE, ABSENT, HOST))
    assert main(["links"]) == 5
    assert capsys.readouterr().out.splitlines() == [
        "LINK      KIND  DEVICE    NAMESPACE                 STATE    WHY",
        "storage   vlan  ens3.120  name storage              failed   the kernel refused it: Operation not supported",
        "web-ct    veth  eth1      container label:role=web  pending  no container has the label role=web; start one",
        "web-host  veth  web0      own                       ready    -",
    ]


def test_pods_are_told_with_their_links(daemon: Start, capsys: pytest.CaptureFixture[str]) -> None:
    daemon(telling(POD, HOST))
    assert main(["links"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "LINK      KIND    DEVICE  NAMESPACE            STATE  POD          WHY",
        "cni-1-2   ipvlan  net1    path /run/netns/web  ready  default/web  -",
        "web-host  veth    web0    own                  ready  -            -",
    ]
    assert main(["links", "show", "cni-1-2"]) == 0
    assert "  pod        default/web (tenant7)\n" in capsys.readouterr().out
    assert main(["links", "graph"]) == 0
    assert "on link:vlan7, for default/web (tenant7)" in capsys.readouterr().out
    assert main(["links", "graph", "--svg", "-"]) == 0
    assert "net1  (default/web (tenant7))" in capsys.readouterr().out
    waits = replace(POD, state=LinkState.PENDING, reason="master-absent", detail="no master", network="")
    assert explained([LINK.of(waits)], [LINK.of(waits)], False) == [
        "cni-1-2: pending, net1 in the namespace /run/netns/web for default/web: no master (master-absent)"
    ]


def test_some_of_them_in_the_order_of_the_words(daemon: Start, capsys: pytest.CaptureFixture[str]) -> None:
    daemon(telling(STORAGE, ABSENT, HOST))
    assert main(["links", "list", "web-host", "web-ct"]) == 4
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["LINK", "web-host", "web-ct"]
    assert main(["links", "list", "web-host", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["links"] == [LINK.of(HOST)]
    assert main(["links", "list", "web-host", "nine"]) == 1
    assert "no link 'nine' is declared" in capsys.readouterr().err


def test_where_nothing_is_declared(daemon: Start, capsys: pytest.CaptureFixture[str]) -> None:
    daemon(telling())
    for words in (["list"], ["explain"], ["graph"]):
        main(["links", *words])
        assert capsys.readouterr().out.startswith("no link is declared; [link.NAME]")


def test_json_options_stand_anywhere(daemon: Start, capsys: pytest.CaptureFixture[str]) -> None:
    daemon(telling(HOST))
    for words in (["--json", "links"], ["links", "--json"], ["links", "list", "--json"], ["links", "--json", "list"]):
        assert main(words) == 0
        assert json.loads(capsys.readouterr().out)["links"][0]["name"] == "web-host"


def test_show_says_it_in_words(
    daemon: Start, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: STORAGE.since + 7)
    fake = daemon(telling(STORAGE, replace(CONTAINER, made=2)))
    assert main(["links", "show", "storage"]) == 0
    out = capsys.readouterr().out
    assert fake.asked == [{"call": "links", "arguments": ["storage"]}]
    assert out.startswith("storage: failed\n  why        the kernel refused it: Operation not supported\n")
    assert "  reason     kernel-refused\n" in out
    assert ", 7 s ago\n" in out
    assert "  device     ens3.120 in the namespace storage\n" in out
    assert "  stands on  master:ens3\n" in out
    assert "  attempts   3 times in vain, again in 3 s\n" in out
    assert "  repaired   once\n" in out
    assert "made" not in out
    assert main(["links", "show", "web-ct"]) == 0
    out = capsys.readouterr().out
    assert "  other end  web-host\n" in out
    assert "  declared   /etc/failoverd/failoverd.toml.d/60-links.toml:9\n" in out
    assert "  made       2 times\n" in out
    assert "attempts" not in out


def test_show_of_a_row_with_less_and_other_things_than_known(daemon: Start, capsys: pytest.CaptureFixture[str]) -> None:
    daemon(ok({"links": [{"name": "x\x1b[2J", "since": float("nan"), "made": "often", "attempts": None}]}))
    assert main(["links", "show", "x"]) == 0
    assert capsys.readouterr().out == "x\\x1b[2J: -\n"


def test_explain_follows_what_a_link_waits_for(daemon: Start, capsys: pytest.CaptureFixture[str]) -> None:
    daemon(telling(ABOVE, STORAGE, ABSENT, WAITING))
    assert main(["links", "explain", "above"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line[: len(line) - len(line.lstrip())] + line.split()[0] for line in out] == [
        "above:",
        "  web-host:",
        "    web-ct:",
    ]
    assert out[2].endswith(": no container has the label role=web; start one (container-absent)")
    assert main(["links", "explain", "web-ct"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1, "it waits for its container, not for its other end"


def test_explain_names_each_once_that_is_not_ready(daemon: Start, capsys: pytest.CaptureFixture[str]) -> None:
    daemon(telling(LAB, LAB_PEER, STORAGE, ABSENT, WAITING))
    assert main(["links", "explain"]) == 0
    out = capsys.readouterr().out
    assert [line.split(":")[0] for line in out.splitlines()] == [
        "storage",
        "  tried 3 times in vain, again in 0 s",
        "web-host",
        "  web-ct",
    ]
    assert main(["links", "explain", "--json"]) == 0
    found = {row["name"]: row["needs"] for row in json.loads(capsys.readouterr().out)["links"]}
    assert found == {"storage": [], "web-ct": [], "web-host": ["web-ct"]}


def test_ends_that_wait_for_each_other_are_named_once(daemon: Start, capsys: pytest.CaptureFixture[str]) -> None:
    one = replace(HOST, state=LinkState.PENDING, reason="peer-conflict", detail="its other end web-ct is in conflict")
    other = replace(CONTAINER, state=LinkState.PENDING, reason="peer-conflict", detail="its other end is in conflict")
    daemon(telling(other, one))
    assert main(["links", "explain", "web-host"]) == 0
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == ["web-host", "  web-ct"]


def test_everything_is_ready(daemon: Start, capsys: pytest.CaptureFixture[str]) -> None:
    daemon(telling(HOST))
    assert main(["links", "explain"]) == 0
    assert capsys.readouterr().out == "every link is ready\n"


def test_resync_and_release(daemon: Start, capsys: pytest.CaptureFixture[str]) -> None:
    released = {"name": "web-ct", "device": "eth1", "namespace": "name red"}
    fake = daemon(lambda asked: ok(released if asked["call"] == "links-release" else {"names": ["a", "b"]}))
    assert main(["links", "resync"]) == 0
    assert capsys.readouterr().out.startswith("2 links: looked at again")
    assert main(["links", "resync", "web-ct"]) == 0
    assert capsys.readouterr().out.startswith("web-ct: looked at again")
    assert main(["links", "release", "web-ct"]) == 0
    assert "web-ct: released; eth1 in the namespace red stays" in capsys.readouterr().out
    assert [(one["call"], one["arguments"]) for one in fake.asked] == [
        ("links-resync", []),
        ("links-resync", ["web-ct"]),
        ("links-release", ["web-ct"]),
    ]


@pytest.mark.parametrize(("kind", "code"), [("AccessDenied", 6), ("NoSuchLink", 1)])
def test_a_refusal(daemon: Start, capsys: pytest.CaptureFixture[str], kind: str, code: int) -> None:
    daemon(error("not this one", kind))
    assert main(["links", "release", "web-ct"]) == code
    assert capsys.readouterr().err == "failoverctl: not this one\n"


def test_counters(daemon: Start, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"name": "web-ct", "device": "eth1", "namespace": "name red", **counters(3)}
    fake = daemon(ok({"statistics": [row]}))
    assert main(["links", "stats", "web-ct"]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.split()[:5] == ["LINK", "DEVICE", "NAMESPACE", "RX", "BYTES"]
    assert line.split() == ["web-ct", "eth1", "name", "red", *(str(3000 + i) for i in range(len(COUNTERS)))]
    fake.answer = ok({"statistics": []})
    assert main(["links", "stats"]) == 0
    assert capsys.readouterr().out == "no declared link has a device\n"


def test_without_a_daemon(daemon: Start, capfd: pytest.CaptureFixture[str]) -> None:
    for words in (["list"], ["show", "x"], ["wait", "x"], ["watch"], ["graph"], ["stats"]):
        assert main(["links", *words]) == 3
        assert "no failoverd answers at" in capfd.readouterr().err


class Turn:
    """An answer that changes after some questions."""

    def __init__(self, *answers: tuple[int, Callable[[dict[str, Any]], bytes]]) -> None:
        self.answers = list(answers)

    def __call__(self, asked: dict[str, Any]) -> bytes:
        number, answer = self.answers[0]
        if len(self.answers) > 1:
            if number <= 1:
                self.answers.pop(0)
            else:
                self.answers[0] = number - 1, answer
        return answer(asked)


def numbered(generation: int, *rows: LinkStatus) -> Callable[[dict[str, Any]], bytes]:
    """Answers as the daemon does: to a client that knows this generation, that alone."""

    def answer(asked: dict[str, Any]) -> bytes:
        if asked["arguments"][1:] == [str(generation)]:
            return ok({"generation": generation})
        return ok(document(*rows, generation=generation))

    return answer


def test_wait_ends_when_all_are_ready(daemon: Start, capsys: pytest.CaptureFixture[str]) -> None:
    fake = daemon(
        Turn((3, numbered(1, ABSENT, WAITING)), (2, numbered(2, CONTAINER, WAITING)), (9, numbered(3, CONTAINER, HOST)))
    )
    assert main(["links", "wait", "web-host", "web-ct"]) == 0
    assert capsys.readouterr().out == "web-host: ready\nweb-ct: ready\n"
    assert [one["arguments"] for one in fake.asked] == [["", ""], ["", "1"], ["", "1"], ["", "1"], ["", "2"], ["", "2"]]


def test_wait_has_its_time(daemon: Start, capsys: pytest.CaptureFixture[str]) -> None:
    daemon(numbered(1, ABSENT, HOST))
    begun = time.monotonic()
    assert main(["links", "wait", "web-host", "web-ct", "--timeout", "0.3"]) == 7
    assert 0.3 <= time.monotonic() - begun < 5
    out, err = capsys.readouterr()
    assert (out, err) == ("web-ct: pending: no container has the label role=web; start one\n", "")
    assert main(["links", "wait", "web-ct", "--timeout=0", "--json"]) == 7
    assert json.loads(capsys.readouterr().out) == {"ready": False, "links": [LINK.of(ABSENT)]}
    assert main(["links", "wait", "web-host", "--timeout", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ready"] is True


def test_wait_for_what_is_not_declared(
    daemon: Start, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wait, "GRACE", 0.2)
    daemon(numbered(1, HOST))
    assert main(["links", "wait", "web-host", "nine"]) == 1
    assert capsys.readouterr().err.startswith("failoverctl: no link 'nine' is declared")


def test_wait_goes_on_over_a_restart(daemon: Start, capsys: pytest.CaptureFixture[str]) -> None:
    """A daemon that has just started knows of no link for a moment."""
    daemon(Turn((1, numbered(1, ABSENT)), (1, lambda _: b""), (2, numbered(8)), (9, numbered(9, CONTAINER))))
    assert main(["links", "wait", "web-ct"]) == 0
    assert capsys.readouterr().out == "web-ct: ready\n"


def test_wait_tells_a_terminal_what_takes_long(daemon: Start) -> None:
    fake = daemon(numbered(1, ABSENT))
    leader, follower = pty.openpty()
    with subprocess.Popen([*COMMAND, "wait", "web-ct"], stderr=follower, stdout=subprocess.PIPE) as process:
        os.close(follower)
        said = b""
        while b"start one" not in said:
            assert select.select([leader], [], [], 20)[0]
            said += os.read(leader, 1 << 12)
        assert said.startswith(b"\r\x1b[?7lwaiting for web-ct: pending: no container has the label")
        fake.answer = numbered(2, CONTAINER)
        assert process.communicate(timeout=20)[0] == b"web-ct: ready\n"
    assert process.returncode == 0
    assert os.read(leader, 1 << 12).endswith(b"\r\x1b[K")
    os.close(leader)


def test_each_change_in_words() -> None:
    rows = {row.name: LINK.of(row) for row in (CONTAINER, HOST)}
    later = {
        "web-ct": LINK.of(replace(ABSENT, made=2)),
        "storage": LINK.of(STORAGE),
    }
    assert [(event, words) for event, words, _ in changes(rows, later)] == [
        ("gone", "web-host: no longer declared"),
        (
            "changed",
            "web-ct: ready -> pending: no container has the label role=web; start one, ifindex 4 -> 0",
        ),
        (
            "link",
            "storage: failed: the kernel refused it: Operation not supported, ens3.120 in the namespace storage",
        ),
    ]
    one, other = LINK.of(ABSENT), LINK.of(replace(ABSENT, detail="another reason"))
    assert [words for _, words, _ in changes({"web-ct": one}, {"web-ct": other})] == ["web-ct: another reason"]
    assert list(changes({"web-ct": one}, {"web-ct": one | {"since": 5.0}})) == []
    amiss, fine = LINK.of(replace(HOST, detail="a stray address")), LINK.of(HOST)
    assert [words for _, words, _ in changes({"x": amiss}, {"x": fine})] == ["x: nothing is amiss any more"]


@pytest.mark.parametrize("as_json", [False, True])
def test_a_watch_tells_what_is_and_what_changes(daemon: Start, as_json: bool) -> None:
    fake = daemon(numbered(1, ABSENT))
    with subprocess.Popen([*COMMAND, "watch", *(["--json"] if as_json else [])], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            first = process.stdout.readline().decode()
            fake.answer = lambda _asked: b""
            away = process.stdout.readline().decode()
            fake.answer = numbered(2, CONTAINER)
            back = process.stdout.readline().decode()
            changed = process.stdout.readline().decode()
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    assert fake.asked[1]["arguments"] == ["", "1"]
    if as_json:
        found = [json.loads(line) for line in (first, away, back, changed)]
        assert [one["event"] for one in found] == ["link", "no-daemon", "daemon", "changed"]
        assert [one["link"] and one["link"]["state"] for one in found] == ["pending", None, None, "ready"]
    else:
        assert first.endswith(
            "web-ct: pending: no container has the label role=web; start one, eth1 in the container label:role=web\n"
        )
        assert " answered nothing" in away
        assert changed.endswith("web-ct: pending -> ready, ifindex 0 -> 4\n")


def test_a_watch_of_nothing_ends_with_its_reader(daemon: Start) -> None:
    daemon(numbered(1))
    with subprocess.Popen([*COMMAND, "watch"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert b"no link is declared" in process.stdout.readline()
        process.stdout.close()
        assert process.wait(20) == 0


GRAPH = """\
┌─ failoverd's own namespace
│  ens3      master:ens3  failover master  ready
│  br0       switch       bridge           ready    ── port link:web-host  ── port device:eth7
│  mv0       above        macvlan          pending  └─ on link:web-host
│  web0      web-host     veth             pending  ── eth1 (web-ct, container label:role=web)  └─ in br0 (switch)
└
┌─ container label:role=web
│  eth1      web-ct       veth             pending  ── web0 (web-host, failoverd's own namespace)
└
┌─ namespace blue
│  lab0      lab.peer     veth             ready    ── lab (lab, namespace red)
└
┌─ namespace red
│  lab       lab          veth             ready    ── lab0 (lab.peer, namespace blue)
└
┌─ namespace storage
│  ens3.120  storage      vlan             failed   └─ on master:ens3
└
what waits for what
  above: the link web-host waits (lower-absent)
  └─ web-host: pending
  storage: the kernel refused it: Operation not supported (kernel-refused)
  web-ct: no container has the label role=web; start one (container-absent)
  web-host: its other end web-ct waits: no container has the label role=web; start one (container-absent)
  └─ web-ct: pending
"""
SWITCH = LinkStatus(
    "switch", "bridge", "br0", "own", LinkState.READY, ports=("link:web-host", "device:eth7"), ifindex=9
)
ROWS = (SWITCH, ABOVE, LAB, LAB_PEER, STORAGE, ABSENT, WAITING)


def test_the_graph_as_text(daemon: Start) -> None:
    daemon(telling(*ROWS))
    done = subprocess.run(
        [*COMMAND, "graph"], stdout=subprocess.PIPE, env=os.environ | {"PYTHONIOENCODING": "utf-8"}, check=True
    )
    assert done.stdout.decode() == GRAPH
    done = subprocess.run(
        [*COMMAND, "graph"], stdout=subprocess.PIPE, env=os.environ | {"PYTHONIOENCODING": "ascii"}, check=True
    )
    assert done.stdout.decode("ascii").splitlines()[0] == "+- failoverd's own namespace"


def test_the_graph_for_programs(daemon: Start, capsys: pytest.CaptureFixture[str]) -> None:
    daemon(telling(*ROWS))
    assert main(["links", "graph", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["namespaces"]) == ["own", "container label:role=web", "name blue", "name red", "name storage"]
    assert found["wires"] == [["lab.peer", "lab"], ["web-host", "web-ct"]]
    assert found["stands_on"] == {"above": "link:web-host", "storage": "master:ens3"}
    assert found["masters"] == ["master:ens3"]
    assert found["ports"] == {"switch": ["link:web-host", "device:eth7"]}
    assert found["waits"]["web-host"]["for"] == ["web-ct"]


def test_two_ends_that_do_not_name_each_other_are_no_wire() -> None:
    rows = [LINK.of(HOST), LINK.of(replace(CONTAINER, peer="other")), LINK.of(replace(STORAGE, lower="link:storage"))]
    found = graph_of(rows)
    assert found.wires == []
    assert found.waits[0][1] == []


def test_the_picture(daemon: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    daemon(telling(*ROWS, replace(HOST, name="ugly", device="<&\x1b", peer="")))
    assert main(["links", "graph", "--svg", str(tmp_path / "links.svg")]) == 0
    assert main(["links", "graph", "--svg", "-"]) == 0
    text = (tmp_path / "links.svg").read_text()
    assert capsys.readouterr().out == text
    root = ElementTree.fromstring(text)
    boxes = root.findall(f"{NS}rect[@class='space']")
    wires = root.findall(f"{NS}path[@class='wire']")
    broken = root.findall(f"{NS}path[@class='wire broken']")
    assert (len(boxes), len(wires), len(broken)) == (5, 1, 4)
    tips = [element.text for element in root.findall(f"{NS}g/{NS}title")]
    assert len(tips) == 9
    assert "web-ct: pending: no container has the label role=web; start one" in tips
    assert [one.get("class") for one in root.findall(f"{NS}g/{NS}rect")].count("waits") == 3
    height, width = float(root.get("height", 0)), float(root.get("width", 0))
    for box in root.iter(f"{NS}rect"):
        x, y = float(box.get("x", 0)), float(box.get("y", 0))
        assert x + float(box.get("width", 0)) <= width
        assert y + float(box.get("height", 0)) <= height
    words = [element.text for element in root.iter(f"{NS}text")]
    assert "storage: the kernel refused it: Operation not supported" in words


def test_a_master_that_is_not_joined_waits_and_has_a_place_of_its_own() -> None:
    row = LINK.of(replace(STORAGE, reason="master-absent", detail="no failover master ens3 is joined"))
    found = graph_of([row])
    assert {place: [one["name"] for one in rows] for place, rows in found.namespaces.items()} == {
        "own": ["master:ens3"],
        "name storage": ["storage"],
    }
    assert found.masters[0]["state"] == "pending"
    # A daemon of an earlier release tells of no ports.
    del row["ports"]
    assert graph_of([row]).ports == []


def test_a_picture_that_cannot_be_written(daemon: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    daemon(telling(HOST))
    assert main(["links", "graph", "--svg", str(tmp_path / "no" / "links.svg")]) == 1
    assert "the picture was not written" in capsys.readouterr().err


DECLARED = """\
[link.web-host]
kind = "veth"
peer = "web-ct"
device = "web0"

[link.storage]
kind = "vlan"
lower = "master:ens3"
id = 120
namespace = { name = "storage" }
"""


def test_check_needs_no_daemon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "links.toml"
    file.write_text(DECLARED)
    assert main(["links", "check", str(file)]) == 0
    head, storage, host, missing = capsys.readouterr().out.splitlines()
    assert head.startswith("LINK ")
    assert re.split(r"\s{2,}", storage) == ["storage", "vlan", "storage", "name storage", "master:ens3", f"{file}:6"]
    assert re.split(r"\s{2,}", host) == ["web-host", "veth", "web0", "own", "web-ct", f"{file}:1"]
    assert missing == "[link.web-ct] is not in it; its other end waits for it"
    assert main(["links", "check", str(file), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["problems"], found["missing"]) == ([], ["web-ct"])
    assert found["links"][0]["namespace"] == "name storage"


def test_check_names_every_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "links.toml"
    file.write_text(DECLARED.replace("id = 120", "id = 5000").replace('peer = "web-ct"', 'peeer = "web-ct"'))
    assert main(["links", "check", str(file)]) == 1
    err = capsys.readouterr().err
    assert f"{file}:3" in err
    assert f"{file}:9" in err
    assert main(["links", "check", str(file), "--json"]) == 1
    assert [problem["line"] for problem in json.loads(capsys.readouterr().out)["problems"]] == [3, 9]
    file.write_text("")
    assert main(["links", "check", str(file)]) == 0
    assert capsys.readouterr().out == "the file is in order, and declares no link\n"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["foo"], "there is no command 'foo'"),
        (["wiat", "x"], "did you mean wait?"),
        (["wait"], "wait wants NAME"),
        (["--dry-run", "show", "a"], "there is no option --dry-run to show"),
        (["--frob"], "there is no option --frob before the command"),
        (["show", "a", "b"], "show has no use for 'b'"),
        (["wait", "a", "--timeout", "soon"], "--timeout: 'soon' is no number of seconds"),
        (["watch", "-q"], "watch has nothing to do with --quiet"),
        (["graph", "--json", "--svg", "x"], "--svg is a picture"),
        (["list", "--svg", "x"], "there is no option --svg to list"),
    ],
)
def test_wrong_usage(words: list[str], why: str, capsys: pytest.CaptureFixture[str], daemon: Start) -> None:
    assert main(["links", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert why in err
    assert "\nusage: failoverctl links" in err


def test_every_command_is_carried_out_and_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert {*run.RUN, *run.ASIDE} == set(COMMANDS)
    for name, command in COMMANDS.items():
        assert main(["links", name, "--help"]) == 0
        out = capsys.readouterr().out
        assert out.startswith(f"usage: failoverctl links {name}")
        for words, what in command.examples:
            assert f"  failoverctl links {words} " in out
            assert what in out
            parse(LINKS, words.split(" | ")[0].split())
    assert [words.removeprefix("links ") for words, _ in OUTER["links"].examples] == [one for one, _ in LINKS.examples]


def test_the_words_behind_links_are_its_own() -> None:
    wanted = parse(CTL, ["--json", "links", "wait", "--timeout", "3", "--", "-x"])
    assert (wanted.command, wanted.arguments) == ("links", ["wait", "--timeout", "3", "--", "-x"])
    assert dict(wanted.options) == {"--json": ""}
    with pytest.raises(UsageError):
        parse(CTL, ["status", "--timeout", "3"])


def test_other_commands_load_nothing_of_it(daemon: Start) -> None:
    daemon(ok({"masters": [], "nics": []}))
    code = "import sys; from failoverd.cli.ctl import main; main(['list']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "failoverd.cli.ctl" in done.stdout
    assert not {"failoverd.cli.links", "failoverd.core.link_facts", "failoverd.drawing"} & set(done.stdout.split())


def test_colours_are_the_states(daemon: Start, capsys: pytest.CaptureFixture[str]) -> None:
    daemon(telling(HOST))
    for words in (["list"], ["show", "web-host"], ["graph"]):
        assert main(["links", *words, "--color=always"]) == 0
        assert "\x1b[32mready\x1b[0m" in capsys.readouterr().out
    assert any("\x1b[33mpending" in line for line in drawn(graph_of([LINK.of(ABSENT)]), ASCII, True))
