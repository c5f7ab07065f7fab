"""Containers by what their runtime tells, with a runtime that speaks Docker's API and real processes."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from doorkeeper import Client, client, doorkeeper, own_run, run
from fakeruntime import FakeRuntime, listening
from privatenet import container, private_net

from failoverd.daemon.open_namespace import NamespaceGoneError
from failoverd.model.declared import NamespaceRef
from failoverd.model.places import Absent
from failoverd.netns import runtimes
from failoverd.netns.containers import parse
from failoverd.netns.runtimes import by_groups

WEB = NamespaceRef("container", "label:role=web")
LABELS = {"role": "web", "also": "this"}
A, B = "a" * 64, "b" * 64


@asynccontextmanager
async def machine(place: Path, *references: NamespaceRef) -> AsyncIterator[tuple[FakeRuntime, Client]]:
    """A runtime, a doorkeeper that knows it, and a client that watches."""
    runtime, path = FakeRuntime(), place / "docker.sock"
    async with listening(runtime, path):
        with doorkeeper(place / "door", runtimes=f"{path},{place}/none.sock"):
            async with client(place / "door", references) as one:
                yield runtime, one


def end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


@private_net
def test_a_container_starts_crashes_and_starts_again(tmp_path: Path) -> None:
    """It dies without a `stop`, and has another pid when it is restarted."""
    own_run()

    async def told() -> None:
        async with machine(tmp_path, WEB) as (runtime, one):
            await one.absent(WEB, "container-absent")
            with container() as pid:
                await runtime.start(A, pid, labels=LABELS)
                place = await one.place(WEB, within=1)
                with await trio.to_thread.run_sync(one.namespaces.open, place) as inside:
                    assert os.fstat(inside.fd).st_ino == Path(f"/proc/{pid}/ns/net").stat().st_ino
                end(pid)
                await runtime.die(A)
                await one.absent(WEB, "container-absent", within=1)
                with pytest.raises(NamespaceGoneError):
                    await trio.to_thread.run_sync(one.namespaces.open, place)
            with container() as pid:
                await runtime.start(A, pid, labels=LABELS)
                assert await one.place(WEB, within=1) != place

    trio.run(told)


@pytest.mark.parametrize("events", [("die", "stop"), ("stop", "die"), ("kill", "die", "stop", "destroy"), ("destroy",)])
def test_its_end_is_seen_whatever_is_told(tmp_path: Path, events: tuple[str, ...]) -> None:
    @private_net
    def alone() -> None:
        own_run()
        trio.run(told)

    async def told() -> None:
        with container() as pid:
            async with machine(tmp_path, WEB) as (runtime, one):
                await runtime.start(A, pid, labels=LABELS)
                place = await one.place(WEB)
                end(pid)
                await runtime.die(A, *events)
                await one.absent(WEB, "container-absent", within=1)
                with container() as again:
                    await runtime.start(A, again, labels=LABELS)
                    assert await one.place(WEB, within=1) != place

    alone()


@private_net
def test_a_second_one_with_the_label(tmp_path: Path) -> None:
    """The one that is bound stays; without one both are meant alike; those of one namespace are one."""
    own_run()

    async def told() -> None:
        second_of_them, third_of_them = (NamespaceRef("container", f"id:{known[:12]}") for known in (B, A))
        with container() as first, container() as second:
            async with machine(tmp_path, WEB) as (runtime, one):
                await runtime.start(A, first, labels=LABELS)
                place = await one.place(WEB)
                await runtime.start(B, second, labels=LABELS)
                await runtime.start("c" * 64, second, labels=LABELS)
                one.watch(WEB, second_of_them)
                await one.place(second_of_them)
                assert one.namespaces.now(WEB) == place
                end(first)
                await runtime.die(A)
                await one.until(WEB, lambda what: what != place, within=1)
                await one.place(WEB, within=1)
                with container() as third:
                    one.watch(third_of_them)
                    await runtime.start(A, third, labels=LABELS)
                    await one.place(third_of_them)
                    one.watch(third_of_them, WEB)
                    detail = (await one.absent(WEB, "container-ambiguous")).detail
                    assert "aaaaaaaaaaaa" in detail
                    end(third)
                    await runtime.die(A)
                    await one.place(WEB, within=1)

    trio.run(told)


@private_net
def test_the_stream_of_events_is_cut_and_a_start_is_missed(tmp_path: Path) -> None:
    own_run()

    async def told() -> None:
        with container() as pid:
            async with machine(tmp_path, WEB) as (runtime, one):
                await one.absent(WEB, "container-absent")
                runtime.add(A, pid, labels=LABELS)
                await runtime.cut()
                await one.place(WEB, within=1)

    trio.run(told)


@private_net
def test_a_runtime_that_ends_leaves_what_runs(tmp_path: Path) -> None:
    """Docker's live-restore: containers go on without their daemon. None that is not bound is found meanwhile."""
    own_run()
    other = NamespaceRef("container", "name:other")

    async def told() -> None:
        path, runtime = tmp_path / "docker.sock", FakeRuntime()
        with container() as pid, doorkeeper(tmp_path / "door", runtimes=str(path)):
            async with client(tmp_path / "door", [WEB, other]) as one:
                await one.until(WEB, lambda what: isinstance(what, Absent) and str(path) in what.detail)
                await one.absent(WEB, "runtime-unreachable")
                async with listening(runtime, path):
                    await one.absent(WEB, "container-absent", within=2)
                    await runtime.start(A, pid, labels=LABELS)
                    place = await one.place(WEB)
                path.unlink()
                await one.absent(other, "runtime-unreachable", within=2)
                assert one.namespaces.now(WEB) == place
                with await trio.to_thread.run_sync(one.namespaces.open, place):
                    pass
                end(pid)
                await one.absent(WEB, "runtime-unreachable", within=1)

    trio.run(told)


@private_net
def test_each_way_to_name_one(tmp_path: Path) -> None:
    own_run()
    pod = {"io.kubernetes.pod.namespace": "shop", "io.kubernetes.pod.name": "cart-0"}
    ways = ("label:also=this", "env:MICROSERVICE_LABEL=web", "name:shop-web", f"id:{A[:12]}", "pod:shop/cart-0")
    references = [NamespaceRef("container", way) for way in ways]
    wrong = ("label:role", "label:role=we", "env:MICROSERVICE_LABEL=", "name:web", "id:aaa", "pod:shop", "any:thing")

    async def told() -> None:
        with container() as pid:
            strangers = [NamespaceRef("container", way) for way in wrong]
            async with machine(tmp_path, *references, *strangers) as (runtime, one):
                env = ["PATH=/bin", "MICROSERVICE_LABEL=web"]
                await runtime.start(A, pid, name="shop-web", labels=LABELS | pod, env=env)
                assert len({await one.place(reference) for reference in references}) == 1
                for reference in strangers:
                    await one.absent(reference, "container-absent")

    trio.run(told)


@private_net
def test_one_on_the_hosts_network_has_no_namespace(tmp_path: Path) -> None:
    """And one that is not yet in its own is waited for."""
    own_run()

    async def told() -> None:
        async with machine(tmp_path, WEB) as (runtime, one):
            await runtime.start(A, os.getpid(), labels=LABELS, network="host")
            await one.absent(WEB, "container-on-host-network")
            await runtime.start(A, os.getpid(), labels=LABELS)
            await one.absent(WEB, "namespace-is-own")

    trio.run(told)


@private_net
def test_a_runtime_that_answers_nothing_is_no_reason_to_hang(tmp_path: Path) -> None:
    """Another one beside it is asked all the same, and so is a name."""
    own_run()
    red = NamespaceRef("name", "red")

    async def told() -> None:
        deaf, runtime = FakeRuntime(), FakeRuntime()
        deaf.is_deaf = True
        paths = tmp_path / "deaf.sock", tmp_path / "docker.sock"
        async with listening(deaf, paths[0]), listening(runtime, paths[1]):
            with container() as pid, doorkeeper(tmp_path / "door", runtimes=f"{paths[0]},{paths[1]}"):
                async with client(tmp_path / "door", [WEB, red]) as one:
                    await one.absent(WEB, "container-absent")
                    await runtime.start(A, pid, labels=LABELS)
                    await one.place(WEB, within=1)
                    await trio.to_thread.run_sync(run, "ip", "netns", "add", "red")
                    await one.place(red, within=1)
                    assert "/events" in deaf.questions

    trio.run(told)


POD = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod6f1d3c0e_75ab_4c1e_9f0a_3d2b1c0e9f8a.slice"


@pytest.mark.parametrize("group", [f"{POD}/cri-containerd-{B}.scope", f"{POD}/crio-{B}.scope/container"])
@pytest.mark.parametrize("reference", [f"id:{B[:12]}", "env:ROLE=web"])
def test_a_container_of_containerd_or_cri_o_is_found_also_beside_a_runtime_that_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: str, reference: str
) -> None:
    """Docker knows nothing of it, and no library that speaks CRI is asked."""
    proc = tmp_path / "proc"
    a_process(proc, 11, 800, f"0::{group}", "ROLE=web")
    monkeypatch.setattr(runtimes, "by_groups", lambda: by_groups(proc))
    monkeypatch.setattr(runtimes, "GROUPS", 0.05)
    wanted, by_name = parse(reference), parse("name:web")

    async def told() -> None:
        docker = FakeRuntime()
        async with listening(docker, tmp_path / "docker.sock"):
            docker.add(A, os.getpid(), name="web")
            known = runtimes.Runtimes([str(tmp_path / "docker.sock")], lambda: None)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(known.run)
                known.want([by_name, wanted])
                with trio.fail_after(5):
                    while not (known._answer() and known.meant(wanted)):
                        await trio.sleep(0.01)
                assert [(one.id, one.pid) for one in known.meant(wanted)] == [(B, 11)]
                # What Docker tells of costs no look at every process of the machine.
                known.want([by_name])
                with trio.fail_after(5):
                    while known.meant(wanted):
                        await trio.sleep(0.01)
                assert [one.id for one in known.meant(by_name)] == [A]
                nursery.cancel_scope.cancel()

    trio.run(told)


def test_who_names_a_container_as_only_its_runtime_knows_it_hears_how_else() -> None:
    known = runtimes.Runtimes([], lambda: None)
    assert "is found by id: or env:" in known.why_none(parse("pod:shop/cart-0")).absent.detail
    assert "env:" not in known.why_none(parse("id:0123456789ab")).absent.detail


def a_process(proc: Path, pid: int, started: int, group: str, environment: str) -> None:
    """What /proc has of a process, as far as it is read."""
    place = proc / str(pid)
    place.mkdir(parents=True)
    (place / "cgroup").write_text(group)
    (place / "stat").write_text("{} (sh) S " + " ".join(["0"] * 18) + f" {started} 0\n")
    (place / "environ").write_text(environment + "\0")


def test_control_groups_tell_of_containers_where_nothing_else_does(tmp_path: Path) -> None:
    """The process that was started first stands for all of a container's."""
    rows = [
        (12, 900, f"0::/system.slice/docker-{A}.scope", "ROLE=child"),
        (11, 800, f"0::/system.slice/docker-{A}.scope", "ROLE=web"),
        (13, 950, "0::/machine.slice/systemd-nspawn@m.service/payload", ""),
        (14, 960, "0::/user.slice", ""),
    ]
    for pid, started, group, environment in rows:
        a_process(tmp_path, pid, started, group, environment)
    (tmp_path / "15").mkdir()
    (tmp_path / "self").symlink_to("11")
    found = by_groups(tmp_path)
    assert {known: (one.pid, one.started) for known, one in found.items()} == {A: (11, 800), "machine:m": (13, 950)}
    assert "ROLE=web" in found[A].environment
