"""The sources of declared links together: files, etcd, what is attached for pods, beside an engine of the test's."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from failoverd.config.links.snapshot import Merged
from failoverd.config.load import from_mapping
from failoverd.config.spec import Config, Etcd
from failoverd.core.call_answers import CallError
from failoverd.core.state import State
from failoverd.daemon.declared import DeclaredLinks
from failoverd.model.declared import Declared, NamespaceRef
from failoverd.model.linkstatus import LinkState, LinkStatus
from failoverd.model.signals import LinkPending

FILES = from_mapping({"link": {"mine": {"kind": "dummy"}}}, "f")


def document(pod: str = "web", **keys: Any) -> str:
    usual = {
        "kind": "macvlan",
        "lower": "master:ens3",
        "namespace": {"path": f"/run/netns/{pod}"},
        "device": "net1",
        "owner": {"pod": f"default/{pod}", "container": pod, "network": "net"},
    }
    return json.dumps(usual | keys)


class Engine:
    """In the links engine's place: what it was told, and what it tells."""

    def __init__(self) -> None:
        self.declared: list[tuple[Declared, bool]] = []
        self.told: list[LinkStatus] = []

    def declare(self, declared: Declared, _retry: float, _going: float, is_complete: bool = True) -> None:
        self.declared.append((declared, is_complete))

    def stepped(self, _state: State) -> None: ...

    def rows(self) -> Sequence[LinkStatus]:
        return self.told

    async def statistics(self) -> Mapping[str, Mapping[str, int]]:
        return {}

    async def run(self) -> None:
        await trio.sleep_forever()

    def last(self) -> tuple[list[str], bool]:
        declared, is_complete = self.declared[-1]
        return sorted(declared), is_complete


class EtcdSource:
    """In the place of what reads etcd's links; it speaks when the test says so."""

    def __init__(self) -> None:
        self.take: Callable[[Merged, bool], None] | None = None

    def configure(self, _config: Config) -> None: ...

    async def run(self, take: Callable[[Merged, bool], None]) -> None:
        self.take = take
        await trio.sleep_forever()


class Mover:
    """In the place of what carries out moves: a pair is where it was ordered to be. `refusal` is what it says."""

    def __init__(self) -> None:
        self.there: dict[str, str] = {}
        self.refusals: list[CallError] = []
        self.asked: list[str] = []
        self.is_stuck = False
        self.tell: Callable[[str], None] = lambda _why: None

    async def into(self, mac: str, ref: NamespaceRef, device: str, owner: str) -> None:
        self.asked.append(f"{mac} into {ref} as {device} for {owner}")
        await self._refuse()
        self.there[mac] = str(ref)
        self.tell("it is in the pod")

    async def recall(self, mac: str, ref: NamespaceRef) -> None:
        self.asked.append(f"{mac} home from {ref}")
        await self._refuse()
        self.there.pop(mac, None)
        self.tell("")

    async def _refuse(self) -> None:
        await (trio.sleep_forever() if self.is_stuck else trio.lowlevel.checkpoint())
        if self.refusals:
            raise self.refusals.pop(0)


class Machine:
    def __init__(self, where: Path, config: Config) -> None:
        self.where, self.engine, self.fleet, self.mover = where, Engine(), EtcdSource(), Mover()
        self.loaded = 0

        async def load() -> Any:
            self.loaded += 1
            return self.engine

        async def load_fleet() -> Any:
            return self.fleet

        self.links = DeclaredLinks(load, where / "links", load_fleet, where / "attachments", where / "cni", self.mover)
        self.links.configure(config)

    async def until(self, holds: Callable[[], object]) -> None:
        with trio.fail_after(10):
            while not holds():
                await trio.sleep(0.01)

    def files(self) -> list[str]:
        return sorted(path.name for path in (self.where / "attachments").iterdir())


@asynccontextmanager
async def machine(where: Path, config: Config | None = None) -> AsyncIterator[Machine]:
    there, is_ready = Machine(where, config or Config()), trio.Event()
    is_ready.set()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(there.links.run, is_ready)
        yield there
        nursery.cancel_scope.cancel()


def test_a_daemon_without_pods_loads_nothing_of_attachments() -> None:
    code = "import sys, failoverd.daemon.main; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "failoverd.daemon.declared" in loaded
    assert [name for name in loaded if "attachments" in name or name.startswith("failoverd.config.links.")] == []


def test_nothing_is_loaded_until_a_pod_comes(tmp_path: Path) -> None:
    async def main() -> None:
        async with machine(tmp_path) as there:
            await there.links.read_attachments()
            await there.links.detach("cni-web")
            assert (there.loaded, there.links.rows(), there.links.pods_on({"ens3"})) == (0, (), [])
            await there.links.attach("cni-web", document())
            assert there.files() == ["cni-web"], "kept before it is answered"
            [row] = there.links.rows()
            assert (row.name, row.state, row.owner) == ("cni-web", LinkState.MAKING, "default/web")
            await there.until(lambda: there.engine.declared)
            assert there.engine.last() == (["cni-web"], True)
            assert there.links.pods_on({"ens3"}) == ["default/web (net)"]
            await there.links.detach("cni-web")
            await there.links.detach("cni-web")
            assert there.engine.last() == ([], True)
            assert there.files() == []

    trio.run(main)


def test_a_start_reads_what_was_attached_and_obeys_the_notes(tmp_path: Path) -> None:
    async def main() -> None:
        async with machine(tmp_path, FILES) as there:
            for pod in ("web", "db"):
                await there.links.attach(f"cni-{pod}", document(pod))
            await there.until(lambda: there.engine.declared and there.engine.last()[0] == ["cni-db", "cni-web", "mine"])
        (tmp_path / "cni").mkdir()
        (tmp_path / "cni" / "cni-web").touch()
        async with machine(tmp_path, FILES) as there:
            await there.until(lambda: there.engine.declared)
            assert [sorted(declared) for declared, _ in there.engine.declared] == [["cni-db", "mine"]]
            (tmp_path / "cni" / "cni-db").touch()
            await there.until(lambda: there.engine.last()[0] == ["mine"])
            await there.until(lambda: not list((tmp_path / "cni").iterdir()))
            there.links.configure(Config())
            assert there.engine.last() == ([], True)

    trio.run(main)


def test_what_is_refused_is_not_declared(tmp_path: Path) -> None:
    async def main() -> None:
        async with machine(tmp_path, FILES) as there:
            await there.until(lambda: there.engine.declared)
            for name, raw in (("mine", document()), ("cni-a", "{"), ("cni-a", "\udc80"), ("A", document())):
                with pytest.raises(CallError):
                    await there.links.attach(name, raw)
            assert there.engine.last() == (["mine"], True)

    trio.run(main)


def test_a_file_that_cannot_be_read_keeps_all_devices(tmp_path: Path) -> None:
    (tmp_path / "attachments").mkdir()
    (tmp_path / "attachments" / "cni-web").write_text("{")

    async def main() -> None:
        async with machine(tmp_path) as there:
            await there.until(lambda: there.engine.declared)
            assert there.engine.last() == ([], False)

    trio.run(main)


def test_etcd_and_attachments(tmp_path: Path) -> None:
    config = replace(FILES, etcd=Etcd(enabled=True))

    async def main() -> None:
        async with machine(tmp_path, config) as there:
            await there.links.attach("cni-web", document())
            await there.until(lambda: there.fleet.take)
            assert there.engine.declared == [], "etcd has not spoken: nothing is known yet"
            assert there.fleet.take is not None
            there.fleet.take(Merged(FILES.declared), False)
            assert there.engine.last() == (["cni-web", "mine"], False)
            theirs = from_mapping({"link": {"mine": {"kind": "dummy"}, "etcds": {"kind": "dummy"}}}, "f").declared
            there.fleet.take(Merged(theirs), True)
            assert there.engine.last() == (["cni-web", "etcds", "mine"], True)
            await there.links.detach("cni-web")
            assert there.engine.last() == (["etcds", "mine"], True)

    trio.run(main)


def test_a_pod_that_has_ended_is_forgotten_and_no_other(tmp_path: Path) -> None:
    def ended(name: str, namespace: str, reason: str = "namespace-absent") -> LinkStatus:
        return LinkStatus(name, "macvlan", "net1", namespace, LinkState.PENDING, reason)

    async def main() -> None:
        async with machine(tmp_path, FILES) as there:
            for pod in ("web", "db", "shut"):
                await there.links.attach(f"cni-{pod}", document(pod))
            await there.until(lambda: there.engine.declared and len(there.engine.last()[0]) == 4)
            there.engine.told = [
                ended("cni-web", "path /run/netns/web"),
                # It has been attached anew since, in another namespace.
                ended("cni-db", "path /run/netns/former"),
                ended("cni-shut", "path /run/netns/shut", "door-closed"),
                ended("mine", "own"),
            ]
            for row in there.engine.told:
                there.links.signalled(LinkPending(row.name, row.kind, row.device, row.namespace, 0, row.reason, ""))
            await there.until(lambda: there.files() == ["cni-db", "cni-shut"])
            assert there.engine.last() == (["cni-db", "cni-shut", "mine"], True)

    trio.run(main)
