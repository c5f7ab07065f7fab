"""One QEMU process: its command line, its monitor, its end.

The monitor and the guest agent's port are socket pairs made before QEMU starts, so there is no path to wait for: QEMU
answers on them as soon as it can, and they end with QEMU.

Two QEMUs can hand a guest over (a live migration, a checkpoint) only if their machines are equal down to the PCI
addresses. So everything about the machine is decided here and nowhere else, and NICs go into `slots`: PCIe root ports,
empty or not, which always all exist.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio

from failoverd_lab.host import LabError, call, spawn, tail
from failoverd_lab.image import Image
from failoverd_lab.nics import Device
from failoverd_lab.qmp import Qmp

QEMU = "qemu-system-x86_64"
SLOTS = 8
"""PCIe slots for NICs, numbered from 1."""
MEMORY = 512 * 2**20
"""The guest's memory in bytes."""

COMMAND_LINE = "root=/dev/vda rw fsck.mode=skip console=ttyS0 quiet loglevel=4 no_timer_check"
"""The kernel's default command line. The last word does what KVM does by itself: where the CPU is emulated and this
machine busy, the kernel takes a late timer for a broken one, and panics."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """A guest's machine.

    `memory` is the descriptor of a memfd, shared by every QEMU that ever runs the guest. `generation` is the VM
    generation ID: a new one tells the guest that it is another guest. `devices` and `netdevs` are plugged in when QEMU
    starts, in the form of QMP's device_add and netdev_add; `command_line` is the kernel's.
    """

    image: Image
    disk: Path
    memory: int
    generation: str
    netdevs: Sequence[Device] = ()
    devices: Sequence[Device] = ()
    command_line: str = COMMAND_LINE


def accelerator() -> str:
    """Return the accelerator for the guest's CPUs: "tcg" (emulated, works everywhere), or $FAILOVERD_LAB_ACCEL, say
    "kvm"."""
    return os.environ.get("FAILOVERD_LAB_ACCEL") or "tcg"


async def version() -> str:
    """Return QEMU's version, as QEMU writes it."""
    return (await call([QEMU, "--version"])).splitlines()[0]


def arguments(hardware: Hardware, console: Path) -> list[str]:
    """Return QEMU's command line, without its two sockets and `-incoming`."""
    ports = [f"pcie-root-port,id=slot{n},bus=pcie.0,addr={n + 7:#x},chassis={n},slot={n}" for n in range(1, SLOTS + 1)]
    devices = [
        *ports,
        "virtio-blk-pci,drive=disk,bus=pcie.0,addr=0x4",
        "virtio-serial-pci,bus=pcie.0,addr=0x5",
        "virtserialport,chardev=agent,name=org.qemu.guest_agent.0",
        f"vmgenid,guid={hardware.generation}",
        *(json.dumps(device) for device in hardware.devices),
    ]
    memory = f"/proc/self/fd/{hardware.memory}"
    return [
        *("-machine", "q35,memory-backend=ram", "-accel", accelerator(), "-cpu", "max", "-smp", "2"),
        *("-m", f"{MEMORY}b", "-object", f"memory-backend-file,id=ram,size={MEMORY}b,share=on,mem-path={memory}"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-serial", f"file:{console}"),
        *("-kernel", str(hardware.image.kernel), "-initrd", str(hardware.image.initrd)),
        *("-append", hardware.command_line),
        *("-drive", f"file={hardware.disk},format=qcow2,if=none,id=disk,cache=unsafe"),
        *(word for netdev in hardware.netdevs for word in ("-netdev", json.dumps(netdev))),
        *(word for device in devices for word in ("-device", device)),
    ]


@dataclass(slots=True)
class Machine:
    """A running QEMU. `agent` is the stream to the guest agent's port; `directory` holds its logs."""

    process: subprocess.Popen[bytes]
    qmp: Qmp
    agent: trio.abc.Stream
    directory: Path
    _pidfd: int = field(repr=False)

    @classmethod
    async def start(cls, nursery: trio.Nursery, hardware: Hardware, directory: Path, *, incoming: bool) -> Machine:
        """Start a QEMU, its logs in `directory`; with `incoming` it waits for a guest to be handed over.

        Raises LabError with QEMU's output if it does not come up. The caller has to call `kill`.
        """
        directory.mkdir(parents=True, exist_ok=True)
        monitor, theirs = socket.socketpair()
        agent, port = socket.socketpair()
        with theirs, port:
            argv = [QEMU, *arguments(hardware, directory / "console.log")]
            argv += ["-chardev", f"socket,id=monitor,fd={theirs.fileno()}", "-mon", "chardev=monitor,mode=control"]
            argv += ["-chardev", f"socket,id=agent,fd={port.fileno()}"]
            argv += ["-incoming", "defer"] if incoming else []
            (directory / "command").write_text(shlex.join(argv) + "\n")
            fds = (theirs.fileno(), port.fileno(), hardware.memory)
            process = spawn(argv, pass_fds=fds, stderr=directory / "qemu.log")
        qmp = Qmp(_stream(monitor))
        self = cls(process, qmp, _stream(agent), directory, os.pidfd_open(process.pid))
        try:
            with trio.fail_after(30):
                await qmp.negotiate()
        except (LabError, trio.TooSlowError) as error:
            await self.kill()
            why = self.said() or error
            raise LabError(f"QEMU did not start: {why}. Its command is in {directory / 'command'}") from None
        nursery.start_soon(qmp.run)
        return self

    def said(self) -> str:
        """Return the end of QEMU's standard error."""
        return tail((self.directory / "qemu.log").read_bytes())

    def console(self) -> str:
        """Return the end of what the guest's kernel and systemd wrote to the serial console."""
        log = self.directory / "console.log"
        return tail(log.read_bytes(), 30) if log.exists() else ""

    async def wait(self) -> None:
        """Wait until this QEMU has exited."""
        while self.process.poll() is None:
            await trio.lowlevel.wait_readable(self._pidfd)

    async def kill(self) -> None:
        """Kill this QEMU; safe to call more than once, and when cancelled."""
        if self._pidfd < 0:
            return
        self.process.kill()
        with trio.CancelScope(shield=True):
            await self.wait()
        os.close(self._pidfd)
        self._pidfd = -1


def _stream(sock: socket.socket) -> trio.SocketStream:
    sock.setblocking(False)
    return trio.SocketStream(trio.socket.from_stdlib_socket(sock))


@contextmanager
def memory() -> Iterator[int]:
    """Allocate a guest's memory: the descriptor of a memfd. It lives as long as this context and every QEMU that has
    it."""
    descriptor = os.memfd_create("failoverd-lab")
    try:
        wipe(descriptor)
        yield descriptor
    finally:
        os.close(descriptor)


def wipe(descriptor: int) -> None:
    """Fill a guest's memory with zeros, as QEMU expects it when it starts a guest."""
    os.ftruncate(descriptor, 0)
    os.ftruncate(descriptor, MEMORY)


async def overlay(disk: Path, backing: Path, *, backing_format: str) -> None:
    """Make `disk`, a qcow2 image that holds only the differences from `backing`."""
    await call(["qemu-img", "create", "-q", "-f", "qcow2", "-F", backing_format, "-b", str(backing), str(disk)])
