"""What another process sends to failoverd's netlink sockets: the kernel lets few do it, and none of it is believed.

A message for another process's port, or for a group, takes CAP_NET_ADMIN over the network namespace
(net/netlink/af_netlink.c, netlink_sendmsg), so a user cannot. Who has it can change every device anyway, but not
what failoverd takes for the kernel's word: that comes from port 0, and udev's from a process of root's.
"""

from __future__ import annotations

import functools
import os
import struct
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import kernelbytes as kernel
import pytest
import trio
from privatenet import private_net

from failoverd.netlink.udev import MAGIC, NETLINK_KOBJECT_UEVENT, PREFIX, UDEV_GROUP, Udev
from failoverd_lab import namespaces
from failoverd_lab.netnsstage import Stage, open_stage
from failoverd_lab.story import Nic

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="two users are needed to tell them apart")

FORGER = Path(__file__).parents[1] / "forger.py"
MAC = "52:54:00:fa:13:01"
PV, VF = Nic("pv", "virtio", MAC), Nic("vf", "pci", MAC)
NO_MAC = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
NET_ADMIN = (*NO_MAC, "--inh-caps=+net_admin", "--ambient-caps=+net_admin")
REFUSED = "Operation not permitted"


def forge(*arguments: object, user: tuple[str, ...] = ()) -> list[str]:
    """What the kernel said to another process that sends this, in this thread's namespace."""
    command = [*user, sys.executable, "-I", "-S", str(FORGER), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    return done.stdout.splitlines()


def message(**said: str) -> bytes:
    """What udev's monitor sends."""
    body = b"".join(f"{key}={value}\0".encode() for key, value in said.items())
    return PREFIX + MAGIC + struct.pack("=7I", 40, 40, len(body), 0, 0, 0, 0) + body


RENAMING = message(ACTION="add", IFINDEX="7", ID_RENAMING="1", INTERFACE="evil0")


@private_net
def test_only_roots_process_is_taken_for_udev() -> None:
    udev = Udev()
    group = (0, UDEV_GROUP, RENAMING.hex())

    def from_others() -> None:
        """Neither a user, nor one with the capability, nor one who says that he is root."""
        assert forge(NETLINK_KOBJECT_UEVENT, *group, user=NO_MAC) == [REFUSED]
        assert forge(f"{NETLINK_KOBJECT_UEVENT}as=0", *group, user=NET_ADMIN) == [REFUSED]
        assert forge(NETLINK_KOBJECT_UEVENT, *group, user=NET_ADMIN) == ["sent"]
        kernels = b"add@/devices/virtual/net/evil0\0ACTION=add\0SUBSYSTEM=net\0IFINDEX=7\0"
        assert forge(NETLINK_KOBJECT_UEVENT, 0, 1, kernels.hex()) == ["sent"]

    async def listen() -> None:
        heard = 0
        async for _ in udev.messages():
            heard += 1
            if heard == 1:
                await trio.to_thread.run_sync(from_others)
                assert forge(NETLINK_KOBJECT_UEVENT, 0, UDEV_GROUP, message(ACTION="change", IFINDEX="9").hex()) == [
                    "sent"
                ]
            else:
                break
        assert heard == 2
        assert udev._renaming == {}, "the first message that was believed is root's, behind the forged ones"

    async def main() -> None:
        with trio.fail_after(30):
            await listen()

    trio.run(main)


@private_net
def test_roots_rename_is_believed() -> None:
    """The same message from root's process: so what the test above sends is one that would be believed."""
    udev = Udev()

    async def main() -> None:
        heard = 0
        with trio.fail_after(30):
            async for _ in udev.messages():
                heard += 1
                if heard == 2:
                    break
                assert forge(NETLINK_KOBJECT_UEVENT, 0, UDEV_GROUP, RENAMING.hex()) == ["sent"]
        assert udev._renaming == {7: "evil0"}

    trio.run(main)


def with_a_pair(test: Callable[[Stage], Awaitable[None]]) -> Callable[[], None]:
    """Run a test with a joined pair, in a process of its own."""

    async def main() -> None:
        with trio.fail_after(90):
            async with open_stage([PV, VF]) as stage:
                await stage.plug("pv")
                await stage.configure("pv")
                await stage.plug("vf")
                await stage.daemon.start()
                await accelerated(stage)
                await test(stage)

    @functools.wraps(test)
    def run() -> None:
        namespaces.enter()
        trio.run(main)

    del run.__wrapped__
    return private_net(run)


async def accelerated(stage: Stage) -> None:
    """Wait until the VF carries."""
    while (await state(stage)).get("state") != "accelerated":
        await trio.sleep(0.05)


async def state(stage: Stage) -> dict[str, object]:
    """The master's row, as the daemon answers it."""
    document = await stage.daemon.ask("status")
    masters = document["masters"] if document else []
    return dict(masters[0]) if masters else {}


def ports(pid: int) -> list[int]:
    """The ports of this process's sockets for rtnetlink that are in a group, in its namespace."""
    inodes = {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()}
    rows = [line.split() for line in Path(f"/proc/{pid}/net/netlink").read_text().splitlines()[1:]]
    return [int(row[2]) for row in rows if row[1] == "0" and f"socket:[{row[-1]}]" in inodes and int(row[3], 16)]


@pytest.mark.usefixtures("namespaces_are_to_be_had")
@with_a_pair
async def test_a_running_daemon_believes_nothing_that_is_not_the_kernels(stage: Stage) -> None:
    """The VF's loss, its end, a NIC that is not there, answers to its requests: 1,000 of each, sent to its port."""
    before = await state(stage)
    (port,) = ports(stage.daemon.pid)
    vf = stage.ifindexes["vf"]
    forged = [
        kernel.nic(vf, b"evil0", MAC, b"pci", state=kernel.UP),
        kernel.link(vf, b"", kind=kernel.RTM_DELLINK),
        kernel.nic(77, b"evil1", "52:54:00:fa:13:77", b"virtio", state=kernel.UP | kernel.LOWER_UP),
        kernel.message(kernel.NLMSG_OVERRUN, b""),
        b"".join(kernel.ack(seq, 1) for seq in range(1, 200)),
        b"garbage",
    ]
    words = [one.hex() for one in forged]

    def send() -> None:
        with stage._namespace.inside():
            assert set(forge(0, port, 0, *words, user=NO_MAC)) == {REFUSED}
            assert set(forge(0, 0, 1, *words, user=NO_MAC)) == {REFUSED}
            for user in (NET_ADMIN, ()):
                for _ in range(10):
                    assert set(forge(0, port, 0, *words * 50, user=user)) <= {
                        "sent",
                        "Resource temporarily unavailable",
                    }
                assert "sent" in forge(0, 0, 1, *words, user=user)

    await trio.to_thread.run_sync(send)
    assert await state(stage) == before
    assert "cannot be read" not in stage.daemon.log
    assert "evil" not in stage.daemon.log
    await stage.set_link("vf", False)
    while (await state(stage))["active"] == before["active"]:
        await trio.sleep(0.02)
