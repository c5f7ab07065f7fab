"""Names in real guests: renames of what is up under traffic, and udev's lost race. The many are bench/renames.py's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio
from pairguest import VF, PairGuest, pair_guest, run
from probes import probes

from failoverd.lab import guestnames, install

pytestmark = pytest.mark.vm

SCRIPT = "/run/guestnames.py"
RENAMES = 10
RACES = 3
POLICY = {"naming": {"primary": "{master}vf", "altnames": True}}


async def told(pair: PairGuest) -> list[tuple[int, str, str]]:
    """The renames that were signalled."""
    lines = map(json.loads, (await pair.shell("cat /var/lib/failoverd/history")).splitlines())
    return [(line["ifindex"], line["from"], line["to"]) for line in lines if line["event"] == "renamed"]


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_slaves_that_are_up_are_renamed_under_traffic(suite: str) -> None:
    async def test() -> None:
        async with pair_guest(suite=suite) as pair:
            await pair.guest.put(SCRIPT, Path(guestnames.__file__).read_bytes())
            await install.start(pair.guest)
            await pair.accelerated()
            before = len(await told(pair))
            async with probes(pair) as count:
                script = 'systemd-run --quiet --wait python3 "$1" rename "$2" /run/renames.json'
                await pair.shell(script, SCRIPT, str(RENAMES))
            rows = json.loads(await pair.shell("cat /run/renames.json"))
            assert [row["refused"] for row in rows] == [""] * RENAMES
            assert [row["named"] for row in rows] == [row["new"] for row in rows]
            assert (await told(pair))[before:] == [(row["ifindex"], row["old"], row["new"]) for row in rows]
            assert count.lost == 0, count

    run(test)


def test_a_policy_in_a_real_guest() -> None:
    """Names given at the join, to a VF that is plugged in, kept over kill -9, and given back."""

    async def altnames(pair: PairGuest, name: str) -> set[str]:
        (link,) = json.loads(await pair.shell('ip -j link show "$1"', name))
        return set(link.get("altnames", []))

    async def test() -> None:
        async with pair_guest(config=POLICY) as pair:
            vf = (await pair.guest.netdevs("vf"))[0]
            first = {name: await altnames(pair, name) for name in (pair.name, vf)}
            await install.start(pair.guest)
            master = await pair.accelerated()
            assert master["primary"]["name"] == f"{pair.name}vf"
            mark = f"failoverd-was-{master['primary']['ifindex']}-{vf}"
            assert await altnames(pair, f"{pair.name}vf") >= {mark, f"{pair.name}-primary"}
            assert f"{pair.name}-standby" in await altnames(pair, f"{pair.name}nsby")
            await pair.guest.unplug("vf")
            await pair.on_standby()
            await install.kill(pair.guest)
            await pair.guest.plug(VF)
            await install.start(pair.guest)
            master = await pair.accelerated()
            assert master["primary"]["name"] == f"{pair.name}vf"
            await install.ask(pair.guest, "release", pair.name)
            with trio.fail_after(30):
                while vf not in await pair.guest.netdevs("vf"):
                    await trio.sleep(0.5)
            assert {name: await altnames(pair, name) for name in (pair.name, vf)} == first

    run(test)


def test_a_rename_udev_lost_to_an_opener_is_completed() -> None:
    """On 6.1 a device that is up cannot be renamed, and somebody brings each up the moment it appears."""

    async def test() -> None:
        async with pair_guest() as pair:
            wanted = (await pair.guest.netdevs("vf"))[0]
            await pair.guest.put(SCRIPT, Path(guestnames.__file__).read_bytes())
            await install.start(pair.guest)
            await pair.accelerated()
            await pair.shell('systemd-run --quiet --nice=-15 --unit=opener python3 "$1" open /run/opened', SCRIPT)
            for _ in range(RACES):
                await pair.guest.unplug("vf")
                await pair.on_standby()
                await pair.guest.plug(VF)
                master = await pair.accelerated()
                assert master["primary"]["name"] == wanted
            opened = (await pair.shell("cat /run/opened")).splitlines()
            assert len(opened) == RACES
            lost = [line for line in opened if line.endswith("opened") and f" {wanted} " not in line]
            assert lost, f"the opener never came first: {opened}"

    run(test)
