"""A guest whose root comes by the lab's network, from its initramfs on: Debian's own initramfs-tools and nbd-client.

An NBD server here has its disk; slirp is the way there. The initramfs configures one NIC of the pair (`ip=`), both
being plugged in from the first, and whatever cuts the kernel's connection for good ends the root file system with it.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import trio
from debguest import DebGuest, package
from pairguest import ADDRESS, MAC, STANDBY, VF
from slirp import HOST, slirp

from failoverd_lab.frames import Station, echo, echoed, mac
from failoverd_lab.guest import open_guest
from failoverd_lab.host import spawn
from failoverd_lab.image import image
from failoverd_lab.lan import LAST, PEER, PEER_MAC
from failoverd_lab.peer import Peer
from failoverd_lab.switch import open_switch

EXTRA = ("ifupdown", "nbd-client")
RATE = 100
NAMES = {"pv": f"enp{STANDBY.slot}s0", "vf": f"enp{VF.slot}s0"}
"""What udev calls the two, in the initramfs as well."""
LINE = (
    "root=/dev/nbd0 nbdroot={server}/root ip={address}::{gateway}:255.255.255.0:guest:{nic}:off "
    "rw fsck.mode=skip console=ttyS0 quiet loglevel=4"
)


@dataclass
class Echoes:
    """Numbered ICMP echoes to the guest, which its kernel answers as long as the address is on a device that carries.

    `sent` is when each left, `heard` when and by which port its answer came (all by time.monotonic)."""

    sent: dict[int, float] = field(default_factory=dict)
    heard: dict[int, tuple[float, str]] = field(default_factory=dict)

    def answer(self, frame: bytes, port: str, at: float) -> Sequence[bytes]:
        """See Peer's services."""
        if back := echoed(frame):
            self.heard.setdefault(back[1], (at, port))
        return ()

    async def send(self, peer: Peer) -> None:
        """RATE a second, until cancelled."""
        own = Station(mac(PEER_MAC), ipaddress.ip_address(PEER[0]))
        to = Station(mac(MAC), ipaddress.ip_address(ADDRESS))
        begun = time.monotonic()
        while True:
            number = len(self.sent) + 1
            self.sent[number] = time.monotonic()
            peer.send(echo(own, to, number))
            await trio.sleep(max(0.0, begun + number / RATE - time.monotonic()))

    def lost(self) -> list[int]:
        """Those sent since the first answer, but for what may still be under way, that were never answered.

        The first answers are to echoes that had waited on the wire for a NIC to be brought up."""
        first, last = min(at for at, _ in self.heard.values()), time.monotonic() - LAST
        return [n for n, at in self.sent.items() if first < at < last and n not in self.heard]

    def silences(self) -> list[tuple[float, float]]:
        """The five longest times without an answer: how long, and when after the first answer."""
        times = sorted(at for at, _ in self.heard.values())
        gaps = [(later - sooner, sooner - times[0]) for sooner, later in pairwise(times)]
        return [(round(gap, 3), round(at, 1)) for gap, at in sorted(gaps, reverse=True)[:5]]


class NetRoot(DebGuest):
    """See the module."""

    echoes: Echoes


async def prepare(suite: str, directory: Path, files: Mapping[str, str], on: str) -> Path:
    """A disk with the package on it, as a guest without NICs has left it when it was shut down."""
    built = await image(suite, extra=EXTRA, progress=print)
    async with open_switch() as switch, open_guest(built, switch, directory=directory, progress=print) as guest:
        pair = DebGuest(guest, switch, "")
        await guest.put("/run/failoverd.deb", package().read_bytes())
        await pair.install()
        for path, text in files.items():
            await guest.put(path, text.encode())
        await pair.shell(on)
        await guest.power_off()
        return guest.disk


@asynccontextmanager
async def net_root(
    suite: str, directory: Path, configures: str, files: Mapping[str, str], on: str = "true", more: str = ""
) -> AsyncIterator[NetRoot]:
    """A guest that has booted by the network, its initramfs having configured the NIC of this id.

    `files` and `on`, a script, are of the preparation; `more` is added to the kernel's command line.
    """
    for name in ("1", "2"):
        (directory / name).mkdir()
    disk = await prepare(suite, directory / "1", files, on)
    echoes = Echoes()
    async with open_switch() as switch, trio.open_nursery() as nursery:
        peer = Peer(switch, name="peer", mac_address=PEER_MAC, addresses=PEER, services=[echoes.answer])
        async with slirp(switch, directory), exported(disk, directory / "nbd.log") as port:
            line = LINE.format(server=f"{HOST}:{port}", address=ADDRESS, gateway=PEER[0], nic=NAMES[configures])
            nursery.start_soon(echoes.send, peer)
            async with open_guest(
                await image(suite, extra=EXTRA),
                switch,
                nics=(STANDBY, VF),
                directory=directory / "2",
                command_line=f"{line} {more}",
                progress=print,
            ) as guest:
                pair = NetRoot(guest, switch, NAMES["pv"])
                pair.echoes = echoes
                yield pair
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def exported(disk: Path, log: Path) -> AsyncIterator[int]:
    """An NBD server on a port of loopback that has this qcow2 image under the name "root"."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    where = ["--bind=127.0.0.1", f"--port={port}", "--export-name=root", "--persistent"]
    server = spawn(["qemu-nbd", *where, "--format=qcow2", "--cache=unsafe", str(disk)], stderr=log)
    try:
        with trio.fail_after(10):
            while True:
                assert server.poll() is None, log.read_text()
                try:
                    await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()
                    break
                except OSError:
                    await trio.sleep(0.1)
        yield port
    finally:
        server.kill()
        server.wait()
