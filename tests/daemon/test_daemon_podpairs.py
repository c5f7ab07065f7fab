"""Masters that are attached for pods: what is ordered and when, what is shown of it, and what a restart makes of it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
from pairdriver import Driver
from test_daemon_declared import Machine, machine
from test_daemon_declared import document as of_link
from toykernel import MAC, ToyKernel
from trio.testing import MockClock

from failoverd.config.load import from_mapping
from failoverd.config.spec import Config
from failoverd.core.call_answers import CallError
from failoverd.daemon.podpairs import SHOWN
from failoverd.model.events import AdoptAsked, AwaySaid

NOTHING = Config()
INTO = f"{MAC} into path /run/netns/web as net1 for cni-web"
HOME = f"{MAC} home from path /run/netns/web"


def document(pod: str = "web") -> str:
    return of_link(pod, kind="pair", lower=f"master:{MAC}")


class Stage:
    """A machine, and the failover engine that says where its pair is."""

    def __init__(self, there: Machine) -> None:
        self.there, self.links, self.mover = there, there.links, there.mover
        kernel = ToyKernel()
        kernel.plug("ens3", "virtio")
        kernel.plug("ens4", "pci", wire=True)
        self.driver = Driver(kernel)
        self.driver.settle()
        self.driver.tell(AdoptAsked(MAC))
        self.driver.settle()
        self.links.stepped(self.driver.state)
        self.mover.tell = self.away

    def away(self, why: str) -> None:
        self.driver.tell(AwaySaid(MAC, "ens3", why))
        self.links.stepped(self.driver.state)

    def rows(self) -> list[tuple[str, str, str]]:
        return [(row.name, row.kind, row.state.value) for row in self.links.rows()]

    async def is_shown(self, *states: str) -> None:
        with trio.fail_after(10 * SHOWN):
            while [state for _, kind, state in self.rows() if kind == "pair"] != list(states):
                await trio.sleep(0.05)

    async def attached(self, pod: str = "web") -> None:
        await self.links.attach(f"cni-{pod}", document(pod))
        await self.is_shown("ready")


def on_stage(where: Path, *bodies: Callable[[Stage], Awaitable[None]], config: Config = NOTHING) -> None:
    """Run them, each with a daemon of its own, on what the one before has left."""

    async def main() -> None:
        for body in bodies:
            async with machine(where, config) as there:
                await body(Stage(there))

    trio.run(main, clock=MockClock(rate=5))


def left(where: Path) -> list[str]:
    return sorted(path.name for folder in ("attachments", "cni") for path in (where / folder).glob("*"))


def test_from_its_order_to_its_way_home(tmp_path: Path) -> None:
    async def body(stage: Stage) -> None:
        await stage.links.attach("cni-web", document())
        assert left(tmp_path) == ["cni-web"]
        assert stage.rows() == [("cni-web", "pair", "making")]
        await stage.is_shown("ready")
        assert stage.mover.there == {MAC: "path /run/netns/web"}
        assert stage.links.pods_on({MAC}) == ["default/web (net)"]
        assert stage.there.engine.last() == ([], True), "it is no declared link"
        for word in (MAC, "ens3"):
            for other in (of_link("db", lower=f"master:{word}"), document("db")):
                with pytest.raises(CallError, match=r"it is in the pod default/web \(net\)") as caught:
                    await stage.links.attach("cni-db", other)
                assert caught.value.kind == "InUse"
        # The same once more is no other.
        await stage.links.attach("cni-web", document())
        await stage.links.detach("cni-web")
        await stage.is_shown()
        assert (stage.mover.asked, left(tmp_path)) == ([INTO, HOME], [])
        await stage.links.detach("cni-web")

    on_stage(tmp_path, body)


def test_what_fails_is_shown_and_then_forgotten(tmp_path: Path) -> None:
    async def body(stage: Stage) -> None:
        stage.mover.refusals = [CallError("it goes on", "TimedOut"), CallError("the name is taken")]
        begun = trio.current_time()
        await stage.links.attach("cni-web", document())
        await stage.is_shown("failed")
        (row,) = stage.links.rows()
        assert (row.detail, row.owner) == ("the name is taken", "default/web")
        assert stage.mover.asked == [INTO, INTO]
        await stage.is_shown()
        assert trio.current_time() - begun >= SHOWN
        assert left(tmp_path) == []
        # One that is detached at once is not shown that long.
        stage.mover.refusals = [CallError("the name is taken")]
        await stage.links.attach("cni-web", document())
        await stage.is_shown("failed")
        begun = trio.current_time()
        await stage.links.detach("cni-web")
        await stage.is_shown()
        assert trio.current_time() - begun < SHOWN

    on_stage(tmp_path, body)


def test_a_pod_that_ends_gives_it_back(tmp_path: Path) -> None:
    async def body(stage: Stage) -> None:
        await stage.attached()
        stage.away("it is on its way home")
        assert stage.rows() == [("cni-web", "pair", "ready")]
        stage.away("")
        await stage.is_shown()
        assert left(tmp_path) == []

    on_stage(tmp_path, body)


def test_the_way_home_is_tried_again(tmp_path: Path) -> None:
    async def body(stage: Stage) -> None:
        await stage.attached()
        stage.mover.refusals = [CallError("not in time", "TimedOut")] * 3
        await stage.links.detach("cni-web")
        await stage.is_shown("removing")
        with pytest.raises(CallError, match="in the pod default/web"):
            await stage.links.attach("cni-db", document("db"))
        with pytest.raises(CallError, match="still on its way home"):
            await stage.links.attach("cni-web", document())
        await stage.is_shown()
        assert stage.mover.asked == [INTO, *[HOME] * 4]

    on_stage(tmp_path, body)


def test_a_restart_takes_up_what_it_finds(tmp_path: Path) -> None:
    async def attached(stage: Stage) -> None:
        await stage.attached()

    async def stays(stage: Stage) -> None:
        stage.away("it is in the pod")
        await stage.is_shown("ready")
        assert stage.mover.asked == [INTO]

    async def comes_home(stage: Stage) -> None:
        stage.away("it is in the pod")
        (tmp_path / "cni").mkdir(exist_ok=True)
        (tmp_path / "cni" / "cni-web").touch()
        await stage.there.until(lambda: stage.mover.asked[-1:] == [HOME])
        await stage.is_shown()
        assert left(tmp_path) == []

    on_stage(tmp_path, attached, stays, comes_home)


def test_a_move_that_was_not_begun_is_not_begun_by_a_restart(tmp_path: Path) -> None:
    """Its ADD has failed with the daemon."""

    async def begin(stage: Stage) -> None:
        stage.mover.is_stuck = True
        await stage.links.attach("cni-web", document())
        await stage.is_shown("making")

    async def again(stage: Stage) -> None:
        await stage.there.until(lambda: left(tmp_path) == [])
        assert stage.mover.asked == [HOME]

    on_stage(tmp_path, begin, again)


def test_nothing_is_attached_to_what_is_on_its_way(tmp_path: Path) -> None:
    async def body(stage: Stage) -> None:
        stage.away("it is on its way to the network namespace red")
        for raw in (document(), of_link(lower="master:ens3")):
            with pytest.raises(
                CallError, match=r"attached to .*: it is on its way to the network namespace red"
            ) as caught:
                await stage.links.attach("cni-web", raw)
            assert caught.value.kind == "InUse"
        assert left(tmp_path) == []

    on_stage(tmp_path, body)


def test_a_move_keeps_attachments_apart(tmp_path: Path) -> None:
    async def body(stage: Stage) -> None:
        async with stage.links.apart(MAC, ""):
            assert not await _in_time(stage.links.attach, "cni-web", of_link(lower=f"master:{MAC}"))
        assert await _in_time(stage.links.attach, "cni-web", of_link(lower="master:ens3"))
        with pytest.raises(CallError, match=r"pods are attached to it: default/web \(net\)"):
            async with stage.links.apart(MAC, "cni-other"):
                pass
        with pytest.raises(CallError, match=r"pods are attached to it: default/web \(net\)"):
            await stage.links.attach("cni-db", document("db"))
        async with stage.links.apart(MAC, "cni-web"):
            pass

    on_stage(tmp_path, body)


async def _in_time(call: Callable[..., Awaitable[None]], *arguments: str) -> bool:
    """Whether a call of another client's is through within a second."""
    is_done = False

    async def client() -> None:
        nonlocal is_done
        await call(*arguments)
        is_done = True

    with trio.move_on_after(1):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client)
    return is_done


def test_what_is_no_document_is_refused(tmp_path: Path) -> None:
    async def body(stage: Stage) -> None:
        for raw in ("{", json.dumps({"kind": "pair"})):
            with pytest.raises(CallError) as caught:
                await stage.links.attach("cni-web", raw)
            assert caught.value.kind == "BadArgument"

    on_stage(tmp_path, body)


def test_what_hangs_on_a_nic_is_told_with_its_pods(tmp_path: Path) -> None:
    async def body(stage: Stage) -> None:
        master = stage.driver.state.judgements.pairs[MAC].master

        async def look(ifindex: int) -> str:
            return "a macvlan stands on it" if ifindex == master else ""

        assert await stage.links.with_pods(master, look) == "a macvlan stands on it"
        await stage.links.attach("cni-web", of_link(lower="master:ens3"))
        await stage.links.attach("cni-db", of_link("db", lower=f"master:{MAC}", device="net2"))
        told = "a macvlan stands on it, attached for default/db (net), default/web (net),"
        assert await stage.links.with_pods(master, look) == told
        assert await stage.links.with_pods(99, look) == ""

    on_stage(tmp_path, body)


def test_a_vlan_of_a_file_is_shared_whichever_way_it_names_the_master(tmp_path: Path) -> None:
    async def body(stage: Stage) -> None:
        raw = of_link(kind="ipvlan", vlan={"id": 7}, lower=f"master:{MAC}")
        await stage.links.attach("cni-web", raw)
        await stage.there.until(lambda: stage.there.engine.declared)
        assert stage.there.engine.last() == (["cni-web", "seven"], True)
        with pytest.raises(CallError, match="VLAN 7 of master:ens3 is"):
            await stage.links.attach("cni-db", of_link("db", kind="vlan", id=7, lower=f"master:{MAC}"))

    config = from_mapping({"link": {"seven": {"kind": "vlan", "lower": "master:ens3", "id": 7}}}, "f")
    on_stage(tmp_path, body, config=config)
