"""The CNI plugin as a client of failoverd: what it asks, and how it takes answers, refusals and silence."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from controlfake import Fake, error, master, ok, status
from standin import netconf

from failoverd_cni import attach, control, main
from failoverd_cni.attach import Attachment, key
from failoverd_cni.control import NoDaemonError, ask
from failoverd_cni.errors import CniError
from failoverd_cni.netconf import Netconf
from failoverd_cni.netlink import Link
from failoverd_cni.pod import Pod
from failoverd_cni.variables import Variables

VARIABLES = {
    "CNI_COMMAND": "ADD",
    "CNI_CONTAINERID": "0123456789ABCDEF",
    "CNI_NETNS": "/run/netns/web",
    "CNI_IFNAME": "net1",
}
Start = Callable[[Any], Fake]


class EmptyPod(Pod):
    """A pod in which nothing ever is."""

    def __init__(self) -> None:
        pass

    def link(self, name: str) -> Link | None:
        return None


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control"


@pytest.fixture
def daemon(path: Path) -> Iterator[Start]:
    """Starts something that answers at the control socket."""
    started: list[Fake] = []

    def start(answer: Any) -> Fake:
        started.append(Fake(path, answer))
        return started[-1]

    yield start
    for fake in started:
        fake.__exit__(None, None, None)


def attachment(path: Path, variables: dict[str, str] | None = None, **keys: Any) -> Attachment:
    usual = {"linkInContainer": None, "vlanId": 7, "failover": "ens3", "control": str(path), "ipam": None}
    conf = Netconf(json.dumps(netconf(**(usual | keys))), "ADD")
    return Attachment(conf.vlans[0], Variables(VARIABLES | (variables or {})), conf)


def serving(row: dict[str, Any] | bytes, *masters: dict[str, Any]) -> Callable[[dict[str, Any]], bytes]:
    """Answers as failoverd with this link would, or with this refusal of `attach`."""

    def answer(request: dict[str, Any]) -> bytes:
        if request["call"] == "status":
            return status(*(masters or (master(),)))
        if isinstance(row, bytes):
            return row
        return ok(row if request["call"] == "attach" else {"links": [row]})

    return answer


def refused(path: Path, **keys: Any) -> CniError:
    with pytest.raises(CniError) as caught:
        attachment(path, **keys).make(EmptyPod())
    return caught.value


@pytest.mark.parametrize(
    ("keys", "declared"),
    [
        ({}, {"kind": "vlan", "id": 7, "protocol": "802.1Q"}),
        ({"protocol": "802.1ad", "mtu": 1400}, {"kind": "vlan", "id": 7, "protocol": "802.1ad", "mtu": 1400}),
        ({"attach": "ipvlan", "mode": "l3", "vlanId": None}, {"kind": "ipvlan", "mode": "l3"}),
        ({"attach": "ipvlan"}, {"kind": "ipvlan", "vlan": {"id": 7, "protocol": "802.1Q"}}),
        (
            {"attach": "macvlan", "vlanId": None, "mac": "02:00:00:00:00:09"},
            {"kind": "macvlan", "mac": "02:00:00:00:00:09"},
        ),
    ],
)
def test_what_is_declared(
    path: Path, daemon: Start, keys: dict[str, Any], declared: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attach, "PENDING", 0.0)
    fake = daemon(serving({"state": "pending", "detail": "wait"}))
    args = {"CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web"}
    with pytest.raises(CniError):
        attachment(path, args, **keys).make(EmptyPod())
    name, document = fake.asked[1]["arguments"]
    assert name == key("net", VARIABLES["CNI_CONTAINERID"], "net1")
    assert json.loads(document) == {
        "lower": "master:52:54:00:00:00:01",
        "namespace": {"path": "/run/netns/web"},
        "device": "net1",
        "owner": {"pod": "default/web", "container": "0123456789ABCDEF", "network": "net"},
        **declared,
    }


def test_names_for_the_daemon_are_short_and_differ() -> None:
    names = {key(net, pod, dev) for net in ("a", "b") for pod in ("C" * 200, "c1") for dev in ("net1", "net2")}
    assert len(names) == 8
    assert max(map(len, names)) <= 63
    assert all(name == name.lower() for name in names)


@pytest.mark.parametrize(
    ("row", "code", "words"),
    [
        ({"state": "pending", "detail": "no failover master ens3 is joined"}, 11, "(pending): no failover master ens3"),
        ({"state": "making", "detail": ""}, 11, "(making): no reason is given"),
        ({"state": "conflict", "detail": "net1 is the name of"}, 999, "(conflict): net1 is the name of"),
        ({"state": "failed", "detail": "this kernel has no vlan"}, 999, "(failed): this kernel has no vlan"),
        ({"state": "degraded", "reason": "fought"}, 999, "(degraded)"),
        ({"state": "ready"}, 11, "(ready)"),
        ({"state": "degraded", "reason": "no-carrier"}, 999, "(degraded)"),
        (error("VLAN 7 of ens3 is another's", "InUse"), 11, "net1: failoverd: VLAN 7 of ens3 is another's"),
        (error("[link.x] mtu: too large", "BadArgument"), 7, "net1: failoverd: [link.x] mtu: too large"),
        (error("no room", "Failed"), 999, "net1: failoverd: no room"),
    ],
)
def test_what_is_not_made_has_a_code_and_the_daemons_words(
    path: Path,
    daemon: Start,
    row: dict[str, Any] | bytes,
    code: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attach, "PATIENCE", 0.05)
    monkeypatch.setattr(attach, "PENDING", 0.05)
    daemon(serving(row))
    found = refused(path)
    assert (found.code, words in found.msg) == (code, True), found.msg


def test_one_that_the_daemon_has_forgotten(path: Path, daemon: Start) -> None:
    answers = {"status": status(master()), "attach": ok({"state": "making"})}
    daemon(lambda request: answers.get(request["call"], error("no link", "NoSuchLink")))
    assert (refused(path).code, "has forgotten it" in refused(path).msg) == (11, True)


@pytest.mark.parametrize(
    ("failover", "masters", "code", "words"),
    [
        ("ens9", [master()], 11, 'failover "ens9": failoverd has no such pair; there are: ens3'),
        ("auto", [], 11, "there are: none"),
        ("auto", [master(), master(name="ens5", mac="02:00:00:00:00:05")], 7, "is 2 masters (ens3, ens5); name one"),
    ],
)
def test_a_master_that_is_not_one(
    path: Path, daemon: Start, failover: str, masters: list[dict[str, Any]], code: int, words: str
) -> None:
    daemon(status(*masters))
    found = refused(path, failover=failover)
    assert (found.code, words in found.msg) == (code, True), found.msg


@pytest.mark.parametrize("failover", ["ens3", "ens4", "ens3nsby", "52:54:00:00:00:01", "auto"])
def test_the_words_for_a_master(path: Path, daemon: Start, failover: str) -> None:
    daemon(status(master()))
    vlan = Netconf(json.dumps(netconf(linkInContainer=None, failover=failover)), "ADD").vlans[0]
    assert attach.master(str(path), vlan) == "52:54:00:00:00:01"


def test_a_daemon_that_has_no_room_is_asked_again(path: Path, daemon: Start) -> None:
    left = [error("too many clients at once; try again", "Busy")] * 3
    fake = daemon(lambda _: left.pop() if left else ok({"x": 1}))
    assert ask(str(path), "status") == {"x": 1}
    assert len(fake.asked) == 4


def test_a_daemon_that_never_has_room(path: Path, daemon: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "PATIENCE", 0.1)
    daemon(error("too many clients", "Busy"))
    with pytest.raises(NoDaemonError, match="too many clients") as caught:
        ask(str(path), "status")
    assert caught.value.may_run


def test_silence_is_waited_for_as_long_as_it_says(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "PATIENCE", 0.1)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        with pytest.raises(NoDaemonError, match=r"does not answer at .* for 0\.1 s") as caught:
            ask(str(path), "status")
    assert caught.value.may_run
    found = refused(path)
    assert (found.code, "no failoverd answers" in found.msg) == (50, True)


@pytest.mark.parametrize("line", [b"", b"{\n", b"[]\n", b"3\n", b'{"ok": 3}\n', b'{"error": {}}\n', b"\xff\n"])
def test_what_is_no_answer(path: Path, daemon: Start, line: bytes) -> None:
    daemon(line)
    with pytest.raises(NoDaemonError, match="answered what is no answer of failoverd's"):
        ask(str(path), "status")


def test_del_without_a_daemon_leaves_a_note_where_there_is_something_to_detach(tmp_path: Path, path: Path) -> None:
    conf = netconf(linkInContainer=None, failover="ens3", control=str(path), ipam=None)
    done = {"CNI_COMMAND": "DEL", "CNI_NETNS": ""}
    assert main.run(VARIABLES | done, json.dumps(conf)) == (0, "")
    assert not (tmp_path / "cni").exists(), "nothing was attached"
    name = key("net", VARIABLES["CNI_CONTAINERID"], "net1")
    (tmp_path / "attachments").mkdir()
    (tmp_path / "attachments" / name).touch()
    for _ in range(2):
        assert main.run(VARIABLES | done, json.dumps(conf)) == (0, "")
    assert [path.name for path in (tmp_path / "cni").iterdir()] == [name]


def test_a_note_follows_no_link(tmp_path: Path, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "cni").symlink_to(tmp_path / "elsewhere")
    assert not attach.note(str(path), "x", may_run=True)
    assert not list((tmp_path / "elsewhere").iterdir())
    assert "cni/x: " in capsys.readouterr().err
    assert not attach.note(str(tmp_path / "no" / "control"), "x", may_run=True)


def test_del_where_the_daemon_refuses_is_an_error(path: Path, daemon: Start) -> None:
    daemon(error("it cannot be removed: Read-only file system"))
    conf = netconf(linkInContainer=None, failover="ens3", control=str(path), ipam=None)
    code, answer = main.run(VARIABLES | {"CNI_COMMAND": "DEL", "CNI_NETNS": ""}, json.dumps(conf))
    assert (code, json.loads(answer)["code"]) == (1, 999)
    assert "net1: detach: it cannot be removed" in json.loads(answer)["msg"]
