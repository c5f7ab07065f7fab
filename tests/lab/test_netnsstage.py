"""The stage of the netns world: real veths, real frames, a real daemon, in namespaces of this test's own."""

from __future__ import annotations

import functools
import os
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from privatenet import private_net

from failoverd_lab import judge, namespaces, rtnl
from failoverd_lab.host import LabError
from failoverd_lab.namespaces import HERE, Namespace
from failoverd_lab.netnsstage import FIRST, Stage, open_stage
from failoverd_lab.rtnl import KernelRefusedError
from failoverd_lab.story import Nic

pytestmark = pytest.mark.usefixtures("namespaces_are_to_be_had")

MAC = "52:54:00:fa:11:01"
PV, VF = Nic("pv", "virtio", MAC), Nic("vf", "pci", MAC)


def on_stage(test: Callable[[Stage, trio.Nursery], Awaitable[None]], **config: Any) -> Callable[[], None]:
    """Run a test on a stage with the paravirtual NIC plugged in and configured, in a process of its own."""

    async def main() -> None:
        with trio.fail_after(60):
            async with open_stage([PV, VF], config) as stage, trio.open_nursery() as nursery:
                await stage.plug("pv")
                await stage.configure("pv")
                await test(stage, nursery)
                nursery.cancel_scope.cancel()

    @functools.wraps(test)
    def run() -> None:
        namespaces.enter()
        trio.run(main)

    del run.__wrapped__
    return private_net(run)


def where() -> str:
    """The namespace this thread is in."""
    return str(Path(HERE).readlink())


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    while not await condition():
        await trio.sleep(0.01)


async def link(stage: Stage, nic: str) -> dict[str, Any]:
    return next(row for row in await stage.links() if row["nic"] == nic)


@private_net
def test_a_namespace_is_stepped_into_and_out_of() -> None:
    namespaces.enter()
    home = where()
    guest = Namespace.new()
    assert where() == home
    with guest.inside():
        assert where() != home
    assert where() == home
    guest.close()
    guest.close()


@on_stage
async def test_a_nic_has_the_number_the_name_and_the_mac_it_was_given(stage: Stage, nursery: trio.Nursery) -> None:
    assert stage.ifindexes == {"pv": FIRST}
    seen = await link(stage, "pv")
    assert (seen["ifindex"], seen["name"], seen["mac"], seen["master"]) == (FIRST, "ens3", MAC, "")
    assert seen["up"]
    assert {"10.111.0.2/24", "fd00:111::2/64"} <= set(seen["addresses"])
    assert (await stage.host.look())[-1]["addresses"] == [], "a cable has no address"


@on_stage
async def test_a_nic_that_comes_back_is_a_new_device(stage: Stage, nursery: trio.Nursery) -> None:
    for number in (1, 2, 3):
        await stage.plug("vf")
        assert (await link(stage, "vf"))["ifindex"] == FIRST + number
        await stage.unplug("vf")
        assert [row["nic"] for row in await stage.links() if row["nic"]] == ["pv"]
    assert set(stage.switch.ports) == {"peer", "pv@netns"}


@on_stage
async def test_a_cut_cable_takes_the_carrier_and_the_frames(stage: Stage, nursery: trio.Nursery) -> None:
    await stage.start_traffic(200, nursery)
    await stage.set_link("pv", False)
    assert not (await link(stage, "pv"))["carrier"]
    assert stage.switch.ports["pv@netns"] not in stage.switch.where.values(), "a switch forgets a port without a link"
    heard = len(stage.peer.diary.heard)
    await trio.sleep(0.2)
    assert len(stage.peer.diary.heard) == heard
    await stage.set_link("pv", True)
    await until(lambda: _more_than(stage, heard))
    assert (await link(stage, "pv"))["carrier"]


async def _more_than(stage: Stage, heard: int) -> bool:
    return len(stage.peer.diary.heard) > heard


@on_stage
async def test_a_thousand_probes_a_second_arrive_both_ways_and_by_one_clock(
    stage: Stage, nursery: trio.Nursery
) -> None:
    await stage.start_traffic(1000, nursery)
    begun = time.monotonic()
    await trio.sleep(1)
    length = time.monotonic() - begun
    guest = await stage.stop_traffic()
    probes = judge.probes(stage.peer.diary, guest, begun, one_clock=True)
    for way in ("to-guest", "from-guest"):
        mine = [probe for probe in probes if probe.direction == way and 0 <= probe.sent <= length]
        assert len(mine) > 900
        assert sum(probe.arrived is None for probe in mine) == 0
        # A busy machine is late, but no clock that were an offset away could be right for both ways.
        took = sorted(probe.arrived - probe.sent for probe in mine if probe.arrived is not None)
        assert 0 <= took[0] <= took[len(took) // 2] < 0.005


@on_stage
async def test_the_daemon_takes_the_labs_veths_for_nics_and_no_other(stage: Stage, nursery: trio.Nursery) -> None:
    elsewhere = Namespace.new()
    await stage.guest.ask(rtnl.veth(elsewhere.file, "eth0", MAC, 900, "docker0"))
    await stage.daemon.start()
    assert await _verdicts(stage) == {"ens3": "alone", "docker0": "ignored"}
    elsewhere.close()
    await stage.plug("vf")

    async def is_paired() -> bool:
        verdicts = await _verdicts(stage)
        return verdicts.get("ens4") == verdicts["ens3"] == "paired"

    await until(is_paired)
    nics = {row["name"]: row for row in (await stage.daemon.ask("status") or {})["nics"]}
    assert (nics["ens3"]["bus"], nics["ens3"]["driver"]) == ("virtio", "virtio_net")
    assert (nics["ens4"]["bus"], nics["ens4"]["driver"]) == ("pci", "vmxnet3")
    await stage.unplug("vf")

    async def is_alone() -> bool:
        return (await _verdicts(stage))["ens3"] != "paired"

    await until(is_alone)


async def _verdicts(stage: Stage) -> dict[str, str]:
    document = await stage.daemon.ask("status")
    assert document is not None
    return {row["name"]: row["verdict"] for row in document["nics"]}


@on_stage
async def test_the_daemon_can_be_killed_and_stopped_and_started(stage: Stage, nursery: trio.Nursery) -> None:
    assert await stage.daemon.ask("status") is None
    for number in (signal.SIGKILL, signal.SIGTERM):
        await stage.daemon.start()
        assert await stage.daemon.ask("status") is not None
        pid = stage.daemon.pid
        await stage.daemon.end(number)
        assert await stage.daemon.ask("status") is None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert "ending on SIGTERM" in stage.daemon.log
    with pytest.raises(LabError, match="the daemon is not running"):
        stage.daemon.send(signal.SIGHUP)
    await stage.daemon.start()
    with pytest.raises(LabError, match="the daemon refuses release nowhere"):
        await stage.daemon.ask("release", "nowhere")


async def _bad_configuration(stage: Stage, nursery: trio.Nursery) -> None:
    with pytest.raises(LabError, match=r"(?s)the daemon ended: .*hold_down"):
        await stage.daemon.start()


test_a_daemon_that_cannot_start_says_why = on_stage(_bad_configuration, failback={"hold_down": "long"})


@on_stage
async def test_the_kernels_refusal_has_its_words(stage: Stage, nursery: trio.Nursery) -> None:
    with pytest.raises(KernelRefusedError, match="Unknown device type"):
        await stage.guest.ask(rtnl.device("no-such-kind", "x"))


@on_stage
async def test_the_daemon_is_on_no_bus_of_this_machine(stage: Stage, nursery: trio.Nursery) -> None:
    """The machine's own would be where this variable says, or at its usual place."""
    tried: list[bool] = []

    async def listen(place: Path) -> None:
        with trio.socket.socket(trio.socket.AF_UNIX) as sock:
            await sock.bind(str(place))
            sock.listen(1)
            await sock.accept()
            tried.append(True)

    with tempfile.TemporaryDirectory() as directory:
        os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = f"unix:path={directory}/bus"
        nursery.start_soon(listen, Path(directory, "bus"))
        await stage.daemon.start()
        await stage.plug("vf")
        await until(lambda: is_joined(stage))
        await trio.sleep(1)
    assert not tried
    assert "bus" not in stage.daemon.log


async def is_joined(stage: Stage) -> bool:
    document = await stage.daemon.ask("status")
    return bool(document and document["masters"] and document["masters"][0]["state"] == "accelerated")
