"""Somebody takes a slave for the machine's NIC, or into a bridge. It is undone, said, and costs no traffic."""

from __future__ import annotations

import pytest
import trio
from pairguest import PairGuest, pair_guest, run
from probes import probes

from failoverd_lab import install

pytestmark = [pytest.mark.vm, pytest.mark.more]

CLIENT = """
ip address add 10.111.0.77/24 dev "$1"
ip address add fd00:111::77/64 dev "$1" nodad
ip -6 route add default via fd00:111::1 dev "$1" metric 1 || true
"""
"""What a DHCP client and a router's advertisement leave on the NIC they take for theirs. The route finds no address any
more where failoverd was faster."""
LEFT = 'ip -o address show dev "$1"; ip -6 route show default dev "$1"'


async def until_nothing_is_left(pair: PairGuest, name: str) -> None:
    left = ""
    with trio.move_on_after(30):
        while left := await pair.shell(LEFT, name):
            await trio.sleep(0.2)
        return
    raise AssertionError(f"{name} still has {left}; {await install.log(pair.guest)}")


async def until_it_says(pair: PairGuest, words: str) -> None:
    said = ""
    with trio.move_on_after(30):
        while words not in (said := await install.log(pair.guest)):
            await trio.sleep(0.5)
        return
    raise AssertionError(f"it does not say {words!r}: {said}")


@pytest.mark.parametrize("datapath", ["bond", "tc"])
def test_a_grabbed_slave_is_taken_back_and_no_probe_is_lost(datapath: str) -> None:
    """By tc the paravirtual NIC is the master, and so no slave."""

    async def test() -> None:
        async with pair_guest(config={"master": {"datapath": datapath}}) as pair:
            await install.start(pair.guest)
            await pair.accelerated()
            master = await pair.until(lambda master: master["standby"] is not None)
            vf, standby = master["primary"]["name"], master["standby"]["name"]
            slaves = (vf, standby) if datapath == "bond" else (vf,)
            await pair.shell("ip link add br0 type bridge")
            async with probes(pair) as count:
                for name in slaves:
                    await pair.shell(CLIENT, name)
                    await until_nothing_is_left(pair, name)
                if standby in slaves:
                    await pair.shell('ip link set dev "$1" down', standby)
                    await pair.until(lambda master: not master["standby"]["up"])
                    await pair.until(lambda master: master["standby"]["up"])
                    await pair.shell('ip link set dev "$1" master br0', standby)
                    await pair.until(lambda master: master["standby"] is not None and master["state"] == "accelerated")
                    await until_it_says(pair, f"{standby}: it is a slave of {pair.name} again")
            assert (count.lost, count.sent > 1000) == (0, True), count
            # The one that carries: the other one is there at once.
            before = master["failovers"]
            await pair.shell('ip link set dev "$1" down', vf)
            await pair.until(lambda master: master["failovers"] > before and master["active"] == standby)
            await pair.accelerated()
            await pair.shell('ip link set dev "$1" master br0', vf)
            await until_it_says(pair, f"{vf}: it is a slave of {pair.name} again")
            await pair.accelerated()
            said, explained = await install.log(pair.guest), await pair.shell("failoverctl explain")
            for name in slaves:
                assert f"{name}: another program has given it 10.111.0.77/24" in said
                assert f"10.111.0.77/24 was taken off {name}" in explained
                assert f"{name}: another program has set it down" in said
            assert "WARNING: the kernel" not in said

    run(test)
