"""The links that failoverd-etcd hands over, as the daemon takes them in: present, absent, damaged, changed."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from failoverd.config.links.snapshot import Merged
from failoverd.config.load import from_mapping
from failoverd.config.spec import Config, Etcd
from failoverd.daemon.fleet import Fleet

ENABLED = replace(Config(), etcd=Etcd(enabled=True))
A = {"kind": "veth", "peer": "b", "device": "a0"}


def snapshot(path: Path, **links: object) -> None:
    """Put a snapshot in place, as failoverd-etcd does."""
    told = {
        name: {"where": f"etcd:/{name}", "value": json.dumps(link), "state": "", "reason": "", "detail": "", "since": 0}
        for name, link in links.items()
    }
    put(path, json.dumps({"version": 1, "links": told}).encode())


def put(path: Path, raw: bytes) -> None:
    beside = path.with_name(".beside")
    beside.write_bytes(raw)
    beside.replace(path)


class Taken:
    """What the fleet has handed on."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[tuple[Merged, bool]](99)

    def take(self, merged: Merged, is_complete: bool) -> None:
        self._send.send_nowait((merged, is_complete))

    async def next(self) -> tuple[list[str], bool]:
        with trio.fail_after(5):
            merged, is_complete = await self._receive.receive()
        return sorted(merged.declared), is_complete

    async def until(self, names: list[str], is_complete: bool = True) -> None:
        while await self.next() != (names, is_complete):
            pass


@asynccontextmanager
async def fleet(path: Path, config: Config = ENABLED) -> AsyncIterator[tuple[Fleet, Taken]]:
    source, taken = Fleet(path, path.with_name("contact.json")), Taken()
    source.configure(config)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(source.run, taken.take)
        yield source, taken
        nursery.cancel_scope.cancel()


def test_what_is_there_and_each_change(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.json"
    snapshot(path, a=A)

    async def main() -> None:
        async with fleet(path) as (source, taken):
            assert await taken.next() == (["a"], True)
            snapshot(path, a=A, b={"kind": "veth", "peer": "a"})
            await taken.until(["a", "b"])
            source.configure(replace(ENABLED, declared=from_mapping({"link": {"c": {"kind": "dummy"}}}, "x").declared))
            await taken.until(["a", "b", "c"])
            source.configure(Config())
            await taken.until([])

    trio.run(main)


def test_a_source_that_has_not_spoken_is_told_of_as_such(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "later" / "snapshot.json"
    mine = replace(ENABLED, declared=from_mapping({"link": {"c": {"kind": "dummy"}}}, "x").declared)

    async def main() -> None:
        async with fleet(path, mine) as (_, taken):
            assert await taken.next() == (["c"], False)
            path.parent.mkdir()
            snapshot(path, a=A)
            await taken.until(["a", "c"])
            path.unlink()
            await taken.until(["a", "c"])

    trio.run(main)
    said = [record.getMessage() for record in caplog.records]
    assert "it is not there yet" in said[0]
    assert said[0].endswith("nothing of etcd's is in force")
    assert said[-1].endswith("what it said last stays in force")


@pytest.mark.parametrize("what", ["half", "fifo", "large", "link"])
def test_a_damaged_file_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture, what: str) -> None:
    path = tmp_path / "snapshot.json"
    snapshot(path, a=A)

    async def main() -> None:
        async with fleet(path) as (source, taken):
            assert await taken.next() == (["a"], True)
            match what:
                case "half":
                    put(path, b'{"version": 1, "li')
                case "large":
                    put(path, b" " * (9 << 20))
                case "fifo":
                    path.unlink()
                    os.mkfifo(path)
                case "link":
                    path.unlink()
                    path.symlink_to("/etc/passwd")
            while not caplog.records:
                assert await taken.next() == (["a"], True)
            source.configure(ENABLED)
            assert await taken.next() == (["a"], True)

    trio.run(main)
    assert len(caplog.records) == 1
    assert caplog.records[0].getMessage().endswith("what it said last stays in force")


def test_what_is_not_as_etcd_has_it_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "snapshot.json"
    snapshot(path, a=A | {"pear": 1}, c={"kind": "dummy"})
    mine = replace(ENABLED, declared=from_mapping({"link": {"c": {"kind": "dummy"}}}, "x").declared)

    async def main() -> None:
        async with fleet(path, mine) as (source, taken):
            assert await taken.next() == (["c"], True)
            source.configure(mine)
            await taken.next()

    with caplog.at_level(logging.WARNING, "failoverd"):
        trio.run(main)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[0].startswith("link a: invalid (unknown-key): etcd:/a: [link.a] pear: no such key")
    assert said[1] == "link c: a file declares it, too, and wins over etcd:/c"


def test_how_it_stands_with_etcd(tmp_path: Path) -> None:
    path = tmp_path / "run-etcd" / "contact.json"
    contact = {"connected": True, "since": 5.0, "endpoint": "http://etcd1:2379", "revision": 17, "trouble": ""}

    async def main() -> None:
        told, touched = trio.open_memory_channel[None](99)
        source = Fleet(tmp_path / "snapshot.json", path, lambda: told.send_nowait(None))
        assert source.contact is None, "nothing is configured"
        source.configure(Config())
        assert source.contact is None, "it is not enabled"
        source.configure(ENABLED)
        assert source.contact is not None
        assert not source.contact.connected

        async def until(connected: bool, trouble: str) -> None:
            with trio.fail_after(5):
                while True:
                    found = source.contact
                    if found is not None and found.connected == connected and trouble in found.trouble:
                        return
                    await touched.receive()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(source.run, lambda _merged, _is_complete: None)
            await trio.sleep(0)
            path.parent.mkdir()
            put(path, json.dumps(contact).encode())
            await until(True, "")
            assert (source.contact.endpoint, source.contact.revision) == ("http://etcd1:2379", 17)
            put(path, json.dumps(contact | {"connected": False, "trouble": "refused"}).encode())
            await until(False, "refused")
            for raw in (b"{", b"7", json.dumps(contact | {"revision": "x"}).encode()):
                put(path, raw)
                await until(False, f"{path}: ")
                put(path, json.dumps(contact).encode())
                await until(True, "")
            path.unlink()
            await until(False, "does not run")
            nursery.cancel_scope.cancel()

    trio.run(main)
