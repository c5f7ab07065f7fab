"""A real guest: Debian in QEMU, on the lab's switch, driven through its guest agent.

    async with open_switch() as switch, open_guest(await image(), switch, nics=[standby, vf]) as guest:
        print((await guest.run(["ip", "link"])).stdout.decode())
        await guest.unplug("vf")
        await guest.migrate()

A paravirtual NIC is a virtio-net-pci. A VF is a vmxnet3: a PCI NIC with another driver, which shows a carrier loss to
its guest (QEMU 7.2's e1000e does not). Plugging and unplugging are real PCI hot-plug, with the guest's part in it. The
NIC that carried is read off the switch's ports; the daemon is not asked.

A migration is a real one too, to a second QEMU beside the first. The target's NICs are on new ports of the switch, as
they would be on another host, and the switch learns of it only by frames. As on a real host, a VF cannot go along:
unplug it before and plug one in afterwards. With QEMU's own failover (`pair`) QEMU does both.
"""

from __future__ import annotations

import itertools
import posixpath
import tempfile
import uuid
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import trio

from failoverd_lab.agent import Agent, Completed
from failoverd_lab.checkpoint import BOOT, Checkpoint, booted, checkpoint, restored
from failoverd_lab.handover import Handover, announce, receive, send
from failoverd_lab.host import LabError, Progress, open_nursery, silent
from failoverd_lab.image import Image
from failoverd_lab.machine import COMMAND_LINE, Hardware, Machine, memory, overlay, wipe
from failoverd_lab.nics import Device, GuestNic, Plugged, card, netdev, netdev_id, sockets
from failoverd_lab.switch import Switch

ANSWER = 60.0
"""Seconds within which a guest has to give up, or to name, a device."""

PATIENCE = 5.0
"""Seconds after which a booting agent is asked again: it does not hear a request from before it has started."""

NAMES = """
while :; do
    found=
    for path in /sys/bus/pci/devices/$1/net/* /sys/bus/pci/devices/$1/virtio*/net/*; do
        [ -e "$path" ] || continue
        entry=/run/udev/data/n$(cat "$path/ifindex")
        grep -qs ^I: "$entry" && ! grep -qs ^E:ID_RENAMING=1 "$entry" || { found=; break; }
        found="$found ${path##*/}"
    done
    [ -z "$found" ] || { echo $found; exit; }
    sleep 0.05
done
"""
"""A shell script that prints the names of a PCI device's network devices, once udev is done with them."""


class Guest:
    """A running guest; made by `open_guest`. Every method raises LabError when the lab cannot do it."""

    def __init__(self, image: Image, switch: Switch, directory: Path, memory: int, nursery: trio.Nursery) -> None:
        self.plugged: dict[str, Plugged] = {}
        self.host = 1
        self._image = image
        self._switch = switch
        self._directory = directory
        self._memory = memory
        self._nursery = nursery
        self._generation = str(uuid.uuid4())
        self._numbers = itertools.count(1)
        self._agent = Agent()
        self._machine: Machine | None = None
        self._command_line = COMMAND_LINE

    @property
    def disk(self) -> Path:
        """The guest's disk: a qcow2 image of the differences from the image that it was started from."""
        return self._directory / "disk.qcow2"

    @property
    def machine(self) -> Machine:
        """The QEMU in which the guest is now."""
        if self._machine is None:
            raise LabError("the guest has not been started")
        return self._machine

    async def boot(self, nics: Sequence[GuestNic] = (), command_line: str = COMMAND_LINE) -> None:
        """Start the guest from its image, with these NICs plugged in from the start; returns when it has booted.

        The command line is the kernel's, also of later boots.
        """
        self._command_line = command_line
        for nic in nics:
            self.plugged[nic.id] = self._wire(nic, f"{nic.id}.{next(self._numbers)}")
        await self._start(self._image.disk, "raw", incoming=False)
        await booted(self._agent, self.machine)

    async def restore(self, point: Checkpoint) -> None:
        """Start the guest from a checkpoint."""
        await self._start(point.disk, "qcow2", incoming=True)
        try:
            await restored(point, self._agent, self.machine)
        except LabError as error:
            raise LabError(f"{error}. {self.machine.said()}") from None

    async def _start(self, disk: Path, form: str, *, incoming: bool) -> None:
        await self.kill()
        wipe(self._memory)
        await overlay(self.disk, disk, backing_format=form)
        self._machine = await Machine.start(
            self._nursery, self._hardware(self.plugged.values()), self._directory / "1", incoming=incoming
        )
        self._agent.attach(self._machine.agent)

    async def reboot(self) -> None:
        """Reboot, on the same QEMU and disk and with the plugged NICs; returns when the guest has booted."""
        before = await self._boot_id()
        # Not `run`, which would wait for an answer of an agent that has ended by then.
        await self._agent.request("guest-exec", {"path": "systemctl", "arg": ["reboot"]})
        with trio.move_on_after(BOOT):
            while True:
                with trio.move_on_after(PATIENCE), suppress(LabError):
                    if await self._boot_id() != before:
                        break
        await booted(self._agent, self.machine)

    async def power_off(self) -> None:
        """Shut the guest down in good order; returns when its QEMU has ended. Its disk is complete then."""
        await self._agent.request("guest-exec", {"path": "systemctl", "arg": ["poweroff"]})
        with trio.fail_after(BOOT):
            await self.machine.wait()

    async def _boot_id(self) -> bytes:
        return (await self._agent.run(["cat", "/proc/sys/kernel/random/boot_id"])).check().stdout

    async def kill(self) -> None:
        """Kill the guest."""
        if self._machine is not None:
            await self._machine.kill()
        self._machine = None

    async def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 60, env: Mapping[str, str] | None = None
    ) -> Completed:
        """Run a command in the guest, as root, to its end; `timeout` in seconds. It waits while the guest migrates."""
        return await self._agent.run(argv, stdin=stdin, timeout=timeout, env=env)

    async def put(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Write a file in the guest, and make its directory."""
        script = 'mkdir -p "$1" && cat >"$2" && chmod "$3" "$2"'
        argv = ["sh", "-c", script, "put", posixpath.dirname(path), path, f"{mode:o}"]
        (await self.run(argv, stdin=data)).check()

    async def unpack(self, archive: bytes, into: str) -> None:
        """Unpack a tar, or tar.gz, in the guest."""
        gzip = "-z" if archive[:2] == b"\x1f\x8b" else ""
        script = f'mkdir -p "$1" && tar --no-same-owner -C "$1" {gzip} -xf -'
        (await self.run(["sh", "-c", script, "unpack", into], stdin=archive)).check()

    async def netdevs(self, nic: str) -> list[str]:
        """Return the guest's names for a plugged NIC, once its udev is done with it: one name, three with QEMU's
        failover."""
        argv = ["sh", "-c", NAMES, "names", self._plug_of(nic).nic.address]
        return (await self.run(argv, timeout=ANSWER)).check().stdout.decode().split()

    async def plug(self, nic: GuestNic) -> None:
        """Plug a NIC in. Returns when QEMU has it; the guest sees it a little later (see `netdevs`)."""
        if nic.id in self.plugged:
            raise LabError(f"{nic.id} is plugged in already")
        # QEMU's failover remembers the first VF's name for good, and accepts no VF of another name.
        plugged = self._wire(nic, nic.id if nic.pair else f"{nic.id}.{next(self._numbers)}")
        try:
            await self.machine.qmp.execute("netdev_add", plugged.netdev)
            await self.machine.qmp.execute("device_add", self._card(plugged))
        except BaseException:
            plugged.port.close()
            raise
        self.plugged[nic.id] = plugged

    async def unplug(self, nic: str) -> None:
        """Ask the guest to give a NIC up, wait until it has, and remove the NIC."""
        plugged, qmp = self._plug_of(nic), self.machine.qmp
        gone = qmp.watch("DEVICE_DELETED", device=plugged.device)
        await qmp.execute("device_del", {"id": plugged.device})
        with trio.move_on_after(ANSWER) as patience:
            await gone.wait()
        if patience.cancelled_caught:
            raise LabError(f"{nic}: the guest did not give it up within {ANSWER:g} s. {self.machine.console()}")
        await qmp.execute("netdev_del", {"id": netdev_id(plugged.device)})
        plugged.port.close()
        del self.plugged[nic]

    async def set_link(self, nic: str, up: bool) -> None:
        """Cut a NIC's cable, or mend it. A switch forgets the MACs behind a port that loses its link."""
        plugged = self._plug_of(nic)
        await self.machine.qmp.execute("set_link", {"name": plugged.device, "up": up})
        if not up:
            self._switch.forget(plugged.port)

    async def migrate(self) -> Handover:
        """Move the guest to another QEMU, live. Commands issued meanwhile wait until it has moved."""
        for plugged in self.plugged.values():
            if plugged.nic.kind == "vf" and not plugged.nic.pair:
                raise LabError(f"{plugged.nic.id} is a VF: it cannot move to another host; unplug it first")
        source, old = self.machine, self.plugged
        self.host += 1
        new = {name: self._wire(plugged.nic, plugged.device) for name, plugged in old.items()}
        async with self._agent.held():
            try:
                moved = await self._move(new.values())
            except BaseException:
                for plugged in new.values():
                    plugged.port.close()
                raise
            self.plugged = new
            self._agent.attach(self.machine.agent)
        await source.kill()
        for plugged in old.values():
            plugged.port.close()
        return moved

    async def _move(self, plugged: Collection[Plugged]) -> Handover:
        hardware = self._hardware(plugged)
        target = await Machine.start(self._nursery, hardware, self._directory / str(self.host), incoming=True)
        try:
            uri = f"unix:{target.directory / 'migration'}"
            resumed = await receive(target.qmp, uri, memory=False)
            moved = await send(self.machine.qmp, uri, memory=False)
            await resumed()
            await announce(target.qmp, [one.device for one in plugged if one.nic.kind == "virtio"])
        except BaseException as error:
            await target.kill()
            if isinstance(error, LabError):
                raise LabError(f"{error}\nThe target's QEMU said: {target.said()}") from None
            raise
        self._machine = target
        return moved

    def _hardware(self, plugged: Collection[Plugged]) -> Hardware:
        return Hardware(
            self._image,
            self.disk,
            self._memory,
            self._generation,
            [one.netdev for one in plugged],
            [self._card(one) for one in plugged],
            self._command_line,
        )

    def _plug_of(self, nic: str) -> Plugged:
        if nic not in self.plugged:
            raise LabError(f"{nic} is not plugged in; plugged in are: {', '.join(self.plugged) or 'none'}")
        return self.plugged[nic]

    def _card(self, plugged: Plugged) -> Device:
        nic = plugged.nic
        return card(nic, plugged.device, self._plug_of(nic.pair).device if nic.kind == "vf" and nic.pair else "")

    def _wire(self, nic: GuestNic, device: str) -> Plugged:
        mine, theirs = sockets(self._directory, f"{self.host}-{device}-{next(self._numbers)}")
        port = self._switch.attach_socket(f"{nic.id}@{self.host}", mine, theirs)
        return Plugged(nic, device, port, netdev(device, mine, theirs))


@asynccontextmanager
async def open_guest(
    image: Image,
    switch: Switch,
    *,
    nics: Sequence[GuestNic] = (),
    directory: Path | None = None,
    checkpoints: bool = True,
    command_line: str = "",
    progress: Progress = silent,
) -> AsyncIterator[Guest]:
    """Open a guest that has booted, with `nics` plugged in and named by its udev; it ends with the context.

    With a command line (the kernel's) it boots with that, and its NICs are plugged in from the start.

    `directory` is for its disk, sockets and logs (a temporary one otherwise). Keep its path short: the sockets' paths
    have to fit in 108 bytes. Without `checkpoints`, or when the checkpoint does not work, the guest boots.
    """
    with tempfile.TemporaryDirectory(prefix="failoverd-lab.") as temporary, memory() as descriptor:
        async with open_nursery() as nursery:
            guest = Guest(image, switch, directory or Path(temporary), descriptor, nursery)
            try:
                if command_line:
                    await guest.boot(nics, command_line)
                else:
                    await _begin(guest, image, checkpoints, progress)
                    for nic in nics:
                        await guest.plug(nic)
                for nic in nics:
                    await guest.netdevs(nic.id)
                yield guest
            finally:
                await guest.kill()
                for plugged in guest.plugged.values():
                    plugged.port.close()


async def _begin(guest: Guest, image: Image, checkpoints: bool, progress: Progress) -> None:
    if checkpoints:
        try:
            await guest.restore(await checkpoint(image, progress=progress))
            return
        except LabError as error:
            progress(f"no start from a checkpoint, booting instead: {error}")
    progress("booting the guest")
    await guest.boot()
