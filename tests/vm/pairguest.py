"""A guest with a pair, for tests that do more than a story can say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import trio

from failoverd_lab import install
from failoverd_lab.guest import Guest, open_guest
from failoverd_lab.image import image
from failoverd_lab.nics import GuestNic
from failoverd_lab.switch import Switch, open_switch

MAC = "52:54:00:fa:11:01"
ADDRESS = "10.111.0.2"
STANDBY = GuestNic("pv", "virtio", MAC, 1)
VF = GuestNic("vf", "vf", MAC, 2)


@dataclass(frozen=True)
class PairGuest:
    """The guest, the switch it is on, and what the guest first called its paravirtual NIC."""

    guest: Guest
    switch: Switch
    name: str

    async def shell(self, script: str, *words: str, seconds: float = 300) -> str:
        """What a shell script in the guest prints; it must succeed, within that many seconds."""
        return (await self.guest.run(["sh", "-ec", script, "test", *words], timeout=seconds)).check().stdout.decode()

    async def master(self) -> Mapping[str, Any]:
        """The daemon's one master; empty while there is none."""
        document = await install.ask(self.guest, "status")
        return document["masters"][0] if document and document["masters"] else {}

    async def until(self, holds: Callable[[Mapping[str, Any]], bool], seconds: float = 60) -> Mapping[str, Any]:
        """The master, once that holds of it."""
        master: Mapping[str, Any] = {}
        with trio.move_on_after(seconds):
            while True:
                master = await self.master()
                if master and holds(master):
                    return master
                await trio.sleep(0.5)
        raise AssertionError(f"after {seconds:g} s the master is {master}")

    async def accelerated(self) -> Mapping[str, Any]:
        """Wait until the VF carries."""
        return await self.until(lambda master: master["state"] == "accelerated")

    async def on_standby(self) -> Mapping[str, Any]:
        """Wait until the VF is gone and the standby carries."""
        return await self.until(lambda master: master["state"] == "on-standby" and master["primary"] is None)


@asynccontextmanager
async def pair_guest(
    nics: tuple[GuestNic, ...] = (STANDBY, VF),
    suite: str = "bookworm",
    extra: tuple[str, ...] = (),
    install_it: bool = True,
    config: Mapping[str, Any] | None = None,
) -> AsyncIterator[PairGuest]:
    """A guest with failoverd installed and not running; its paravirtual NIC is up and has an address."""
    disk = await image(suite, extra=extra, progress=print)
    async with open_switch() as switch, open_guest(disk, switch, nics=nics) as guest:
        name = (await guest.netdevs("pv"))[0]
        pair = PairGuest(guest, switch, name)
        await pair.shell(
            'ip link set "$1" up; ip address add 10.111.0.2/24 dev "$1"; ip route add default via 10.111.0.1', name
        )
        if install_it:
            await install.install(guest, config or {})
        yield pair


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run an asynchronous test."""
    trio.run(test)
