"""What is heard of other namespaces by one socket, with the real kernel."""

from __future__ import annotations

import ctypes
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
import trio
from doorkeeper import client, doorkeeper, own_run, run
from privatenet import private_net

from failoverd.daemon.namespace_events import Event, NamespaceEvents, NumberGone, Overrun, PlaceChanged
from failoverd.model.declared import NamespaceRef
from failoverd.model.places import HERE, Place

RED, BLUE = NamespaceRef("name", "red"), NamespaceRef("name", "blue")
LO = 1
PR_CAPBSET_DROP, CAP_NET_BROADCAST = 24, 11


class Heard:
    """All events so far."""

    def __init__(self, heard: NamespaceEvents) -> None:
        self.events: list[Event] = []
        self._heard, self._more = heard, trio.Event()

    async def listen(self) -> None:
        async for event in self._heard.events():
            self.events.append(event)
            self._more.set()
            self._more = trio.Event()

    async def until(self, event: Event) -> None:
        with trio.fail_after(2):
            while event not in self.events:
                await self._more.wait()


@asynccontextmanager
async def listening(place_of: Callable[[int], Place | None]) -> AsyncIterator[tuple[NamespaceEvents, Heard]]:
    with closing(NamespaceEvents(place_of)) as events:
        async with trio.open_nursery() as nursery:
            heard = Heard(events)
            nursery.start_soon(heard.listen)
            yield events, heard
            nursery.cancel_scope.cancel()


@private_net
def test_changes_in_every_referenced_namespace_are_heard(tmp_path: Path) -> None:
    own_run()
    for name in ("red", "blue", "grey"):
        run("ip", "netns", "add", name)

    async def told() -> None:
        async with client(tmp_path / "door", [RED, BLUE]) as one:
            red, blue = await one.place(RED), await one.place(BLUE)
            async with listening(one.namespaces.place_of) as (events, heard):
                assert events.hears_all
                run("ip", "netns", "set", "grey", "77")
                run("ip", "-n", "grey", "link", "set", "lo", "up")
                run("ip", "-n", "red", "link", "set", "lo", "up")
                await heard.until(PlaceChanged(red, LO))
                assert {event.place for event in heard.events if isinstance(event, PlaceChanged)} == {red}
                run("ip", "link", "set", "lo", "up")
                await heard.until(PlaceChanged(HERE, LO))
                run("ip", "-n", "blue", "addr", "add", "10.9.0.1/32", "dev", "lo")
                await heard.until(PlaceChanged(blue, LO))
                run("ip", "-n", "red", "link", "add", "v0", "index", "42", "type", "veth", "peer", "name", "v1")
                await heard.until(PlaceChanged(red, 42))
                heard.events.clear()
                run("ip", "-n", "red", "route", "add", "unreachable", "10.7.0.0/16")
                await heard.until(PlaceChanged(red, 0))
                run("ip", "netns", "del", "blue")
                await heard.until(NumberGone(blue.nsid))
                await one.absent(BLUE, "namespace-absent")
                assert Overrun() not in heard.events

    with doorkeeper(tmp_path / "door"):
        trio.run(told)


@private_net
def test_without_the_capability_it_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """It hears of its own namespace, and of numbers that are free again."""
    own_run()
    assert ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_NET_BROADCAST, 0, 0, 0) == 0
    _drop(CAP_NET_BROADCAST)

    async def told() -> None:
        async with listening(lambda nsid: Place(nsid, 1)) as (events, heard):
            assert not events.hears_all
            assert "CAP_NET_BROADCAST" in caplog.text
            run("ip", "netns", "add", "red")
            run("ip", "netns", "set", "red", "5")
            run("ip", "-n", "red", "link", "set", "lo", "up")
            run("ip", "link", "set", "lo", "up")
            await heard.until(PlaceChanged(HERE, LO))
            run("ip", "netns", "del", "red")
            await heard.until(NumberGone(5))
            assert PlaceChanged(Place(5, 1), LO) not in heard.events

    with caplog.at_level(logging.WARNING):
        trio.run(told)


def _drop(capability: int) -> None:
    """Drop a capability of this process's (capset(2), version 3)."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.capget(header, sets) == 0
    for number in (0, 1, 2):
        sets[number] &= ~(1 << capability)
    assert libc.capset(header, sets) == 0
