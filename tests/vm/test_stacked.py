"""What people put on their master goes on working, whatever becomes of the VF and of failoverd (docs/stacked.md)."""

from __future__ import annotations

import pytest
import trio
from pairguest import MAC, VF, run
from stacked import BEHIND, BRIDGE, STACK, THINGS, Stacked, Stop, replug, stacked_guest, station, unplug

pytestmark = [pytest.mark.vm, pytest.mark.more]

KILL = "systemctl kill --signal=KILL failoverd.service"
TELL = """
failoverctl; failoverctl explain; ip -d link; ip address
journalctl --no-pager -o short-monotonic -u failoverd | tail -n 60
"""
SHAPED = 'tc qdisc replace dev "$1" root tbf rate 500kbit burst 10k limit 600k'
ECHOES = 10
"""Of 8000 bytes: as many as the guest's kernel queues for one of its ICMP sockets. Through tbf they take 1 s."""
PLAIN = 'tc qdisc del dev "$1" root'


async def over(stacked: Stacked) -> None:
    """Nothing was wrong, or else what was, and what failoverd says."""
    if stacked.problems:
        pytest.fail("\n".join([*stacked.problems, await stacked.pair.shell(TELL)]))


async def begin(stacked: Stacked) -> None:
    await stacked.pair.shell(STACK, stacked.name)
    await stacked.pair.accelerated()


async def restart(stacked: Stacked) -> None:
    await stacked.pair.shell("systemctl restart failoverd")
    await stacked.pair.accelerated()


async def drain(stacked: Stacked) -> None:
    """While it is drained, a bond takes in what comes to either NIC: its own solicitations as well."""
    await stacked.pair.shell('failoverctl drain "$1"', stacked.name)


async def undrain(stacked: Stacked) -> None:
    await stacked.pair.shell('failoverctl undrain "$1"', stacked.name)
    await stacked.pair.accelerated()


async def walk(stacked: Stacked) -> None:
    """Through everything that may happen to a pair, and a look at everything after each."""
    await stacked.stop_at("stacked", "vf", lambda: begin(stacked), switches=False)
    await stacked.stop_at("unplugged", "pv", lambda: unplug(stacked))
    await stacked.stop_at("replugged", "vf", lambda: replug(stacked))
    await stacked.stop_at("drained", "pv", lambda: drain(stacked))
    await stacked.stop_at("undrained", "vf", lambda: undrain(stacked))


async def killed(stacked: Stacked) -> None:
    await stacked.pair.shell(KILL)
    await stacked.pair.guest.unplug("vf")


async def back(stacked: Stacked) -> None:
    await stacked.pair.shell("systemctl start failoverd")
    await stacked.pair.on_standby()


async def shaping(stacked: Stacked, nic: str) -> None:
    """A qdisc on the master shapes what leaves."""
    stop = Stop(f"tbf, by {nic}")
    to = station(MAC, "10.111.0.2")
    free = await stacked.vlans.burst(stacked.peer.send, to, 8000, ECHOES)
    await stacked.pair.shell(SHAPED, stacked.name)
    await stacked.pair.until(lambda master: nic == "vf" or master["state"] == "on-standby")
    slow = await stacked.vlans.burst(stacked.peer.send, to, 8000, ECHOES)
    print(f"{ECHOES} echoes of 8000 bytes: {free:.2f} s, through tbf at 500 kbit/s {slow:.2f} s")
    stop.note(slow > 0.6 > 0.3 > free, f"{ECHOES} echoes took {free:.2f} s without and {slow:.2f} s with tbf")
    await stacked.answers(stop, nic)
    stacked.shown.add("a qdisc")
    stacked.problems += stop.problems


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_on_a_bond(suite: str) -> None:
    async def test() -> None:
        async with stacked_guest(suite, "bond") as stacked:
            await walk(stacked)
            await shaping(stacked, "vf")
            await stacked.stop_at("restarted", "vf", lambda: restart(stacked), switches=False)
            await stacked.stop_at("killed and unplugged", "pv", lambda: killed(stacked))
            await stacked.stop_at("started again", "pv", lambda: back(stacked), switches=False)
            kinds = [row["kind"] for row in (await stacked.look())["qdiscs"] if row.get("root")]
            assert kinds == ["tbf"], f"the master's qdisc is {kinds}"
            await over(stacked)
            assert stacked.shown == {*THINGS} - {"a bridge it is a port of"}

    run(test)


def test_by_traffic_control() -> None:
    """Without a master of its own: the VF is opened for what stands on the NIC, and failoverd reports the groups."""

    async def test() -> None:
        async with stacked_guest("bookworm", "tc") as stacked:
            await walk(stacked)
            await shaping(stacked, "pv")
            stop = Stop("tbf")
            said = await stacked.pair.shell("failoverctl || true")
            stop.note("has a tbf qdisc that traffic would pass by" in said, f"failoverctl does not tell: {said}")
            stacked.problems += stop.problems
            await stacked.stop_at("without tbf", "vf", lambda: unshaped(stacked))
            await sent_unseen(stacked)
            await stacked.stop_at("restarted", "vf", lambda: restart(stacked), switches=False)
            await stacked.pair.shell(KILL)
            await stacked.pair.guest.unplug("vf")
            await stacked.stop_at("started again", "pv", lambda: back(stacked))
            await looped(stacked)
            await over(stacked)
            assert stacked.shown == {*THINGS} - {"a bridge it is a port of"}

    run(test)


async def unshaped(stacked: Stacked) -> None:
    await stacked.pair.shell(PLAIN, stacked.name)
    await stacked.pair.accelerated()


async def sent_unseen(stacked: Stacked) -> None:
    """A capture on the master does not see what the VF sends for it; one on the VF does."""
    vf = (await stacked.pair.master())["primary"]["name"]
    stop = Stop("captures of what goes out")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stacked.pair.shell, OUTWARD, stacked.name, vf)
        for _ in range(20):
            await stacked.echo(stop, "the master", station(MAC, "10.111.0.2"), "vf")
            await trio.sleep(0.2)
    found = (await stacked.pair.shell("grep -c reply /run/out.master /run/out.vf || true")).split()
    assert found[0] == "/run/out.master:0", found
    assert int(found[1].partition(":")[2]) > 0, found
    stacked.problems += stop.problems


OUTWARD = """
timeout 4 tcpdump -l -n -Q out -i $2 icmp >/run/out.vf 2>/dev/null &
timeout 4 tcpdump -l -n -Q out -i $1 icmp >/run/out.master 2>/dev/null || true
wait || true
"""


async def looped(stacked: Stacked) -> None:
    """One's own solicitation does come back under tc: only its nonce (RFC 7527) tells that it is one's own."""
    await replug(stacked)
    found = await stacked.pair.shell(LOOPED, stacked.name)
    assert "dadfailed" in found, f"without enhanced_dad the address is {found}"


LOOPED = """
sysctl -q net.ipv6.conf.all.enhanced_dad=0 net.ipv6.conf.$1.enhanced_dad=0
ip address add fd00:111::bad/64 dev $1
sleep 4
ip -6 address show dev $1 | grep -A1 ::bad
"""


def test_a_bridge_with_a_bond_as_its_port() -> None:
    """The network's switch learns at each switch where those behind the bridge are, who say nothing themselves."""

    async def test() -> None:
        async with stacked_guest("bookworm", "bond") as stacked:
            await stacked.pair.shell(BRIDGE, stacked.name)
            await bridged(stacked, "bridged", "vf", learns=False)
            for name, change, nic, learns in STOPS:
                await change(stacked)
                await bridged(stacked, name, nic, learns)
            await over(stacked)

    run(test)


def test_by_traffic_control_a_nic_in_a_bridge_carries_alone() -> None:
    """Whether the VF comes before or after, and also for a new daemon; and failoverd says why."""

    async def test() -> None:
        async with stacked_guest("bookworm", "tc") as stacked:
            await stacked.pair.shell(BRIDGE, stacked.name)
            await stands_aside(stacked)
            await bridged(stacked, "bridged", "pv", learns=False)
            await unplug(stacked)
            await bridged(stacked, "unplugged", "pv", learns=False)
            await stacked.pair.guest.plug(VF)
            await stands_aside(stacked)
            await bridged(stacked, "replugged", "pv", learns=False)
            await stacked.pair.shell("systemctl restart failoverd")
            await stands_aside(stacked)
            await bridged(stacked, "restarted", "pv", learns=False)
            await stacked.pair.shell('ip link set "$1" nomaster', stacked.name)
            await stacked.pair.accelerated()
            await over(stacked)

    run(test)


async def stands_aside(stacked: Stacked) -> None:
    """The VF is there and does not carry, for a reason."""
    await stacked.pair.until(lambda master: master["state"] == "on-standby" and "is in a bridge" in master["reason"])


async def bridged(stacked: Stacked, name: str, nic: str, learns: bool) -> None:
    """The bridge and who is behind it answer, and the network's switch knew where before anybody asked."""
    stop, port = Stop(name), stacked.carrier(nic)
    if learns:
        for who in (MAC, BEHIND):
            with trio.move_on_after(3):
                while stacked.where(who) != port:
                    await trio.sleep(0.02)
            stop.note(stacked.where(who) == port, f"the switch has {who} at {stacked.where(who)} and not at {port}")
    for _ in range(2):
        await stacked.echo(stop, "the bridge", station(MAC, "10.111.0.2"), nic)
        await stacked.echo(stop, "behind the bridge", station(BEHIND, "10.111.0.60"), nic)
    print(f"{name}: {'; '.join(stop.problems) or 'ok'}")
    stacked.problems += stop.problems


STOPS = (
    ("unplugged", unplug, "pv", True),
    ("replugged", replug, "vf", True),
    ("drained", drain, "pv", True),
    ("undrained", undrain, "vf", True),
    ("restarted", restart, "vf", True),
    ("killed and unplugged", killed, "pv", False),
    ("started again", back, "pv", True),
)
"""What happens, who carries then, and whether the network's switch is told: while failoverd is dead nobody does that,
and it finds out by sending to everybody."""
