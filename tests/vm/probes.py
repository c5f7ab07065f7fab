"""Numbered probes both ways between the guest and a host on its switch, and which of them never arrived."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import trio
from pairguest import ADDRESS, PairGuest

from failoverd_lab import guestprobe
from failoverd_lab.lan import LAST, PEER, PEER_MAC
from failoverd_lab.peer import Peer
from failoverd_lab.traffic import Diary, diary

WRITTEN = "/run/probes.json"
UNREAD = "awk '/^Udp:/ { value = $6 } END { print value }' /proc/net/snmp"
"""RcvbufErrors, since the guest's start."""


@dataclass
class Count:
    """How many were sent, and which were lost, by their numbers; filled in when the traffic has ended.

    To tell why: how often the guest announced itself meanwhile, as after every switch; how many frames the lab's own
    wires had to drop, as QEMU did not take them; how many datagrams no program in the guest read in time; and for how
    long at most, in seconds, the guest did not get to send."""

    sent: int = 0
    to_guest: frozenset[int] = frozenset()
    from_guest: frozenset[int] = frozenset()
    announced: int = 0
    dropped: int = 0
    unread: int = 0
    idle: float = 0.0

    @property
    def lost(self) -> int:
        """Both ways together."""
        return len(self.to_guest) + len(self.from_guest)


@asynccontextmanager
async def probes(pair: PairGuest, rate: int = 200) -> AsyncIterator[Count]:
    """Traffic at so many probes a second each way while the block runs; it runs both ways when the block begins."""
    count = Count()
    await pair.guest.put("/run/guestprobe.py", Path(guestprobe.__file__).read_bytes())
    peer = Peer(pair.switch, name="peer", mac_address=PEER_MAC, addresses=PEER)
    await pair.shell(
        'systemd-run --quiet --unit=probes --nice=-10 python3 /run/guestprobe.py "$1" "$2" "$3"',
        *(PEER[0], str(rate), WRITTEN),
    )
    await peer.resolve(ADDRESS)
    # A guest that sends has opened its socket, and so hears everything.
    with trio.fail_after(30):
        while not peer.diary.heard:
            await trio.sleep(1 / rate)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer.send_probes, ADDRESS, rate)
        yield count
        nursery.cancel_scope.cancel()
    await trio.sleep(LAST)
    await pair.shell("systemctl stop probes.service")
    guest = diary(json.loads(await pair.shell(f"cat {WRITTEN}")))
    await trio.sleep(LAST)
    peer.close()
    count.announced = len(peer.announcements)
    count.dropped = sum(plugged.port.dropped for plugged in pair.guest.plugged.values())
    count.unread = int(await pair.shell(UNREAD))
    count.idle = max(later - sooner for (_, sooner), (_, later) in pairwise(guest.sent))
    count.sent = len(peer.diary.sent) + len(guest.sent)
    count.to_guest = _lost(peer.diary, guest)
    count.from_guest = _lost(guest, peer.diary)


def _lost(sender: Diary, hearer: Diary) -> frozenset[int]:
    return frozenset(number for number, _ in sender.sent) - {number for number, _ in hearer.heard}
