"""One guest, one neighbour, and everything a pair can meet: each stop of the walk is a column of the matrix.

The guest starts with its paravirtual NIC alone, which the neighbour configures by DHCP and SLAAC as in any machine
without a VF; then failoverd is installed. A VF is plugged in for the first time, pulled, plugged in again; the
neighbour is restarted; and the guest is booted with both. After each the same things have to hold (judging.py). The
walk goes on after a stop where something did not hold, and where only some stops are asked for, it hurries through
what they need: each cell is judged for itself.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Sequence

import trio
from debguest import DebGuest, package
from judging import LEASE, PATIENCE, Cell, Judge
from neighbourhood import COLUMNS, EXTRA, OFF, Neighbour, datapath
from pairguest import ADDRESS, STANDBY, VF

from failoverd_lab.dhcp import Dhcp
from failoverd_lab.frames import Station, mac
from failoverd_lab.guest import open_guest
from failoverd_lab.host import LabError, open_nursery
from failoverd_lab.image import image
from failoverd_lab.lan import PEER, PEER_MAC
from failoverd_lab.peer import Peer
from failoverd_lab.router import Router
from failoverd_lab.switch import open_switch

PREFIX = ipaddress.IPv6Network("fd00:111::/64")
ROUTER = "fe80::1"
ADVERTISED = 15.0
"""Seconds between two unasked advertisements."""


class Walk:
    """See the module."""

    def __init__(
        self, pair: DebGuest, neighbour: Neighbour, judge: Judge, send: Callable[[bytes], None], router: Router
    ) -> None:
        self.pair = pair
        self.neighbour = neighbour
        self.judge = judge
        self.send = send
        self.router = router
        self.was_paired = False
        self.is_restarting = False

    async def begin(self, deb: bytes) -> None:
        """The neighbour with the paravirtual NIC alone; and the package, which comes first where a boot comes next."""
        if self.neighbour.boots:
            await self._install(deb)
        for path, text in self.neighbour.files.items():
            mode = 0o600 if path.startswith("/etc/netplan/") else 0o644
            await self.pair.guest.put(path, text.replace("{name}", self.pair.name).encode(), mode)
        await self.pair.shell(self.neighbour.on, self.pair.name)
        if self.neighbour.boots:
            await self.pair.reboot()
        await self.judge.configured(self.master)
        if not self.neighbour.boots:
            await self._install(deb)

    async def _install(self, deb: bytes) -> None:
        await self.pair.guest.put("/run/failoverd.deb", deb)
        await self.pair.install()

    @property
    def master(self) -> str:
        """What the master has to be called."""
        return self.neighbour.master or self.pair.name

    def send_unasked(self, advertisement: bytes) -> None:
        """The router's, from time to time."""
        if not self.is_restarting:
            self.send(advertisement)

    async def prepare(self, column: str) -> None:
        """What the stops before this one would have done, if they were left out, or have not come so far."""
        if column != "hot-plug" and not self.was_paired:
            await self.change("hot-plug")
            await self._settled("hot-plug", Cell())
        if column == "replug" and "vf" in self.pair.guest.plugged:
            await self.change("unplug")
            await self._settled("unplug", Cell())
        if column in ("unplug", "restart", "boot") and "vf" not in self.pair.guest.plugged:
            await self.change("replug")
            await self._settled("replug", Cell())

    async def change(self, column: str) -> None:
        """Do what the column is about."""
        match column:
            case "hot-plug" | "replug":
                self.was_paired = True
                await self.pair.guest.plug(VF)
            case "unplug":
                await self.pair.guest.unplug("vf")
            case "restart":
                # A router's word would make an address while netplan has NetworkManager (1.42) disconnect the NIC and
                # start anew: that then takes the NIC for somebody else's and asks for no lease, also without failoverd.
                self.is_restarting = True
                await self.pair.shell(self.neighbour.again, self.pair.name)
                self.is_restarting = False
            case _:
                await self.pair.reboot()

    async def stop_at(self, column: str) -> Cell:
        """One column: the change, the wait until it is over, the quiet after it."""
        cell, begun = Cell(), time.monotonic()
        try:
            await self.prepare(column)
            await self.judge.begin()
            if column == "boot":
                await self.change(column)
                await self._settled(column, cell)
                async with self.judge.probed(cell):
                    await self.judge.rest(cell)
            else:
                async with self.judge.probed(cell):
                    await self.change(column)
                    await self._settled(column, cell)
                    await self.judge.rest(cell)
        except (AssertionError, LabError) as error:
            cell.problems.append(str(error))
        await self.judge.judge(column, cell)
        cell.seconds = time.monotonic() - begun
        return cell

    async def _settled(self, column: str, cell: Cell) -> None:
        """Wait until failoverd is where it should be and the master is configured."""
        state = "on-standby" if column == "unplug" else "accelerated"
        master = await self.pair.until(lambda master: master["state"] == state, PATIENCE)
        if column != "unplug" and datapath(self.neighbour, self.judge.suite, column) == "bond":
            master = await self.pair.until(lambda master: bool(master["standby"]), PATIENCE)
        cell.note(master["name"] == self.master, f"the master is called {master['name']}")
        await self.judge.configured(master["name"])
        with trio.move_on_after(PATIENCE):
            while await self.pair.shell(f"{self.neighbour.busy} || true"):
                await trio.sleep(0.5)
        # Where two take the router's word (the kernel and dhcpcd), one may have its address by the next word only.
        self.send(self.router.advertisement())
        await self.judge.still()


async def walk(
    neighbour: Neighbour, suite: str, columns: Sequence[str], tell: Callable[[str], None]
) -> dict[str, Cell]:
    """Stop at these columns, in their order."""
    cells: dict[str, Cell] = {}
    built = await image(suite, extra=EXTRA[suite], off=OFF, progress=tell)
    async with open_switch() as switch, open_guest(built, switch, nics=(STANDBY,), progress=tell) as guest:
        dhcp = Dhcp(Station(mac(PEER_MAC), ipaddress.ip_address(PEER[0])), ipaddress.IPv4Address(ADDRESS), LEASE)
        router = Router(Station(mac(PEER_MAC), ipaddress.ip_address(ROUTER)), PREFIX)
        services = (dhcp.answer, router.answer)
        peer = Peer(switch, name="peer", mac_address=PEER_MAC, addresses=(*PEER, ROUTER), services=services)
        pair = DebGuest(guest, switch, (await guest.netdevs("pv"))[0])
        async with open_nursery() as nursery:
            judge = Judge(pair, neighbour, suite, peer, dhcp)
            one = Walk(pair, neighbour, judge, peer.send, router)
            nursery.start_soon(router.advertise, one.send_unasked, ADVERTISED)
            await one.begin(package().read_bytes())
            for column in [column for column in COLUMNS if column in columns]:
                cells[column] = await one.stop_at(column)
                tell(
                    f"{neighbour.name} {suite} {column}: {'; '.join(cells[column].problems) or 'ok'} "
                    f"({cells[column].seconds:.0f} s, silence {cells[column].silence * 1000:.0f} ms)"
                )
            nursery.cancel_scope.cancel()
        peer.close()
    return cells
