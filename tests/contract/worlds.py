"""The two kernels the contract tests run on, behind one surface: a few NICs, and netlink sockets."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import pytest
import trio
import trio.testing
from client import Client, Link, NetlinkSocket, Refused, ifinfo
from realkernel import Namespace, RealSocket

from failoverd_lab.simkernel import Namespaces, SimKernel, run_timers, state, wire
from failoverd_lab.simkernel import uapi as n


class Elsewhere(Protocol):
    """A further network namespace of that kernel, held by a descriptor and by its sockets. It may be closed twice."""

    descriptor: int

    def socket(self) -> NetlinkSocket: ...
    def close(self) -> None: ...


class World(Protocol):
    """A kernel of one's own, as its hypervisor and as its user. NICs are given by ifindex."""

    name: str
    release: tuple[int, int]

    @property
    def clock(self) -> trio.abc.Clock | None: ...

    def running(self) -> AbstractAsyncContextManager[None]: ...
    def socket(self) -> NetlinkSocket: ...
    def another(self) -> Elsewhere: ...
    async def plug(self, name: str, mac: str, carrier: bool = True) -> int: ...
    async def unplug(self, nic: int) -> None: ...
    async def set_medium(self, nic: int, up: bool) -> None: ...
    async def sysctl(self, nic: int, name: str, value: int) -> int: ...


class Simulated:
    """The simulated kernel on a clock that jumps whenever everybody waits."""

    name = "sim"
    release = (6, 1)

    def __init__(self, release: tuple[int, int] = (6, 1)) -> None:
        self.clock: trio.abc.Clock | None = trio.testing.MockClock(autojump_threshold=0)
        self.release = release

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The kernel exists, and its timers run."""
        self.kernel = SimKernel(trio.current_time, self.release)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_timers, self.kernel)
            yield
            nursery.cancel_scope.cancel()

    def socket(self) -> NetlinkSocket:
        """A new socket."""
        return self.kernel.open()

    def another(self) -> Elsewhere:
        """A further namespace."""
        return SimulatedElsewhere(Namespaces(self.kernel))

    async def plug(self, name: str, mac: str, carrier: bool = True) -> int:
        """A NIC."""
        return self.kernel.plug(name, mac, "pci", "vf", "0000:01:00.0", carrier_when_up=carrier)

    async def unplug(self, nic: int) -> None:
        """Hot-unplug it."""
        self.kernel.unplug(nic)

    async def set_medium(self, nic: int, up: bool) -> None:
        """Carrier comes and goes with it."""
        self.kernel.set_medium(nic, up)

    async def sysctl(self, nic: int, name: str, value: int) -> int:
        """Write `ipv6/accept_ra` and the like of a device, of new ones for 0; the errno."""
        try:
            self.kernel.write_sysctl(nic, name, value)
        except state.Refused as refused:
            return refused.code
        return 0


class SimulatedElsewhere:
    """A namespace that only its descriptor holds."""

    def __init__(self, namespaces: Namespaces) -> None:
        self._namespaces = namespaces
        self._kernel = namespaces.create("red")
        self.descriptor = namespaces.descriptor("red")
        namespaces.delete("red")

    def socket(self) -> NetlinkSocket:
        """A new socket."""
        return self._kernel.open()

    def close(self) -> None:
        """Close the descriptor."""
        if self.descriptor >= 0:
            self._namespaces.close(self.descriptor)
        self.descriptor = -1


class Real:
    """The kernel that runs this test, in a private namespace. A NIC is one end of a veth; the other is its medium."""

    name = "real"
    clock: trio.abc.Clock | None = None

    def __init__(self, release: tuple[int, int]) -> None:
        self.release = release
        self._peers: dict[int, int] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The namespace exists."""
        self._namespace = Namespace()
        self._open: list[RealSocket] = []
        self._host = Client(self.socket())
        try:
            yield
        finally:
            for sock in self._open:
                sock.close()
            self._namespace.close()

    def socket(self) -> NetlinkSocket:
        """A new socket."""
        sock = RealSocket(self._namespace.open())
        self._open.append(sock)
        return sock

    def another(self) -> Elsewhere:
        """A further namespace."""
        return RealElsewhere(self._namespace)

    async def plug(self, name: str, mac: str, carrier: bool = True) -> int:
        """A veth; its peer is called p_NAME."""
        peer = wire.attr(1, ifinfo() + wire.string(n.IFLA_IFNAME, f"p_{name}"))
        info = wire.nest(n.IFLA_LINKINFO, wire.string(n.IFLA_INFO_KIND, "veth"), wire.nest(n.IFLA_INFO_DATA, peer))
        attrs = [wire.string(n.IFLA_IFNAME, name), wire.attr(n.IFLA_ADDRESS, wire.mac_bytes(mac)), info]
        await self._host.ask(n.RTM_NEWLINK, n.NLM_F_CREATE | n.NLM_F_EXCL, ifinfo(), *attrs)
        indexes = {link.name: link.index for link in (await self._host.links()).values()}
        self._peers[indexes[name]] = indexes[f"p_{name}"]
        await self.set_medium(indexes[name], carrier)
        return indexes[name]

    async def unplug(self, nic: int) -> None:
        """A veth goes with its peer."""
        await self._host.ask(n.RTM_DELLINK, 0, ifinfo(self._peers.pop(nic)))

    async def set_medium(self, nic: int, up: bool) -> None:
        """A veth has a carrier while its peer is up."""
        await self._host.set_link(self._peers[nic], up=up)

    async def sysctl(self, nic: int, name: str, value: int) -> int:
        """Write the file."""
        device = (await self._host.link(nic)).name if nic else "default"
        family, file = name.split("/")
        return self._namespace.write(f"/proc/sys/net/{family}/conf/{device}/{file}", str(value))


class RealElsewhere:
    """A namespace that only its descriptor holds."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self.descriptor = namespace.another()

    def socket(self) -> NetlinkSocket:
        """A new socket."""
        return RealSocket(self._namespace.open_in(self.descriptor))

    def close(self) -> None:
        """Close the descriptor."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor = -1


def lacks(kind: str) -> str:
    """Why the running kernel can make no device of this kind; "" if it can."""

    async def attempt() -> str:
        world = Real((0, 0))
        async with world.running():
            info = wire.nest(n.IFLA_LINKINFO, wire.string(n.IFLA_INFO_KIND, kind))
            try:
                await Client(world.socket()).ask(n.RTM_NEWLINK, n.NLM_F_CREATE, ifinfo(), info)
            except Refused as refused:
                if refused.code == errno.EOPNOTSUPP:
                    return f"this kernel has no devices of kind {kind!r}: RTM_NEWLINK answers {refused}"
            return ""

    return trio.run(attempt)


@dataclass
class Stage:
    """What a test works with: a world, and a client in the groups of links and addresses."""

    world: World
    client: Client

    async def nic(self, name: str, mac: str = "02:00:00:00:00:0a", up: bool = False, carrier: bool = True) -> int:
        """A NIC; `up` brings it up and waits for its operstate to be told.

        Of a new device IFF_RUNNING says less: it is set while the operstate is not known yet, and a notice follows.
        """
        nic = await self.world.plug(name, mac, carrier)
        if up:
            await self.client.set_link(nic, up=True)
            if carrier:
                await self.client.until_operational(nic)
        await self.quiet(nic)
        return nic

    async def quiet(self, index: int) -> None:
        """Hear and forget all that is queued; an answer stands behind it."""
        await self.client.link(index)
        self.client.take_links()

    async def bond(self, name: str, mac: str = "02:00:00:00:00:0a", up: bool = False, miimon: int = 100) -> int:
        """A bond as failoverd makes them."""
        mode = wire.u8(n.IFLA_BOND_MODE, n.BOND_MODE_ACTIVEBACKUP)
        data = mode + wire.u32(n.IFLA_BOND_MIIMON, miimon) + wire.u8(n.IFLA_BOND_FAIL_OVER_MAC, 1)
        attrs = [wire.attr(n.IFLA_ADDRESS, wire.mac_bytes(mac))] if mac else []
        bond = await self.client.create("bond", name, *attrs, data=data, up=up)
        self.client.take_links()
        return bond

    async def enslave(self, bond: int, *nics: int) -> None:
        """Put NICs into a bond, and hear all of it."""
        for nic in nics:
            await self.client.set_link(nic, wire.u32(n.IFLA_MASTER, bond))
            await self._until_running(nic, bond)
        link = await self.client.link(bond)
        if link.up and not link.flags & n.IFF_RUNNING:
            await self._until_running(bond, 0)
        await self.quiet(bond)

    async def _until_running(self, index: int, master: int) -> None:
        def running(link: Link) -> bool:
            return link.index == index and link.master == master and bool(link.flags & n.IFF_RUNNING)

        await self.client.until_link(running)


Test = Callable[[World], None]


def contract(body: Callable[[Stage], Awaitable[None]]) -> Test:
    """Make a test of an asynchronous function that takes a Stage."""

    async def main(world: World) -> None:
        async with world.running():
            groups = (n.RTNLGRP_LINK, n.RTNLGRP_IPV4_IFADDR, n.RTNLGRP_IPV6_IFADDR)
            await body(Stage(world, Client(world.socket(), *groups)))

    def test(world: World) -> None:
        trio.run(main, world, clock=world.clock)

    test.__name__, test.__doc__, test.__module__ = body.__name__, body.__doc__, body.__module__
    return test


def needs(*kinds: str) -> pytest.MarkDecorator:
    """Kinds of device the running kernel must be able to make."""
    return pytest.mark.needs(*kinds)
