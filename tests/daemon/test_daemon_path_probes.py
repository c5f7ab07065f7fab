"""The task that probes paths: its rounds, its targets, and what becomes of it where nobody can be asked."""

from __future__ import annotations

import errno
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import trio
from toykernel import route
from trio.testing import MockClock

from failoverd.daemon import path_probes
from failoverd.daemon.path_probes import GATEWAYS_DOUBTED, GATEWAYS_KNOWN, PathProbes, Silence
from failoverd.model.actions import ProbePaths
from failoverd.model.events import PathsSeen
from failoverd.model.pairs import Inet
from failoverd.netlink.fetch import Opener

MAC, SLAVES = "52:54:00:fa:11:01", ((3, "52:54:00:fa:11:01"), (2, "d2:54:00:fa:11:01"))
ASKED = ProbePaths(MAC, SLAVES, ("10.0.0.9",), 9, 2.0)


@dataclass
class Net:
    """What is asked there, and when; `gateways` are those of the master's default routes."""

    asked: list[tuple[float, tuple[str, ...], float]] = field(default_factory=list)
    open: int = 0
    opened: list[dict[int, str]] = field(default_factory=list)
    errors: list[OSError] = field(default_factory=list)
    answers: frozenset[int] = frozenset({2, 3})
    told: list[tuple[float, PathsSeen]] = field(default_factory=list)
    gateways: list[str] = field(default_factory=list)
    looked: list[float] = field(default_factory=list)
    look_errors: list[OSError] = field(default_factory=list)

    async def tell(self, event: PathsSeen) -> None:
        self.told.append((trio.current_time(), event))

    async def fetch(self, _opener: Opener, ifindexes: list[int]) -> dict[int, Inet]:
        self.looked.append(trio.current_time())
        if self.look_errors:
            raise self.look_errors.pop()
        routes = [route("10.0.0.0/24", 9), route("10.1.0.0/16", 9, "10.0.0.3")]
        return {9: Inet(routes=(*routes, *(route("0.0.0.0/0", 9, gateway) for gateway in self.gateways)))}


class Asker:
    def __init__(self, net: Net, slaves: Mapping[int, str]) -> None:
        if net.errors:
            raise net.errors.pop()
        self.net = net
        net.opened.append(dict(slaves))

    def __enter__(self) -> Asker:
        self.net.open += 1
        return self

    def __exit__(self, *_error: object) -> None:
        self.net.open -= 1

    async def ask(self, targets: Iterable[str], wait: float) -> frozenset[int]:
        self.net.asked.append((trio.current_time(), tuple(targets), wait))
        await trio.sleep(wait / 2)
        return self.net.answers


def on(net: Net, body: Callable[[PathProbes], Awaitable[None]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path_probes, "fetch_inet", net.fetch)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            opener: Any = None
            await body(PathProbes(nursery, opener, lambda slaves: Asker(net, slaves)))
            nursery.cancel_scope.cancel()
        assert net.open == 0

    trio.run(main, clock=MockClock(autojump_threshold=0))


def test_a_round_in_each_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net()

    async def body(probes: PathProbes) -> None:
        probes.do(ASKED, net.tell)
        await trio.sleep(5)

    on(net, body, monkeypatch)
    assert net.opened == [dict(SLAVES)]
    assert net.asked == [(at, ("10.0.0.9",), 1.0) for at in (0, 2, 4)]
    assert net.told == [(at + 0.5, PathsSeen(MAC, SLAVES, frozenset({2, 3}))) for at in (0, 2, 4)]
    assert net.looked == []


def test_another_question_takes_its_place_and_none_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net()
    other = ProbePaths(MAC, SLAVES[::-1], ("10.0.0.8",), 9, 2.0)

    async def body(probes: PathProbes) -> None:
        probes.do(ASKED, net.tell)
        await trio.sleep(2.2)
        probes.do(other, net.tell)
        await trio.sleep(1)
        assert net.open == 1
        probes.do(ProbePaths(MAC), net.tell)
        probes.do(ProbePaths(MAC), net.tell)
        await trio.sleep(10)
        assert net.open == 0

    on(net, body, monkeypatch)
    assert [event.slaves for _, event in net.told] == [SLAVES, SLAVES[::-1]]


def test_gateways_are_looked_up_again_sooner_where_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net(gateways=["10.0.0.1", "10.0.0.2", "10.0.0.1"])

    async def body(probes: PathProbes) -> None:
        probes.do(ProbePaths(MAC, SLAVES, ("10.0.0.9", "gateway"), 9, 1.0), net.tell)
        await trio.sleep(GATEWAYS_KNOWN + 0.9)
        assert net.looked == [0, GATEWAYS_KNOWN + 0.25], "behind the round"
        net.answers, net.gateways = frozenset(), ["10.0.0.7"]
        net.look_errors = [OSError(errno.ENOBUFS, "busy")]
        await trio.sleep(2 * GATEWAYS_DOUBTED)
        assert net.looked[2:] == [GATEWAYS_KNOWN + n * GATEWAYS_DOUBTED + 0.25 for n in (1, 2)]
        await trio.sleep(1)

    on(net, body, monkeypatch)
    assert net.asked[0][1] == ("10.0.0.9", "10.0.0.1", "10.0.0.2")
    assert net.asked[-3][1] == net.asked[0][1], "the routes could not be read: those of before"
    assert net.asked[-1][1] == ("10.0.0.9", "10.0.0.7")


def test_without_a_gateway_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net()

    async def body(probes: PathProbes) -> None:
        probes.do(ProbePaths(MAC, SLAVES, ("gateway",), 9, 1.0), net.tell)
        await trio.sleep(1.5)

    on(net, body, monkeypatch)
    assert net.asked == []
    assert [event.answered for _, event in net.told] == [frozenset(), frozenset()]


def test_a_nic_that_cannot_be_listened_to(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    gone = [OSError(errno.ENODEV, "there is no device with ifindex 3 any more") for _ in range(3)]
    net = Net(errors=gone)

    async def body(probes: PathProbes) -> None:
        probes.do(ASKED, net.tell)
        await trio.sleep(6.1)

    with caplog.at_level(logging.WARNING, "failoverd"):
        on(net, body, monkeypatch)
    assert [at for at, _, _ in net.asked] == [6]
    (line,) = caplog.messages
    assert line.endswith("there is no device with ifindex 3 any more; trying again")


def test_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        with Silence({}) as probe:
            assert await probe.ask(["10.0.0.1"], 1) == frozenset()
        assert trio.current_time() == 1

    trio.run(main, clock=MockClock(autojump_threshold=0))
