"""The VF's port of the switch drops everything, and its link is up: what the bond's own monitor cannot know.

The probes of the path find it out, the traffic moves to the standby, and comes back with the path.
"""

from __future__ import annotations

import time

import pytest
import trio
from pairguest import pair_guest, run
from probes import probes

from failoverd_lab import install
from failoverd_lab.lan import PEER

pytestmark = pytest.mark.vm

INTERVAL = 1.0
CONFIG = {"path": {"enabled": True, "targets": [PEER[0]], "interval": INTERVAL}}
RATE = 100
SLACK = 0.5
"""Seconds that a guest without KVM may take longer than the three intervals."""


def test_traffic_leaves_a_path_that_is_dead_and_comes_back() -> None:
    async def test() -> None:
        async with pair_guest(config=CONFIG) as pair:
            await install.start(pair.guest)
            await pair.accelerated()
            async with probes(pair, rate=RATE) as count:
                await trio.sleep(3 * INTERVAL)
                port = pair.guest.plugged["vf"].port
                begun = time.monotonic()
                port.is_dead = True
                master = await pair.until(lambda master: master["state"] == "on-standby")
                port.is_dead = False
                print(f"on the standby {time.monotonic() - begun:.1f} s later as it is seen")
                assert "path" in master["reason"] or "answers" in master["reason"], master
                assert master["primary"]["carrier"], master
                await pair.accelerated()
                await trio.sleep(3 * INTERVAL)
            longest = max(len(lost) for lost in (count.to_guest, count.from_guest)) / RATE
            print(f"{count.lost} of {count.sent} probes lost, {longest:.2f} s of them one way")
            assert 0 < longest <= 3 * INTERVAL + SLACK, f"{count}\n{await install.log(pair.guest)}"

    run(test)


@pytest.mark.more
def test_nothing_moves_where_nobody_answers_at_all() -> None:
    """The target is down: the paths say nothing, and the VF goes on."""

    async def test() -> None:
        config = {"path": {"enabled": True, "targets": ["10.111.0.99"], "interval": 0.5}}
        async with pair_guest(config=config) as pair:
            await install.start(pair.guest)
            before = await pair.accelerated()
            async with probes(pair) as count:
                await trio.sleep(10)
                after = await pair.master()
            assert (after["state"], after["failovers"]) == ("accelerated", before["failovers"])
            assert (count.lost, count.sent > 1000) == (0, True), count

    run(test)
