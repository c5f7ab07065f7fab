"""The doorkeeper as its clients meet it: who is served, what is refused, what it holds, and when it ends."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
from doorkeeper import Client, client, comes_to_rest, doorkeeper, files_at_rest, open_files, own_run, run
from privatenet import container, private_net

from failoverd.daemon.namespaces import Namespaces
from failoverd.daemon.open_namespace import NamespaceGoneError
from failoverd.model.declared import NamespaceRef
from failoverd.model.places import Place
from failoverd.netns.protocol import LARGEST, REFERENCES, Set, pack_open, pack_set, pack_watch, read_answer
from failoverd.netns.server import CLIENTS, PATIENCE

RED = NamespaceRef("name", "red")
NOBODY = 65534
SPARE = 2 << 20
"""Bytes that the doorkeeper may have grown by."""


@contextmanager
def connected(door: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.settimeout(PATIENCE + 3)
        sock.connect(str(door))
        yield sock


def resident(pid: int) -> int:
    """Resident memory of a process, in bytes."""
    words = Path(f"/proc/{pid}/statm").read_text().split()
    return int(words[1]) * os.sysconf("SC_PAGE_SIZE")


@private_net
def test_garbage_ends_the_connection_and_nothing_else(tmp_path: Path) -> None:
    door = tmp_path / "door"
    own_run()
    with (tmp_path / "log").open("wb") as said, doorkeeper(door, said=said):
        many = [NamespaceRef("name", f"n{number}") for number in range(REFERENCES + 1)]
        first = pack_watch([RED], {})[0]
        bad = [
            [b"garbage"],
            [b"x" * (LARGEST + 1)],
            [first, pack_open(RED, Place(1, 1))],
            [first, b"{}"],
            pack_watch(many, {}),
        ]
        for datagrams in bad:
            with connected(door) as sock:
                for datagram in datagrams:
                    sock.send(datagram)
                answers = list(iter(lambda sock=sock: sock.recv(LARGEST), b""))  # type: ignore[misc]
                assert len(answers) <= 1
        with connected(door) as sock:
            sock.send(first)
            read_answer(sock.recv(LARGEST))
    lines = (tmp_path / "log").read_text().splitlines()
    assert len(lines) == len(bad), "one line each, and no traceback"
    assert all(line.startswith("a client of the namespaces' socket is closed: it sent ") for line in lines)


@private_net
def test_another_user_is_not_served(tmp_path: Path) -> None:
    """By the name of whoever connects, not by the socket's mode alone."""
    door = tmp_path / "door"
    own_run()
    tmp_path.chmod(0o755)
    with doorkeeper(door):
        door.chmod(0o666)
        with connected(door) as sock:
            sock.send(pack_watch([RED], {})[0])
            assert sock.recv(LARGEST)
        for parent in door.parents:
            if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o055)
        os.seteuid(NOBODY)
        with connected(door) as sock:
            assert sock.recv(LARGEST) == b""
        os.seteuid(0)


@private_net
def test_a_client_that_says_nothing_is_closed_and_too_many_are_not_taken(tmp_path: Path) -> None:
    door = tmp_path / "door"
    own_run()
    with doorkeeper(door):
        start = time.monotonic()
        silent = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(CLIENTS)]
        for sock in silent:
            sock.settimeout(PATIENCE + 3)
            sock.connect(str(door))
        with connected(door) as sock:
            assert sock.recv(LARGEST) == b"", "one too many"
        assert time.monotonic() - start < PATIENCE
        for sock in silent:
            assert sock.recv(LARGEST) == b""
            sock.close()
        assert time.monotonic() - start >= PATIENCE
        with connected(door) as sock:
            sock.send(pack_watch([RED], {})[0])
            assert sock.recv(LARGEST)


@private_net
def test_it_ends_without_clients_and_not_with_one(tmp_path: Path) -> None:
    door = tmp_path / "door"
    own_run()

    async def told(process: subprocess.Popen[bytes]) -> None:
        async with client(door, [RED]) as one:
            await one.absent(RED, "namespace-absent")
            await trio.sleep(1)
            assert process.poll() is None
            one.watch()
            with trio.fail_after(5):
                while process.poll() is None:
                    await trio.sleep(0.05)
        assert process.returncode == 0

    with doorkeeper(door, "--idle", "0.5") as process:
        trio.run(told, process)


@private_net
def test_nothing_is_held_open_after_many_requests(tmp_path: Path) -> None:
    """Files, threads and memory are as before, and no file is a namespace."""
    door = tmp_path / "door"
    own_run()
    run("ip", "netns", "add", "red")

    async def told(pid: int) -> None:
        async with client(door, [RED]) as one:
            place = await one.place(RED)

            def open_and_close(times: int) -> None:
                for _ in range(times):
                    one.namespaces.open(place).close()

            files = files_at_rest(pid)
            await trio.to_thread.run_sync(open_and_close, 20)
            comes_to_rest(pid, files)
            before = resident(pid)
            await trio.to_thread.run_sync(open_and_close, 500)
            with pytest.raises(NamespaceGoneError):
                Namespaces(door).open(Place(place.nsid, place.epoch))
            comes_to_rest(pid, files)
            assert resident(pid) <= before + SPARE
            assert not [target for target in open_files(pid).values() if target.startswith("net:")]

    with doorkeeper(door) as process:
        trio.run(told, process.pid)


@private_net
def test_a_wrong_place_is_not_opened(tmp_path: Path) -> None:
    door = tmp_path / "door"
    own_run()
    run("ip", "netns", "add", "red")

    async def told() -> None:
        async with client(door, [RED]) as one:
            place = await one.place(RED)
            wrong = (Place(place.nsid, place.epoch + 1), Place(place.nsid + 1, place.epoch))
            for reference in (RED, NamespaceRef("name", "blue"), NamespaceRef("container", "name:x")):
                for other in wrong:
                    with connected(door) as sock:
                        sock.send(pack_open(reference, other))
                        message, files, _, _ = socket.recv_fds(sock, LARGEST, 2)
                        assert json.loads(message).keys() == {"refused"}
                        assert files == []

    with doorkeeper(door):
        trio.run(told)


def dies(pid: int, within: float) -> None:
    """End a container's process; its end of a veth pair, and so ours, has to be gone in time."""
    os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + within
    while "near" in run("ip", "-o", "link"):
        assert time.monotonic() < end, "the namespace lives on"
        time.sleep(0.005)


@pytest.mark.parametrize("stopped", ["doorkeeper", "client", "neither"])
def test_a_containers_death_is_not_held_up(tmp_path: Path, stopped: str) -> None:
    """Also while the doorkeeper, or its client, is stopped by SIGSTOP; the client has had it open before."""

    @private_net
    def alone() -> None:
        own_run()
        with container() as pid:
            run("ip", "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", str(pid))
            with doorkeeper(tmp_path / "door") as door:
                child = os.fork()
                if child == 0:
                    _client(tmp_path / "door", pid)
                while not (tmp_path / "ready").exists():
                    time.sleep(0.01)
                try:
                    held = {"doorkeeper": door.pid, "client": child}.get(stopped)
                    if held:
                        os.kill(held, signal.SIGSTOP)
                    dies(pid, within=1.0)
                finally:
                    os.kill(child, signal.SIGKILL)
                    os.waitpid(child, 0)

    alone()


def _client(door: Path, pid: int) -> None:
    """Watch and open a process's namespace in this process, for ever."""
    reference = NamespaceRef("pid", str(pid))

    async def told() -> None:
        async with client(door, [reference]) as one:
            await _open(one, reference)
            door.with_name("ready").touch()
            await trio.sleep_forever()

    try:
        trio.run(told)
    finally:
        os._exit(1)


async def _open(one: Client, reference: NamespaceRef) -> None:
    place = await one.place(reference)
    with await trio.to_thread.run_sync(one.namespaces.open, place):
        pass


@private_net
def test_sysctls_are_written_inside_and_of_the_device_that_is_meant(tmp_path: Path) -> None:
    door = tmp_path / "door"
    own_run()
    run("ip", "netns", "add", "red")
    own = Path("/proc/sys/net/ipv6/conf/lo/accept_ra").read_text()
    value = "0" if own.strip() != "0" else "1"

    async def told() -> None:
        async with client(door, [RED]) as one:
            place = await one.place(RED)

            async def write(place: Place, ifindex: int, device: str, asked: list[tuple[str, str]]) -> tuple[int, ...]:
                return await trio.to_thread.run_sync(one.namespaces.write, place, ifindex, device, asked)

            asked = [("ipv6/accept_ra", value), ("ipv6/hop_limit", "-7"), ("ipv4/rp_filter", "2")]
            assert await write(place, 1, "lo", asked) == (0, errno.EINVAL, 0)
            assert await write(place, 2, "lo", asked) == (errno.ENODEV,) * 3
            assert await write(place, 1, "nobody0", asked) == (errno.ENODEV,) * 3
            with connected(door) as sock:
                sock.send(pack_set(Set(RED, Place(place.nsid, place.epoch + 1), 1, "lo", (("ipv4/rp_filter", "1"),))))
                assert json.loads(sock.recv(LARGEST)).keys() == {"refused"}
            run("ip", "netns", "delete", "red")
            with pytest.raises(NamespaceGoneError):
                await write(place, 1, "lo", asked)

    with doorkeeper(door):
        run("ip", "netns", "exec", "red", "true")
        trio.run(told)
    assert Path("/proc/sys/net/ipv6/conf/lo/accept_ra").read_text() == own
