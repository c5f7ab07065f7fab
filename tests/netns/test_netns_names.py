"""Namespaces by name and path, with the real kernel: they come, go, and are entered."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
from pathlib import Path

import pytest
import trio
from doorkeeper import client, comes_to_rest, doorkeeper, files_at_rest, own_run, run
from privatenet import private_net

from failoverd.daemon.open_namespace import NamespaceGoneError
from failoverd.model.declared import OWN, NamespaceRef
from failoverd.model.places import HERE, Place
from failoverd.netlink.frames import NLM_F_DUMP, build, split
from failoverd.netlink.links import INFO, RTM_GETLINK, RTM_NEWLINK, read_link

RED, BLUE = NamespaceRef("name", "red"), NamespaceRef("name", "blue")
ROUNDS = 50
WITHIN = 1.0


def names(sock: socket.socket) -> set[str]:
    """The devices that a netlink socket sees."""
    sock.send(build(RTM_GETLINK, NLM_F_DUMP, 1, INFO.pack(0, 0, 0, 0, 0)))
    found: set[str] = set()
    while True:
        for message in split(sock.recv(1 << 18)):
            if message.type != RTM_NEWLINK:
                return found
            found.add(read_link(message).name)


def add(name: str) -> None:
    run("ip", "netns", "add", name)


def delete(name: str) -> None:
    run("ip", "netns", "del", name)


@private_net
def test_a_name_comes_and_goes_and_is_entered(tmp_path: Path) -> None:
    own_run()
    door = tmp_path / "door"

    async def told() -> None:
        async with client(door, [RED, OWN]) as one:
            assert one.namespaces.now(OWN) == HERE
            assert "/run/netns/red" in (await one.absent(RED, "namespace-absent")).detail
            add("red")
            place = await one.place(RED, WITHIN)
            run("ip", "-n", "red", "link", "add", "in-red", "type", "veth", "peer", "name", "also-red")
            with await trio.to_thread.run_sync(one.namespaces.open, place) as inside:
                assert names(inside.socket) == {"lo", "in-red", "also-red"}
                assert os.fstat(inside.fd).st_ino == Path("/run/netns/red").stat().st_ino
                assert not os.get_inheritable(inside.fd)
                assert not inside.socket.get_inheritable()
            with one.namespaces.open(HERE) as here:
                assert names(here.socket) == {"lo"}
            delete("red")
            await one.absent(RED, "namespace-absent", within=WITHIN)
            with pytest.raises(NamespaceGoneError):
                one.namespaces.open(place)
            add("red")
            again = await one.place(RED, WITHIN)
            assert again != place

    with doorkeeper(door):
        trio.run(told)


@private_net
def test_fifty_times_with_random_pauses(tmp_path: Path) -> None:
    """Each coming and going is seen within a second, and the doorkeeper is as it was before."""
    own_run()
    door, dice = tmp_path / "door", random.Random(16)
    add("blue")

    async def told(pid: int) -> None:
        async with client(door, [RED, BLUE]) as one:
            await one.place(BLUE)
            await one.absent(RED, "namespace-absent")
            before: dict[str, str] = {}
            seen = set()
            for _ in range(ROUNDS):
                await trio.to_thread.run_sync(add, "red")
                seen.add(await one.place(RED, WITHIN))
                await trio.sleep(dice.uniform(0, 0.2))
                if dice.random() < 0.5:
                    with one.namespaces.open(await one.place(RED)):
                        pass
                await trio.to_thread.run_sync(delete, "red")
                await one.absent(RED, "namespace-absent", within=WITHIN)
                # From the first round on all that it listens to is open.
                before = before or files_at_rest(pid)
                await trio.sleep(dice.uniform(0, 0.2))
            assert len(seen) == ROUNDS, "each was another namespace"
            comes_to_rest(pid, before)

    with doorkeeper(door) as process:
        trio.run(told, process.pid)


@private_net
def test_a_change_between_two_looks_is_told_as_another_place(tmp_path: Path) -> None:
    """The kernel gives the number again at once; the place is another one all the same."""
    own_run()
    door = tmp_path / "door"
    add("red")

    async def told(process: subprocess.Popen[bytes]) -> None:
        async with client(door, [RED]) as one:
            first = await one.place(RED)
            process.send_signal(signal.SIGSTOP)
            delete("red")
            add("red")
            process.send_signal(signal.SIGCONT)
            await one.until(RED, lambda what: isinstance(what, Place) and what != first, WITHIN)
            with pytest.raises(NamespaceGoneError):
                one.namespaces.open(first)

    with doorkeeper(door) as process:
        trio.run(told, process)


@private_net
def test_what_is_no_network_namespace_is_not_yet_one(tmp_path: Path) -> None:
    """A plain file where the mount will be, a FIFO, a uts namespace, a directory, a link to nowhere: no hang."""
    own_run()
    door, place = tmp_path / "door", Path("/run/things")
    place.mkdir()
    (place / "plain").touch()
    os.mkfifo(place / "fifo")
    (place / "folder").mkdir()
    (place / "link").symlink_to("/nonexistent")
    references = {
        name: NamespaceRef("path", str(place / name)) for name in ("plain", "fifo", "folder", "link", "later")
    }
    references["uts"] = NamespaceRef("path", "/proc/self/ns/uts")
    Path("/run/netns").mkdir()
    Path("/run/netns/red").touch()

    async def told() -> None:
        async with client(door, [*references.values(), RED]) as one:
            for name in ("plain", "fifo", "folder", "uts"):
                await one.absent(references[name], "namespace-not-yet")
            for name in ("link", "later"):
                await one.absent(references[name], "namespace-absent")
            await one.absent(RED, "namespace-not-yet")
            count = len(one.told)
            await trio.sleep(0.5)
            assert len(one.told) == count, "what stays as it is is told once"
            add("blue")
            run("mount", "--bind", "/run/netns/blue", "/run/netns/red")
            run("mount", "--bind", "/run/netns/blue", str(place / "plain"))
            (place / "later").symlink_to("/run/netns/blue")
            found = [
                await one.place(one_of, WITHIN + 0.1) for one_of in (RED, references["plain"], references["later"])
            ]
            assert len(set(found)) == 1, "three ways to one namespace"

    with doorkeeper(door):
        trio.run(told)


@private_net
def test_our_own_namespace_is_not_taken_for_another(tmp_path: Path) -> None:
    own_run()
    Path("/run/netns").mkdir()
    Path("/run/netns/red").touch()
    run("mount", "--bind", "/proc/self/ns/net", "/run/netns/red")
    here = [RED, NamespaceRef("path", "/run/netns/red"), NamespaceRef("pid", str(os.getpid()))]

    async def told() -> None:
        async with client(tmp_path / "door", here) as one:
            for reference in here:
                await one.absent(reference, "namespace-is-own")

    with doorkeeper(tmp_path / "door"):
        trio.run(told)


@private_net
def test_a_missing_one_is_made_where_that_is_asked_for(tmp_path: Path) -> None:
    own_run()
    made = NamespaceRef("name", "red", create=True)

    async def told() -> None:
        async with client(tmp_path / "door", [made, RED]) as one:
            first = await one.place(made)
            assert await one.place(RED) == first
            assert run("ip", "netns", "list").split()[0] == "red"
            assert run("ip", "-n", "red", "-o", "link").count("\n") == 1
            await trio.to_thread.run_sync(delete, "red")
            await one.until(made, lambda what: isinstance(what, Place) and what != first, WITHIN)

    with doorkeeper(tmp_path / "door"):
        trio.run(told)
        # It has a life of its own.
    assert run("ip", "netns", "list").split()[0] == "red"
