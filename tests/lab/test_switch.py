"""The lab's switch: what goes where, and that nobody who does not read can hold up the rest."""

from __future__ import annotations

import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from failoverd_lab.switch import QUEUE, Switch, open_switch

A, B, C = (bytes([2, 0, 0, 0, 0, n]) for n in (1, 2, 3))
ALL = b"\xff" * 6


def frame(to: bytes, source: bytes, text: bytes = b"") -> bytes:
    return to + source + b"\x88\xb5" + text


def on_switch(test: Callable[[Switch], Awaitable[None]]) -> None:
    async def main() -> None:
        with trio.fail_after(20):
            async with open_switch() as switch:
                await test(switch)

    trio.run(main)


class Station:
    def __init__(self, switch: Switch, name: str) -> None:
        self.heard: list[tuple[bytes, str]] = []
        self.port = switch.attach(name, lambda frame, port, at: self.heard.append((frame, port)))

    def take(self) -> list[tuple[bytes, str]]:
        heard, self.heard = self.heard, []
        return heard


def test_unknown_and_group_addresses_go_everywhere_but_back() -> None:
    async def test(switch: Switch) -> None:
        one, two, three = (Station(switch, name) for name in "123")
        for to in (B, ALL, b"\x33\x33\0\0\0\1"):
            one.port.send(frame(to, A))
            assert [len(station.take()) for station in (one, two, three)] == [0, 1, 1]

    on_switch(test)


def test_a_known_address_is_sent_to_its_port_alone_and_tells_where_from() -> None:
    async def test(switch: Switch) -> None:
        one, two, three = (Station(switch, name) for name in "123")
        two.port.send(frame(ALL, B))
        one.take()
        one.port.send(frame(B, A, b"hello"))
        assert two.take() == [(frame(B, A, b"hello"), "1")]
        assert three.take() == [(frame(ALL, B), "2")]

    on_switch(test)


def test_an_address_moves_with_its_first_frame_from_another_port() -> None:
    async def test(switch: Switch) -> None:
        one, two, three = (Station(switch, name) for name in "123")
        two.port.send(frame(A, B))
        three.port.send(frame(A, B))
        two.take()
        one.port.send(frame(B, A))
        assert (len(two.take()), len(three.take()[1:])) == (0, 1)

    on_switch(test)


def test_what_is_for_the_port_it_came_from_is_not_sent_back() -> None:
    async def test(switch: Switch) -> None:
        one, two = Station(switch, "1"), Station(switch, "2")
        one.port.send(frame(ALL, A))
        one.port.send(frame(A, B))
        assert one.take() == []
        assert len(two.take()) == 1

    on_switch(test)


def test_a_group_address_is_never_learned() -> None:
    async def test(switch: Switch) -> None:
        one, two, three = (Station(switch, name) for name in "123")
        one.port.send(frame(B, ALL))
        two.port.send(frame(ALL, B))
        assert (len(one.take()), len(three.take())) == (1, 2)

    on_switch(test)


def test_a_port_that_is_gone_or_has_lost_its_link_is_forgotten() -> None:
    async def test(switch: Switch) -> None:
        one, two, three = (Station(switch, name) for name in "123")
        two.port.send(frame(ALL, B))
        switch.forget(two.port)
        three.take()
        one.port.send(frame(B, A))
        assert len(three.take()) == 1
        two.port.send(frame(ALL, B))
        two.port.close()
        two.port.close()
        three.take(), two.take()
        one.port.send(frame(B, A))
        assert (len(two.take()), len(three.take())) == (0, 1)
        two.port.send(frame(ALL, B))
        assert three.take() == []
        assert Station(switch, "2").port.name == "2"

    on_switch(test)


def test_a_name_is_given_once() -> None:
    async def test(switch: Switch) -> None:
        Station(switch, "1")
        with pytest.raises(ValueError, match="has a port 1 already"):
            Station(switch, "1")

    on_switch(test)


def test_frames_are_noted_with_port_size_and_head() -> None:
    async def test(switch: Switch) -> None:
        one = Station(switch, "1")
        one.port.send(frame(ALL, A, bytes(1000)), 12.5)
        one.port.send(b"too short")
        [noted] = switch.frames
        assert (noted.at, noted.port, noted.size, noted.head[6:12]) == (12.5, "1", 1014, A)
        assert len(noted.head) < 100

    on_switch(test)


class Behind:
    """A station as QEMU is one: a datagram socket in a file, and it sends to the switch's."""

    def __init__(self, switch: Switch, directory: Path, name: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.mine, self.theirs = str(directory / f"{name}.qemu"), directory / f"{name}.switch"
        self.port = switch.attach_socket(name, self.theirs, Path(self.mine))

    def start(self) -> None:
        self.sock.bind(self.mine)

    def send(self, data: bytes) -> None:
        self.sock.sendto(data, str(self.theirs))

    def read(self) -> list[bytes]:
        found = []
        try:
            while True:
                found.append(self.sock.recv(65536))
        except BlockingIOError:
            return found


def test_sockets_both_ways_and_one_that_comes_late(tmp_path: Path) -> None:
    async def test(switch: Switch) -> None:
        station = Station(switch, "1")
        late = Behind(switch, tmp_path, "late")
        station.port.send(frame(ALL, A, b"lost"))
        assert late.port.dropped == 1
        late.start()
        station.port.send(frame(ALL, A, b"heard"))
        assert late.read() == [frame(ALL, A, b"heard")]
        late.send(frame(A, B, b"answer"))
        while not station.heard:
            await trio.lowlevel.checkpoint()
        assert station.take() == [(frame(A, B, b"answer"), "late")]
        late.sock.close()
        station.port.send(frame(ALL, A))
        assert late.port.dropped == 2

    on_switch(test)


def test_one_who_does_not_read_loses_only_his_own_frames(tmp_path: Path) -> None:
    async def test(switch: Switch) -> None:
        station, other = Station(switch, "1"), Station(switch, "2")
        paused = Behind(switch, tmp_path, "paused")
        paused.start()
        total = QUEUE + 400
        for number in range(total):
            station.port.send(frame(ALL, A, number.to_bytes(4, "big")))
        assert len(other.take()) == total
        assert 0 < paused.port.dropped < total - QUEUE
        kept = total - paused.port.dropped
        heard: list[bytes] = []
        while len(heard) < kept:
            heard += paused.read()
            await trio.lowlevel.checkpoint()
        assert heard == [frame(ALL, A, number.to_bytes(4, "big")) for number in range(kept)]

    on_switch(test)


def test_the_time_of_a_frame_is_when_it_was_written_not_when_it_was_read(tmp_path: Path) -> None:
    async def test(switch: Switch) -> None:
        station = Station(switch, "1")
        sender = Behind(switch, tmp_path, "2")
        sender.start()
        before = time.monotonic()
        sender.send(frame(ALL, B))
        after = time.monotonic()
        # This process is busy for a while: what a loaded machine does to a reader.
        time.sleep(0.1)
        while not station.heard:
            await trio.lowlevel.checkpoint()
        assert before - 0.005 <= switch.frames[-1].at <= after + 0.005

    on_switch(test)


def test_a_closed_port_gives_its_path_up(tmp_path: Path) -> None:
    async def test(switch: Switch) -> None:
        port = switch.attach_socket("1", tmp_path / "a", tmp_path / "b")
        port.close()
        again = switch.attach_socket("1", tmp_path / "c", tmp_path / "d")
        assert switch.ports == {"1": again}

    on_switch(test)


def test_a_dead_port_lets_nothing_through_and_nothing_is_learned_by_it() -> None:
    async def test(switch: Switch) -> None:
        one, two = Station(switch, "1"), Station(switch, "2")
        two.port.is_dead = True
        two.port.send(frame(ALL, B))
        one.port.send(frame(ALL, A))
        assert (one.take(), two.take(), B in switch.where) == ([], [], False)
        two.port.is_dead = False
        two.port.send(frame(A, B))
        assert one.take() == [(frame(A, B), "2")]

    on_switch(test)
