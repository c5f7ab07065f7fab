"""The guest world: a story in a real Debian, with real hot-plug and real migration.

The picture's lanes of the NICs show what was done to them. The NIC that carried is read off the switch, from the port
by which each of the guest's probes came in: neither the daemon nor the guest is asked.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import trio

from failoverd_lab import guestprobe, install, judge
from failoverd_lab.guest import Guest, open_guest
from failoverd_lab.image import image
from failoverd_lab.lan import ADDRESS, GUEST, LAST, PEER, PEER_MAC
from failoverd_lab.lanes import Lanes
from failoverd_lab.nics import GuestNic
from failoverd_lab.peer import Peer
from failoverd_lab.story import Nic, Scenario, Step
from failoverd_lab.switch import open_switch
from failoverd_lab.traffic import Diary, diary
from failoverd_lab.vmsteps import STEPS
from failoverd_lab.world import CannotTell, Recording

SETTLE = 30.0
"""Seconds within which the traffic has to run both ways over the paravirtual NIC; then the story begins."""

CONFIGURE = """
ip link set "$1" up
ip address add "$2" dev "$1"
ip address add "$3" dev "$1" nodad
ip route add default via "$4"
"""
LOOK = """
ip -j -d address
for device in /sys/class/net/*; do echo "${device##*/} $(readlink -f "$device/device")"; done
"""
PROBES = "/run/probes.json"


class VmWorld:
    """The world `vm`; see failoverd_lab.world.World. Raises LabError where the lab itself fails."""

    name = "vm"
    poll = 0.5

    def __init__(self, progress: Callable[[str], None]) -> None:
        self._progress = progress
        self._nics: dict[str, GuestNic] = {}
        self._kinds: dict[str, Nic] = {}
        self._lanes = Lanes()
        self._over = trio.Event()
        self._ended = trio.Event()
        self._ended.set()
        self._sending = trio.CancelScope()
        self._begun = time.monotonic()

    def joined_by(self, scenario: Scenario) -> str:
        """See World."""
        found = scenario.joined_by("bond")
        if found == "hv_netvsc":
            raise CannotTell("hv_netvsc needs Hyper-V, and QEMU has no VMBus NIC with a VF; tell it with --in sim")
        return found

    async def start(self, scenario: Scenario, nursery: trio.Nursery) -> None:
        """See World."""
        self._kinds = {nic.id: nic for nic in scenario.nics}
        pairs = _partners(scenario)
        for slot, nic in enumerate(scenario.nics, start=1):
            kind: Literal["virtio", "vf"] = "virtio" if nic.bus == "virtio" else "vf"
            self._nics[nic.id] = GuestNic(nic.id, kind, nic.mac, slot, pairs.get(nic.id, ""))
        self._ended = trio.Event()
        opened = trio.Event()
        nursery.start_soon(self._hold, [nic.id for nic in scenario.nics if nic.plugged], opened)
        await opened.wait()
        self._progress("installing failoverd in the guest")
        self.config = scenario.config
        await install.install(self.guest, scenario.config)
        first = next(nic.id for nic in scenario.nics if nic.bus == "virtio")
        await self._connect(first, scenario.rate, nursery)
        self._begun = time.monotonic()
        for nic in scenario.nics:
            self._show(nic.id, "" if not nic.plugged else nic.id)
        await install.start(self.guest)

    def now(self) -> float:
        """See World."""
        return time.monotonic() - self._begun

    async def sleep_until(self, at: float) -> None:
        """See World."""
        await trio.sleep(max(0.0, at - self.now()))

    async def do(self, step: Step) -> None:
        """See World."""
        action = STEPS.get(step.do)
        if action is None:
            raise CannotTell(f"the guest world cannot do {step.do!r}; tell this story with --in sim")
        await action(self, **step.args)

    async def status(self) -> Mapping[str, Any] | None:
        """See World."""
        return await install.ask(self.guest, "status")

    async def links(self) -> Sequence[Mapping[str, Any]]:
        """See World."""
        done = (await self.guest.run(["sh", "-c", LOOK])).check().stdout.decode()
        rows, _, paths = done.partition("\n")
        by_name = dict(line.split(" ", 1) for line in paths.splitlines() if " " in line)
        return [self._link(row, by_name.get(row["ifname"], "")) for row in json.loads(rows) if row]

    async def declared(self) -> Sequence[Mapping[str, Any]]:
        """See World."""
        raise CannotTell("the guest world does not look at declared links; tell this story with --in sim or --in netns")

    def carrier(self) -> str:
        """See World."""
        return self.peer.came_by()

    async def finish(self) -> Recording:
        """See World."""
        length = self.now()
        self._sending.cancel()
        await trio.sleep(LAST)
        guest = await self._guest_diary()
        probes = [p for p in judge.probes(self.peer.diary, guest, self._begun) if 0 <= p.sent <= length]
        heard = judge.announcements(self.peer.announcements, self._begun)
        spans = [*self._lanes.spans(length), *judge.carried(self.peer.diary, self.peer.ports, self._begun, length)]
        return Recording(length, probes, spans, (), heard, {"log": await install.log(self.guest)})

    async def stop(self) -> None:
        """See World."""
        self._sending.cancel()
        self._over.set()
        await self._ended.wait()

    async def plug(self, nic: str) -> None:
        """Plug the NIC in, as the host does."""
        await self.guest.plug(self._nics[nic])
        self._show(nic, nic)

    async def unplug(self, nic: str) -> None:
        """Unplug the NIC, as the host does."""
        await self.guest.unplug(nic)
        self._show(nic, "")

    async def set_link(self, nic: str, up: bool) -> None:
        """Cut the NIC's cable, or mend it, as the host does."""
        await self.guest.set_link(nic, up)
        self._show(nic, nic if up else f"{nic}, no carrier")

    async def device(self, nic: str) -> str:
        """Return the guest's present name for a NIC of the story, or for the one master."""
        if nic != "master":
            return (await self.guest.netdevs(nic))[0]
        masters = (await self.status() or {"masters": []})["masters"]
        if len(masters) != 1:
            raise CannotTell(f"the step speaks of the master, and the daemon has {len(masters)}")
        return str(masters[0]["name"])

    async def ip(self, *words: str) -> None:
        """Run `ip` in the guest. Raises LabError."""
        (await self.guest.run(["ip", *words])).check()

    async def _hold(self, plugged: Sequence[str], opened: trio.Event) -> None:
        """Keep the switch and the guest until `stop`."""
        try:
            found = await image(progress=self._progress)
            nics = [self._nics[nic] for nic in plugged]
            async with open_switch() as switch, open_guest(found, switch, nics=nics, progress=self._progress) as guest:
                self.guest: Guest = guest
                self.peer = Peer(switch, name="peer", mac_address=PEER_MAC, addresses=PEER)
                opened.set()
                await self._over.wait()
        finally:
            self._ended.set()

    async def _connect(self, nic: str, rate: int, nursery: trio.Nursery) -> None:
        """Give the paravirtual NIC its addresses, and start the traffic both ways."""
        name = await self.device(nic)
        (await self.guest.run(["sh", "-c", CONFIGURE, "configure", name, *GUEST, PEER[0]])).check()
        await self.guest.put("/run/guestprobe.py", Path(guestprobe.__file__).read_bytes())
        service = ["systemd-run", "--quiet", "--unit=probes", "--nice=-10", "python3", "/run/guestprobe.py"]
        (await self.guest.run([*service, PEER[0], str(rate), PROBES])).check()
        await self.peer.resolve(ADDRESS, timeout=SETTLE)
        nursery.start_soon(self._send, rate)
        with trio.fail_after(SETTLE):
            while not self.peer.diary.heard:
                await trio.sleep(1 / rate)

    async def _send(self, rate: int) -> None:
        with self._sending:
            await self.peer.send_probes(ADDRESS, rate)

    async def _guest_diary(self) -> Diary:
        (await self.guest.run(["systemctl", "stop", "probes.service"])).check()
        return diary(json.loads((await self.guest.run(["cat", PROBES])).check().stdout))

    def _show(self, nic: str, text: str) -> None:
        self._lanes.note("standby" if self._kinds[nic].bus == "virtio" else "primary", self.now(), text)

    def _link(self, row: Mapping[str, Any], path: str) -> Mapping[str, Any]:
        addresses = [f"{a['local']}/{a['prefixlen']}" for a in row.get("addr_info", ()) if "local" in a]
        return {
            "name": row["ifname"],
            "ifindex": row["ifindex"],
            "mac": row.get("address", ""),
            "master": row.get("master", ""),
            "up": "UP" in row["flags"],
            "carrier": "LOWER_UP" in row["flags"],
            "mtu": row["mtu"],
            "kind": row.get("linkinfo", {}).get("info_kind", ""),
            "altnames": row.get("altnames", []),
            "addresses": addresses,
            "nic": next((nic.id for nic in self._nics.values() if nic.address in path), ""),
        }


def _partners(scenario: Scenario) -> Mapping[str, str]:
    """Return each NIC's partner where the hypervisor offers the kernel's own failover: one VF for each standby."""
    if scenario.datapath != "net_failover":
        return {}
    partners: dict[str, str] = {}
    for standby in scenario.nics:
        vfs = [nic.id for nic in scenario.nics if nic.bus == "pci" and nic.mac == standby.mac]
        if standby.bus == "virtio" and len(vfs) == 1:
            partners |= {standby.id: vfs[0], vfs[0]: standby.id}
    if not partners:
        raise CannotTell("QEMU's failover joins one VF to one virtio NIC, and this story has no such pair")
    return partners
