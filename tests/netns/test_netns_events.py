"""What is heard of other namespaces by one socket, with the real kernel."""

from __future__ import annotations

import ctypes
import logging
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
import trio
from doorkeeper import client, doorkeeper, own_run, run
from privatenet import private_net

from failoverd.daemon.namespace_events import Ended, Event, NamespaceEvents, Overrun, Told
from failoverd.model.declared import NamespaceRef
from failoverd.model.places import HERE, Place
from failoverd.netlink.frames import HEADER, split
from failoverd.netlink.inet import AF_INET6, RTM_DELROUTE, RTM_NEWADDR, RTM_NEWROUTE, RTMSG
from failoverd.netlink.links import RTM_NEWLINK

RED, BLUE = NamespaceRef("name", "red"), NamespaceRef("name", "blue")
LO = 1
INDEX = struct.Struct("=4xI")
"""Of struct ifinfomsg and struct ifaddrmsg."""
PR_CAPBSET_DROP, CAP_NET_BROADCAST = 24, 11


class Heard:
    """All events so far, and of what the kernel tells the place and the first message."""

    def __init__(self, heard: NamespaceEvents) -> None:
        self.events: list[Event] = []
        self.told: list[tuple[Place, int, int]] = []
        self._heard, self._more = heard, trio.Event()

    async def listen(self) -> None:
        async for event in self._heard.events():
            self.events.append(event)
            if isinstance(event, Told):
                message = next(split(event.datagram))
                self.told.append((event.place, message.type, int(INDEX.unpack_from(message.payload)[0])))
            self._more.set()
            self._more = trio.Event()

    async def until(self, event: Event | tuple[Place, int, int]) -> None:
        with trio.fail_after(2):
            while event not in (*self.events, *self.told):
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
            async with listening({place.nsid: place for place in (red, blue)}.get) as (events, heard):
                assert events.hears_all
                run("ip", "netns", "set", "grey", "77")
                run("ip", "-n", "grey", "link", "set", "lo", "up")
                run("ip", "-n", "red", "link", "set", "lo", "up")
                await heard.until((red, RTM_NEWLINK, LO))
                assert {place for place, _, _ in heard.told} == {red}
                run("ip", "link", "set", "lo", "up")
                await heard.until((HERE, RTM_NEWLINK, LO))
                run("ip", "-n", "blue", "addr", "add", "10.9.0.1/32", "dev", "lo")
                await heard.until((blue, RTM_NEWADDR, LO))
                run("ip", "-n", "red", "link", "add", "v0", "index", "42", "type", "veth", "peer", "name", "v1")
                await heard.until((red, RTM_NEWLINK, 42))
                before = len(heard.told)
                # Others' routes are none of failoverd's.
                run("ip", "-n", "red", "route", "add", "unreachable", "10.7.0.0/16")
                run("ip", "-n", "red", "-6", "route", "add", "unreachable", "2001:db8:7::/48", "proto", "119")
                with trio.fail_after(2):
                    while RTM_NEWROUTE not in {told[1] for told in heard.told[before:]}:
                        await trio.sleep(0.01)
                routes = [event.datagram for event in heard.events if isinstance(event, Told)]
                told_of = [RTMSG.unpack_from(routes[-1], HEADER.size)[i] for i in (0, 5)]
                assert told_of == [AF_INET6, 119]
                assert [kind for _, kind, _ in heard.told].count(RTM_NEWROUTE) == 1
                run("ip", "-n", "red", "-6", "route", "del", "unreachable", "2001:db8:7::/48", "proto", "119")
                with trio.fail_after(2):
                    while RTM_DELROUTE not in {told[1] for told in heard.told[before:]}:
                        await trio.sleep(0.01)
                run("ip", "netns", "del", "blue")
                await heard.until(Ended(blue))
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
            await heard.until((HERE, RTM_NEWLINK, LO))
            run("ip", "netns", "del", "red")
            await heard.until(Ended(Place(5, 1)))
            assert {place for place, _, _ in heard.told} == {HERE}

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
