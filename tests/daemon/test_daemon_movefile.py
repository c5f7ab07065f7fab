"""The journal of a move into another network namespace, on disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio
from movesim import MAC, RED, Machine, on_machine

from failoverd.core.call_answers import CallError
from failoverd.daemon.journal import JournalError
from failoverd.daemon.movefile import called, dumps, loads, path_of, read_record, where, write_record
from failoverd.daemon.moveorders import MoveOrders, reference
from failoverd.daemon.store import DiskStore
from failoverd.model.declared import NamespaceRef
from failoverd.model.events import AwaySaid
from failoverd.moves.items import Record, Toward


def record(is_over: bool = False) -> Record:
    """A journal with much in it."""
    found: list[Record] = []

    async def body(machine: Machine) -> None:
        found.append(await machine.order(Toward.AWAY))
        if is_over:
            await machine.go_on()
            assert machine.journal is not None
            found.append(machine.journal)

    on_machine(body)
    return found[-1]


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    for one in (record(), record(is_over=True)):
        write_record(tmp_path, one)
        assert read_record(path_of(tmp_path, MAC)) == one


def test_a_start_finds_where_the_pair_is(tmp_path: Path) -> None:
    write_record(tmp_path / "away", record(is_over=True))
    kept = DiskStore(tmp_path, tmp_path).load()
    why = "it is in the network namespace red; failoverctl move ens3 --home brings it back"
    assert (kept.away, kept.troubles) == ({MAC: AwaySaid(MAC, "ens3", why, "red")}, [])


def test_one_of_a_version_that_moved_no_rules_is_read() -> None:
    document = json.loads(dumps(record()))
    assert len(document.pop("rules")) == 4
    assert loads(json.dumps(document)) == replace(record(), rules=())


@pytest.mark.parametrize(
    ("toward", "words"),
    [
        (Toward.AWAY, "it is on its way to the network namespace red"),
        (Toward.HOME, "it is on its way home from the network namespace red"),
    ],
)
def test_it_says_where_the_pair_is(toward: Toward, words: str) -> None:
    assert where(Record(MAC, RED, toward, record().items, ())) == words
    assert called(NamespaceRef("pid", "47")) == "pid 47"


NIC: dict[str, Any] = {"parent": "x", "name": "ens3", "formers": [], "carries": True}
BROKEN: list[dict[str, Any]] = [
    {"format": 2},
    {"mac": 7},
    {"items": []},
    {"items": [{}]},
    {"is_over": True},
    {"rules": [7]},
    {"nics": [NIC | {"settings": {}, "qdisc": {"kind": "fq", "handle": -1, "options": ""}}]},
    {"rules": ["02"]},
    {"rules": ["xx"]},
    {"toward": "nowhere"},
    {"nics": [{"parent": "x", "name": "a/b", "formers": [], "carries": True, "settings": {}}]},
    {"nics": [NIC | {"settings": {"ipv4/none": "1"}}]},
]


@pytest.mark.parametrize("wrong", BROKEN)
def test_a_damaged_one_is_set_aside(wrong: dict[str, Any], tmp_path: Path) -> None:
    text = json.dumps(json.loads(dumps(record())) | wrong)
    with pytest.raises(JournalError):
        loads(text)
    path = path_of(tmp_path / "away", MAC)
    path.parent.mkdir()
    path.write_text(text)
    kept = DiskStore(tmp_path, tmp_path).load()
    assert (kept.away, len(kept.troubles), path.exists()) == ({}, 1, False)


@pytest.mark.parametrize("info", [{"kind": "veth", "peer": 1, "nsid": None}, {"kind": "bond", "mode": -1}, {"kind": 1}])
def test_a_device_that_cannot_be_cloned_is_no_item(info: dict[str, Any]) -> None:
    document = json.loads(dumps(record()))
    document["items"][0]["info"] |= info
    with pytest.raises(JournalError):
        loads(json.dumps(document))


def test_another_pairs_name_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "525400000000.json"
    path.write_text(dumps(record()))
    with pytest.raises(JournalError, match="its name says otherwise"):
        read_record(path)


@pytest.mark.parametrize(
    ("word", "ref"),
    [
        ("web", NamespaceRef("name", "web")),
        ("name:web", NamespaceRef("name", "web")),
        ("a:b", NamespaceRef("name", "a:b")),
        ("pid:4711", NamespaceRef("pid", "4711")),
        ("path:/proc/1/ns/net", NamespaceRef("path", "/proc/1/ns/net")),
        ("container:label:role=web", NamespaceRef("container", "label:role=web")),
    ],
)
def test_a_word_names_a_namespace(word: str, ref: NamespaceRef) -> None:
    assert reference(word) == ref


@pytest.mark.parametrize("word", ["", "name:", "a/b", "..", "pid:x", "pid:", "pid:123456789012", "path:\0"])
def test_a_word_that_names_none_is_refused(word: str) -> None:
    with pytest.raises(CallError):
        reference(word)


def test_nothing_is_loaded_where_nothing_moves(tmp_path: Path) -> None:
    async def load() -> Any:
        raise AssertionError("it is loaded")

    async def main() -> None:
        orders, is_ready = MoveOrders(tmp_path / "away", load), trio.Event()
        is_ready.set()
        with trio.move_on_after(0.05):
            await orders.run(is_ready)

    trio.run(main)
