"""Pods on a failover master of a guest, and the master itself in a pod: through unplug, migration and replug.

Each pod sends probes to a station of its own on the lab's switch, and so does the host. Beside the pods' longest
silence of each step stands the host's own.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trio
from debguest import cni_package
from pairguest import VF, PairGuest, pair_guest, run
from test_cni import INSTALL, IPAM, Pods
from test_moves import DOORKEEPER

from failoverd_lab import guestprobe, install
from failoverd_lab.lan import PEER, PEER_MAC
from failoverd_lab.peer import Peer
from failoverd_lab.switch import Deliver, Port, Switch

pytestmark = [pytest.mark.vm, pytest.mark.more]

RATE = 200
NOISE = 0.25
"""Seconds by which a pod's silence may be longer than the host's: two links are announced, and the probes do not leave
at the same moment."""
AT_MOST = 2.0
"""Seconds that a pair in a pod may be silent where the kernel's bond alone sees the loss (miimon)."""
SUITES = ["bookworm", "trixie"]
MADE = """
mkdir -p /run/cni
chmod +x /opt/cni/bin/keeper
for pod in a b; do ip netns add $pod; ip -n $pod link set lo up; done
"""
SEND = """
systemd-run --quiet --unit="probe-$1" --nice=-10 ${4:+--property=NetworkNamespacePath=/run/netns/$4} \\
    python3 /run/guestprobe.py "$2" "$3" "/run/probe-$1.json"
"""


class Untagged:
    """The switch, as a station sees it that is in one VLAN."""

    def __init__(self, switch: Switch, vid: int) -> None:
        self._switch, self._tag = switch, b"\x81\x00" + vid.to_bytes(2)
        self._port: Port | None = None

    def attach(self, name: str, deliver: Deliver) -> Untagged:
        """As Switch.attach."""

        def untag(frame: bytes, port: str, at: float) -> None:
            if frame[12:14] == self._tag[:2] and int.from_bytes(frame[14:16]) & 0xFFF == int.from_bytes(self._tag[2:]):
                deliver(frame[:12] + frame[16:], port, at)

        self._port = self._switch.attach(name, untag)
        return self

    def send(self, frame: bytes) -> None:
        """Put a frame on the wire, with its tag."""
        assert self._port is not None
        self._port.send(frame[:12] + self._tag + frame[12:])

    def close(self) -> None:
        """Leave the switch."""
        assert self._port is not None
        self._port.close()


def station(switch: Any, number: int, address: str) -> Peer:
    """A machine that hears the probes to it."""
    mac = PEER_MAC[:-2] + f"{number:02x}"
    return Peer(switch, name=f"station{number}", mac_address=mac, addresses=(address,))


def silence(peer: Peer, begin: float, end: float) -> float:
    """The longest time within that nothing arrived, in seconds."""
    times = [begin, *(at for _, at in peer.diary.heard if begin <= at <= end), end]
    return max(later - sooner for sooner, later in pairwise(times))


@contextmanager
def heard(peers: dict[str, Peer]) -> Iterator[dict[str, Peer]]:
    """These machines, until the block ends."""
    try:
        yield peers
    finally:
        for peer in peers.values():
            peer.close()


async def send(pair: PairGuest, name: str, peer: Peer, address: str, pod: str = "") -> None:
    """Have a pod, or the host, send probes there, and wait until they arrive."""
    await pair.shell(SEND, name, address, str(RATE), *([pod] if pod else []))
    with trio.fail_after(30):
        while not peer.diary.heard:
            await trio.sleep(0.05)


async def silences(peers: dict[str, Peer], step: Callable[[], Awaitable[object]]) -> dict[str, float]:
    """The longest silence of each during a step, and a second before and after it."""
    begin = time.monotonic()
    await trio.sleep(1)
    await step()
    await trio.sleep(1)
    return {name: silence(peer, begin, time.monotonic()) for name, peer in peers.items()}


@asynccontextmanager
async def host(suite: str, datapath: str) -> AsyncIterator[tuple[PairGuest, Pods]]:
    """A joined pair, the doorkeeper, the plugin, and two pods without interfaces."""
    async with pair_guest(suite=suite, config={"master": {"datapath": datapath}}) as pair:
        await pair.guest.put("/run/failoverd-cni.deb", cni_package().read_bytes())
        assert "Setting up failoverd-cni" in await pair.shell(INSTALL)
        await pair.guest.put("/opt/cni/bin/keeper", IPAM.encode())
        await pair.guest.put("/run/guestprobe.py", Path(guestprobe.__file__).read_bytes())
        await pair.shell(MADE)
        await pair.shell(DOORKEEPER, install.PLACE)
        await install.start(pair.guest)
        await pair.accelerated()
        # On an emulated CPU failoverd-netns takes longer to begin than a pod waits.
        await pair.shell('failoverctl move "$1" a --dry-run || true', pair.name)
        try:
            yield pair, Pods(pair)
        except BaseException:
            print(await pair.shell("ip -d link; for n in a b; do ip -n $n -d address; done; failoverctl links || true"))
            print(await pair.shell("journalctl --no-pager -u failoverd -u failoverd-netns | tail -n 150"))
            raise


def on_master(attach: str, *addresses: str, **keys: Any) -> dict[str, Any]:
    """A configuration; without addresses it has no IPAM."""
    ipam = {"ipam": {"type": "keeper", "ips": [{"address": one} for one in addresses]}} if addresses else {}
    return {"cniVersion": "1.1.0", "name": "net", "failover": "auto", "attach": attach, **ipam, **keys}


async def succeed(pods: Pods, command: str, pod: str, keys: dict[str, Any]) -> dict[str, Any]:
    """Run a command, which must succeed."""
    answer = await pods.call(command, pod, keys)
    assert "code" not in answer, answer
    return answer


@pytest.mark.parametrize("datapath", ["bond", "tc"])
@pytest.mark.parametrize("suite", SUITES)
def test_a_vlan_and_an_ipvlan_through_everything(suite: str, datapath: str) -> None:
    async def test() -> None:
        async with host(suite, datapath) as (pair, pods):
            keys = {
                "a": on_master("vlan", "10.7.0.2/24", vlanId=7),
                "b": on_master("ipvlan", "10.111.0.51/24"),
            }
            results = {pod: await succeed(pods, "ADD", pod, keys[pod]) for pod in keys}
            stations = {
                "host": station(pair.switch, 2, "10.111.0.201"),
                "a": station(Untagged(pair.switch, 7), 3, "10.7.0.1"),
                "b": station(pair.switch, 4, "10.111.0.202"),
            }
            with heard(stations) as peers:
                await send(pair, "host", peers["host"], "10.111.0.201")
                await send(pair, "a", peers["a"], "10.7.0.1", "a")
                await send(pair, "b", peers["b"], "10.111.0.202", "b")
                steps: Sequence[tuple[str, Callable[[], Awaitable[object]]]] = (
                    ("unplugged", lambda: _unplugged(pair)),
                    ("migrated", pair.guest.migrate),
                    ("plugged in", lambda: _plugged(pair)),
                )
                for what, step in steps:
                    found = await silences(peers, step)
                    print(f"{suite}, {datapath}, {what}: " + ", ".join(f"{who} {s:.3f} s" for who, s in found.items()))
                    assert max(found["a"], found["b"]) <= found["host"] + NOISE, (what, found)
            await _restarted(pair, pods, keys, results)

    run(test)


async def _unplugged(pair: PairGuest) -> None:
    await pair.guest.unplug("vf")
    await pair.on_standby()


async def _plugged(pair: PairGuest) -> None:
    await pair.guest.plug(VF)
    await pair.accelerated()


async def _restarted(pair: PairGuest, pods: Pods, keys: dict[str, Any], results: dict[str, Any]) -> None:
    """The daemon is killed and started between ADD and DEL; then it is dead, and DEL works."""
    await install.kill(pair.guest)
    await install.start(pair.guest)
    await pair.accelerated()
    for pod in keys:
        assert await pods.call("CHECK", pod, keys[pod] | {"prevResult": results[pod]}) == {}
    assert await pods.call("DEL", "a", keys["a"]) == {}
    await install.kill(pair.guest)
    assert (await pods.call("STATUS", "b", keys["b"]))["code"] == 50
    assert await pods.call("DEL", "b", keys["b"]) == {}
    assert {"lo"} == (await pods.devices("a")).keys() == (await pods.devices("b")).keys()
    await install.start(pair.guest)
    await pair.accelerated()
    assert json.loads(await pair.shell("failoverctl links --json"))["links"] == []


@pytest.mark.parametrize("suite", SUITES)
def test_the_pair_itself_in_a_pod(suite: str) -> None:
    async def test() -> None:
        async with host(suite, "bond") as (pair, pods):
            (vf,) = await pair.guest.netdevs("vf")
            keys = on_master("pair")
            result = await succeed(pods, "ADD", "a", keys)
            assert [row["name"] for row in result["interfaces"]] == ["net1"]
            assert "10.111.0.2/24" in [row["address"] for row in result["ips"]]
            refused = await pods.call("ADD", "b", on_master("vlan", "10.7.0.2/24", vlanId=7))
            assert (refused["code"], "in the pod a (net)" in refused["msg"]) == (11, True), refused
            stations = {"pod": station(pair.switch, 2, PEER[0])}

            async def carries(name: str) -> None:
                with trio.fail_after(60):
                    while True:
                        info = (await pods.devices("a"))["net1"]["linkinfo"]["info_data"]
                        if info.get("active_slave") == name:
                            return
                        await trio.sleep(0.2)

            async def unplugged() -> None:
                await pair.guest.unplug("vf")
                await carries(f"{pair.name}nsby")

            async def replugged() -> None:
                await pair.guest.plug(VF)
                await carries(vf)

            steps = (("unplugged", unplugged), ("migrated", pair.guest.migrate), ("plugged in", replugged))
            with heard(stations) as peers:
                await send(pair, "pod", peers["pod"], PEER[0], "a")
                for what, step in steps:
                    found = await silences(peers, step)
                    print(f"{suite}, the pair in a pod, {what}: {found['pod']:.3f} s")
                    assert found["pod"] <= AT_MOST, (what, found)
            assert await pods.call("CHECK", "a", keys | {"prevResult": result}) == {}
            # Killed and started again between ADD and DEL; dead at the DEL of the next one.
            await install.kill(pair.guest)
            await install.start(pair.guest)
            assert await pods.call("DEL", "a", keys) == {}
            await pair.accelerated()
            own = on_master("pair", "10.111.0.77/24")
            await succeed(pods, "ADD", "b", own)
            shown = (await pods.devices("b"))["net1"]["addr_info"]
            assert [row["local"] for row in shown if row["scope"] == "global"] == ["10.111.0.77"]
            await install.kill(pair.guest)
            assert (await pods.call("STATUS", "b", own))["code"] == 50
            assert await pods.call("DEL", "b", own) == {}
            await pair.shell("ip netns delete b")
            await install.start(pair.guest)
            await pair.accelerated()
            assert "10.111.0.2/24" in await pair.shell('ip address show "$1"', pair.name)
            assert "10.111.0.77" not in await pair.shell("ip address")

    run(test)
