"""NICs that are lent to a container's network namespace and come back, with their ifindex, on this kernel by tc."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio
from privatenet import private_net
from test_daemon_records import CONFIG, NICS, in_state

from failoverd_lab import judge, namespaces
from failoverd_lab.hardware import DRIVERS
from failoverd_lab.netnsstage import Stage, open_stage
from failoverd_lab.story import DIRECTIONS

pytestmark = pytest.mark.usefixtures("namespaces_are_to_be_had")


@contextmanager
def process(stage: Stage, *command: str) -> Iterator[str]:
    """A process in the guest's namespace, or one of its own; its number."""
    with stage._namespace.inside():
        running = subprocess.Popen([*command, "sleep", "60"])
    try:
        yield str(running.pid)
    finally:
        running.kill()
        running.wait()


async def lend(stage: Stage, name: str) -> None:
    with process(stage) as home, process(stage, "unshare", "-n") as box:
        await trio.sleep(0.5)
        there = ["ip", "link", "set", name, "netns"]
        with stage._namespace.inside():
            subprocess.run([*there, box], check=True)
            subprocess.run(["nsenter", "-t", box, "-n", *there, home], check=True)


async def redirected(stage: Stage) -> None:
    """Both filters lead to a device, whatever failoverd says."""
    for name, hook in (("ens4", "ingress"), ("ens3", "egress")):
        show = ["tc", "filter", "show", "dev", name, hook]
        with stage._namespace.inside():
            while "device ens" not in subprocess.run(show, capture_output=True, text=True, check=False).stdout:
                await trio.sleep(0.05)


async def is_heard(stage: Stage) -> None:
    """Probes both ways, and none is lost."""
    async with trio.open_nursery() as nursery:
        start = trio.current_time()
        await stage.start_traffic(100, nursery)
        await trio.sleep(1)
        guest = await stage.stop_traffic()
        probes = judge.probes(stage.peer.diary, guest, start, one_clock=True)
        assert [judge.lost(probes, way, 0, 1) for way in DIRECTIONS] == [0, 0], stage.daemon.log
        nursery.cancel_scope.cancel()


async def lend_both() -> None:
    # The lab's usual vmxnet3 would count as the paravirtual NIC while the virtio one is away.
    DRIVERS["pci"] = "iavf"
    with trio.fail_after(60):
        async with open_stage(NICS, CONFIG) as stage:
            await stage.plug("pv")
            await stage.configure("pv")
            await stage.plug("vf")
            await stage.daemon.start()
            for nic in ("pv", "vf"):
                await in_state(stage, "accelerated")
                index = next(row["ifindex"] for row in await stage.links() if row["nic"] == nic)
                await lend(stage, next(row["name"] for row in await stage.links() if row["nic"] == nic))
                assert index in [row["ifindex"] for row in await stage.links()]
                if nic == "pv":
                    await stage.configure(nic)
                await redirected(stage)
                await in_state(stage, "accelerated")
                await is_heard(stage)
            await stage.unplug("pv")
            await is_plain(stage)


async def is_plain(stage: Stage) -> None:
    """The VF, whose paravirtual NIC is gone for good, bears nothing of failoverd's."""
    show = ["sh", "-c", "ip -d link show ens4; tc qdisc show dev ens4; tc filter show dev ens4 ingress"]
    with stage._namespace.inside():
        while any(
            word in subprocess.run(show, capture_output=True, text=True, check=True).stdout
            for word in ("failoverd", "clsact", "mirred", "addrgenmode none", "ALLMULTI")
        ):
            await trio.sleep(0.05)


@private_net
def test_traffic_flows_again_where_the_state_says_so() -> None:
    namespaces.enter()
    trio.run(lend_both)
