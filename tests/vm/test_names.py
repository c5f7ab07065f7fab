"""Names in real guests: renames of what is up under traffic, and udev's lost race. The many are bench/renames.py's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trio
from pairguest import VF, PairGuest, pair_guest, run
from probes import probes

from failoverd_lab import guestnames, install

pytestmark = pytest.mark.vm

SCRIPT = "/run/guestnames.py"
RENAMES = 10
RACES = 3
POLICY = {"naming": {"primary": "{master}vf", "altnames": True}}


async def told(pair: PairGuest) -> list[tuple[int, str, str]]:
    """The renames that were signalled."""
    lines = map(json.loads, (await pair.shell("cat /var/lib/failoverd/history")).splitlines())
    return [(line["ifindex"], line["old_name"], line["new_name"]) for line in lines if line["event"] == "link-renamed"]


@pytest.mark.parametrize("suite", [pytest.param("bookworm", marks=pytest.mark.more), "trixie"])
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


@pytest.mark.more
@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_renames_that_meet_each_other_and_a_failover(suite: str) -> None:
    """Two of one NIC at once, a swap of two names, some while the VF is unplugged. 6.1 renames nothing that is up."""

    async def test() -> None:
        async with pair_guest(suite=suite) as pair:
            await install.start(pair.guest)
            master = await pair.accelerated()
            standby, primary = master["standby"], master["primary"]
            before = len(await told(pair))

            async def rename(old: str, new: str) -> str:
                """What failoverctl complains of; nothing, if it renamed."""
                done = await pair.guest.run(["failoverctl", "rename", old, new], timeout=60)
                assert done.returncode == 0 or done.stderr, done
                return done.stderr.decode()

            async def named(nic: Mapping[str, Any]) -> str:
                rows = json.loads(await pair.shell("ip -j link"))
                return next(str(row["ifname"]) for row in rows if row["ifindex"] == nic["ifindex"])

            async def chain(nic: Mapping[str, Any]) -> list[str]:
                """The NIC's names since the beginning, as signalled: each rename begins where the one before ended."""
                own = [(old, new) for ifindex, old, new in (await told(pair))[before:] if ifindex == nic["ifindex"]]
                assert all(sooner[1] == later[0] for sooner, later in pairwise(own)), own
                return [nic["name"], *(new for _, new in own)]

            async with probes(pair) as count:
                answers: dict[str, str] = {}

                async def one(new: str) -> None:
                    answers[new] = await rename(str(standby["ifindex"]), new)

                async with trio.open_nursery() as nursery:
                    nursery.start_soon(one, "left0")
                    nursery.start_soon(one, "right0")
                assert set(answers.values()) == {""}
                assert sorted(await chain(standby)) == sorted([standby["name"], "left0", "right0"])
                assert await named(standby) == (await chain(standby))[-1]

                # Not those that udev knows for them: on Debian 12 it makes an altname of a name it meant.
                for nic, new in ((standby, "slow0"), (primary, "fast0")):
                    assert not await rename(await named(nic), new)
                assert "it is a name of fast0 already" in await rename("slow0", "fast0")
                for old, new in (("slow0", "aside0"), ("fast0", "slow0"), ("aside0", "fast0")):
                    assert not await rename(old, new)
                await pair.accelerated()
                assert (await named(standby), await named(primary)) == ("fast0", "slow0")
                assert (await chain(standby))[-3:] == ["slow0", "aside0", "fast0"]
                assert await chain(primary) == [primary["name"], "fast0", "slow0"]
            assert count.lost == 0, count

            async with trio.open_nursery() as nursery:
                nursery.start_soon(pair.guest.unplug, "vf")
                for number in range(RENAMES):
                    answers[f"late{number}"] = await rename(str(standby["ifindex"]), f"late{number}")
            after = await pair.on_standby()
            assert after["standby"]["ifindex"] == standby["ifindex"]
            done = [name for name in answers if name.startswith("late") and not answers[name]]
            names = await chain(standby)
            assert names[len(names) - len(done) :] == done
            assert after["standby"]["name"] == await named(standby) == names[-1]
            async with probes(pair) as count:
                alone = await rename(names[-1], "alone0")
            assert count.lost == 0, count
            assert ("it would be cut off" in alone) if suite == "bookworm" else not alone
            await pair.guest.plug(VF)
            assert (await pair.accelerated())["standby"]["name"] == (names[-1] if alone else "alone0")

    run(test)


@pytest.mark.more
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


@pytest.mark.more
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
