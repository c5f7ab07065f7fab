"""The calls about declared links, by what the daemon answers."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from linksfake import ABSENT, CONTAINER, HOST, STORAGE, FakeLinks, counters
from pairdriver import Driver
from toykernel import MAC, ToyKernel

from failoverd.core.call_answers import CallError
from failoverd.core.calls import CALLS
from failoverd.core.link_facts import ETCD, LINK
from failoverd.core.state import State
from failoverd.daemon import control
from failoverd.daemon.linkcalls import CALLED, LinkCalls
from failoverd.model.etcdcontact import EtcdContact
from failoverd.model.events import AdoptAsked, AwaySaid
from failoverd.model.linkstatus import LinkStatus


def asked(calls: LinkCalls, *words: str) -> dict[str, Any]:
    call, *arguments = words
    return trio.run(calls.serve, call, *arguments)


def test_a_fault_becomes_the_calls_error_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> FakeLinks:
        raise ZeroDivisionError

    for call in ("links", "links-resync", "links-stats"):
        with pytest.raises(CallError, match="failoverd failed over this call; its log says more"):
            asked(LinkCalls(broken), call)
        assert f"the call {call} () failed; please report this" in caplog.text


def test_every_call_is_in_the_table_of_calls() -> None:
    assert [name for name in CALLS if name.startswith("links") or name.endswith("tach")] == list(CALLED)
    changing = [name for name in CALLED if CALLS[name].changes]
    assert changing == ["links-resync", "links-release", "attach", "detach"]


def test_the_rows_have_every_field_of_a_status_under_its_name() -> None:
    assert [row.key for row in LINK.rows] == [field.name for field in fields(LinkStatus)]
    assert LINK.of(STORAGE)["state"] == "failed"


def test_rows_and_their_generation() -> None:
    links = FakeLinks(HOST, CONTAINER)
    calls = LinkCalls(lambda: links)
    first = asked(calls, "links")
    assert [row["name"] for row in first["links"]] == ["web-ct", "web-host"]
    known = str(first["generation"])
    assert asked(calls, "links", "", known) == {"generation": first["generation"]}
    links.told[1] = replace(CONTAINER, repairs=1)
    second = asked(calls, "links", "web-ct", known)
    assert second["generation"] == first["generation"] + 1
    assert [(row["name"], row["repairs"]) for row in second["links"]] == [("web-ct", 1)]


def test_how_it_stands_with_etcd_is_told_and_a_change_of_it_is_a_change() -> None:
    links = FakeLinks(HOST)
    calls = LinkCalls(lambda: links)
    first = asked(calls, "links")
    assert "etcd" not in first, "it is not enabled"
    links.contact = EtcdContact(True, 5.0, "http://etcd1:2379", 17, "")
    second = asked(calls, "links", "", str(first["generation"]))
    assert second["etcd"] == {
        "connected": True,
        "since": 5.0,
        "endpoint": "http://etcd1:2379",
        "revision": 17,
        "trouble": "",
    }
    assert second["generation"] == first["generation"] + 1
    assert asked(calls, "links", "", str(second["generation"])) == {"generation": second["generation"]}
    assert [row.key for row in ETCD.rows] == [field.name for field in fields(EtcdContact)]


def test_a_client_of_an_earlier_daemon_is_told_everything() -> None:
    links = FakeLinks(HOST)
    known = asked(LinkCalls(lambda: links), "links")["generation"]
    assert "links" in asked(LinkCalls(lambda: links), "links", "", str(known))


def test_many_rows_leave_turns_to_others() -> None:
    links = FakeLinks(*(replace(HOST, name=f"l{number:04}") for number in range(2000)))
    turns = 0

    async def main() -> None:
        nonlocal turns

        async def count() -> None:
            nonlocal turns
            while True:
                await trio.lowlevel.checkpoint()
                turns += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(count)
            document = await LinkCalls(lambda: links).serve("links")
            pieces = await control.encoded(document)
            nursery.cancel_scope.cancel()
        assert json.loads(b"".join(pieces)) == document
        assert len(document["links"]) == 2000

    trio.run(main)
    assert turns > 30


def test_resync_and_release_reach_the_engine() -> None:
    links = FakeLinks(HOST, CONTAINER)
    calls = LinkCalls(lambda: links)
    assert asked(calls, "links-resync") == {"names": ["web-ct", "web-host"]}
    assert asked(calls, "links-resync", "web-ct") == {"names": ["web-ct"]}
    released = asked(calls, "links-release", "web-host")
    assert released == {"name": "web-host", "device": "web0", "namespace": "own", "owner": ""}
    assert links.asked == [("resync", ""), ("resync", "web-ct"), ("release", "web-host")]


def test_attach_and_detach_reach_the_engine_and_attach_tells_the_row() -> None:
    links = FakeLinks()
    calls = LinkCalls(lambda: links)
    assert asked(calls, "attach", "web", "{}")["state"] == "ready"
    assert asked(calls, "detach", "web") == {"name": "web"}
    assert links.asked == [("attach", "{}"), ("detach", "web")]


def test_a_release_is_refused_while_pods_stand_on_the_pair() -> None:
    links = FakeLinks()
    calls = LinkCalls(lambda: links)
    kernel = ToyKernel()
    kernel.plug("ens3", "virtio")
    kernel.plug("ens4", "pci", wire=True)
    driver = Driver(kernel)
    driver.settle()
    driver.tell(AdoptAsked(MAC))
    driver.settle()
    trio.run(calls.objection, "drain", ["ens3"])(driver.state)
    trio.run(calls.objection, "release", ["ens3"])(driver.state)
    links.pods = {MAC: ["a (net)"], "ens3": [f"b{number}" for number in range(9)], "other": ["c"]}
    for nic in ("ens3", "ens4"):
        with pytest.raises(CallError, match=r"attached to ens\d.*: a \(net\), b0, b1, b2, b3, b4, b5, b6 and 2 more;"):
            trio.run(calls.objection, "release", [nic])(driver.state)
        with pytest.raises(CallError, match="remove these pods first"):
            trio.run(calls.objection, "move", [nic, "red"])(driver.state)
        with pytest.raises(CallError, match="remove these pods first"):
            trio.run(calls.objection, "move", [nic])(driver.state)
        trio.run(calls.objection, "move-plan", [nic, "red"])(driver.state)
    trio.run(calls.objection, "move", ["ens3", "red"])(State(driver.config))
    # What names no pair, the call itself refuses.
    trio.run(calls.objection, "release", ["eth9"])(driver.state)
    driver.tell(AwaySaid(MAC, "ens3", "it is in a pod"))
    with pytest.raises(CallError, match="remove these pods first"):
        trio.run(calls.objection, "move", ["ens3"])(driver.state)


def test_counters_are_of_the_devices_that_are_there() -> None:
    links = FakeLinks(HOST, ABSENT)
    calls = LinkCalls(lambda: links)
    (counted,) = asked(calls, "links-stats")["statistics"]
    assert counted == {"name": "web-host", "device": "web0", "namespace": "own", **counters(17)}
    assert asked(calls, "links-stats", "web-ct") == {"statistics": []}


@pytest.mark.parametrize("call", [["links", "nine"], ["links-resync", "nine"], ["links-release", "nine"]])
@pytest.mark.parametrize("engine", [FakeLinks(), FakeLinks(HOST)])
def test_a_name_that_is_not_declared(call: list[str], engine: FakeLinks) -> None:
    with pytest.raises(CallError, match="no link 'nine' is declared") as caught:
        asked(LinkCalls(lambda: engine), *call)
    assert caught.value.kind == "NoSuchLink"


def test_one_that_went_while_it_was_asked_for() -> None:
    with pytest.raises(CallError, match="no link 'gone' is declared"):
        asked(LinkCalls(lambda: FakeLinks(replace(HOST, name="gone"))), "links-release", "gone")


def test_wrong_arguments() -> None:
    with pytest.raises(CallError, match="links-release takes name; given were 0"):
        asked(LinkCalls(FakeLinks), "links-release")


def test_where_nothing_is_declared() -> None:
    calls = LinkCalls(FakeLinks)
    assert asked(calls, "links")["links"] == []
    assert asked(calls, "links-resync") == {"names": []}
    assert asked(calls, "links-stats") == {"statistics": []}


def test_what_changes_links_is_roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links = FakeLinks(HOST)
    calls = LinkCalls(lambda: links)
    monkeypatch.setattr(control, "_peer_uid", lambda _stream: 1000)
    answers = served(tmp_path, calls.serve, ["links"], ["links-stats"], ["links-resync"], ["links-release", "web-host"])
    assert answers[0]["ok"]["links"][0]["device"] == "web0"
    assert "statistics" in answers[1]["ok"]
    assert [answer["error"]["kind"] for answer in answers[2:]] == ["AccessDenied", "AccessDenied"]
    assert links.asked == []


def served(where: Path, serve: Callable[..., Awaitable[dict[str, Any]]], *calls: list[str]) -> list[Any]:
    """What the control socket answers to these calls."""
    answers = []

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(control.serve, control.listen(where / "control"), serve)
            for call, *arguments in calls:
                async with await trio.open_unix_socket(where / "control") as stream:
                    await stream.send_all(json.dumps({"call": call, "arguments": arguments}).encode() + b"\n")
                    answers.append(json.loads(b"".join([part async for part in stream])))
            nursery.cancel_scope.cancel()

    trio.run(main)
    return answers


@pytest.mark.parametrize(
    "document", [{}, {"a": 1}, {"a": [], "b": [1] * 100, "c": [{"x": "ü\udcff"}] * 101, "d": None}, {"e": [[]] * 300}]
)
def test_a_document_in_pieces_is_the_same_document(document: dict[str, Any]) -> None:
    assert json.loads(b"".join(trio.run(control.encoded, document))) == document
