"""Questions through one NIC, on the kernel that is here: a veth, and another namespace's kernel to answer."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Awaitable, Callable

import pytest
import trio
from privatenet import container, private_net, set_up
from veths import make_veth

from failoverd.netlink.probe import Probe, is_answer, question
from failoverd_lab.frames import Neighbour, parse

pytestmark = pytest.mark.usefixtures("namespaces_are_to_be_had")

OWN, OTHER = "52:54:00:fa:11:01", "12:54:00:fa:11:01"
FOUR, SIX, NO_MAC = "10.111.0.1", "2001:db8:111::1", "10.111.0.9"
WAIT = 1.0
ALL = ("protocol", "all", "u32", "match", "u32", "0", "0")
DROP = ("action", "mirred", "egress", "redirect", "dev", "lo")
"""That one is down there, and mirred drops what it cannot redirect; not every kernel has gact."""


def run(*words: str) -> None:
    subprocess.run(words, check=True)


def on_a_wire(body: Callable[[int, int], Awaitable[None]]) -> None:
    """`body` with a NIC here whose other end answers, and the pid of a process where that is."""
    with container() as pid:
        here, _ = trio.run(make_veth, "ens3", "other")
        run("ip", "link", "set", "ens3", "address", OWN, "up")
        run("ip", "link", "set", "other", "netns", str(pid))
        set_up(pid, "other")
        inside = ("nsenter", "-t", str(pid), "-n")
        run(*inside, "ip", "address", "add", f"{FOUR}/24", "dev", "other")
        run(*inside, "ip", "address", "add", f"{SIX}/64", "dev", "other", "nodad")
        trio.run(body, here, pid)


@private_net
def test_who_is_there_answers() -> None:
    """From the NIC's own MAC, and from one that is not its own."""

    async def body(here: int, _pid: int) -> None:
        for mac in (OWN, OTHER):
            with Probe({here: mac}) as probe:
                for target in (FOUR, SIX):
                    assert await probe.ask([target], WAIT) == {here}, (mac, target)
                assert await probe.ask([NO_MAC], 0.1) == frozenset()
                assert await probe.ask([NO_MAC, SIX], WAIT) == {here}

    on_a_wire(body)


@private_net
def test_a_wire_that_drops_everything() -> None:
    """With its link up, as a switch's port that is in the wrong VLAN. It is asked again, and answers again."""

    async def body(here: int, pid: int) -> None:
        tc = ("nsenter", "-t", str(pid), "-n", "tc")
        with Probe({here: OTHER}) as probe:
            run(*tc, "qdisc", "add", "dev", "other", "clsact")
            run(*tc, "filter", "add", "dev", "other", "ingress", *ALL, *DROP)
            assert await probe.ask([FOUR, SIX], 0.2) == frozenset()
            run(*tc, "filter", "delete", "dev", "other", "ingress")
            assert await probe.ask([FOUR, SIX], WAIT) == {here}

    on_a_wire(body)


@private_net
def test_an_answer_that_comes_late_is_none_for_the_next_round() -> None:
    async def body(here: int, pid: int) -> None:
        tc = ("nsenter", "-t", str(pid), "-n", "tc")
        with Probe({here: OTHER}) as probe:
            assert await probe.ask([FOUR], 0.0) == frozenset()
            await trio.sleep(0.2)
            run(*tc, "qdisc", "add", "dev", "other", "clsact")
            run(*tc, "filter", "add", "dev", "other", "ingress", *ALL, *DROP)
            assert await probe.ask([FOUR], 0.2) == frozenset()

    on_a_wire(body)


@private_net
def test_a_nic_whose_traffic_is_redirected_is_asked_all_the_same() -> None:
    """As the master of a tc datapath: what it sends goes by another NIC, a probe by itself."""

    async def body(here: int, _pid: int) -> None:
        await make_veth("ens4", "far4")
        run("ip", "link", "set", "ens4", "up")
        run("tc", "qdisc", "add", "dev", "ens3", "clsact")
        redirect = (*ALL, "action", "mirred", "egress", "redirect", "dev", "ens4")
        run("tc", "filter", "add", "dev", "ens3", "egress", *redirect)
        run("tc", "filter", "add", "dev", "ens3", "ingress", *redirect)
        with Probe({here: OTHER}) as probe:
            assert await probe.ask([FOUR], WAIT) == {here}

    on_a_wire(body)


@private_net
def test_a_nic_that_is_down_or_gone_has_nobody() -> None:
    async def body(here: int, _pid: int) -> None:
        with Probe({here: OTHER}) as probe:
            run("ip", "link", "set", "ens3", "down")
            assert await probe.ask([FOUR], 0.1) == frozenset()
            run("ip", "link", "set", "ens3", "up")
            with trio.fail_after(10):
                # The other end sends again when its kernel has seen the carrier, up to a second later (linkwatch).
                while await probe.ask([FOUR], WAIT / 4) != {here}:
                    pass
            run("ip", "link", "delete", "ens3")
            assert await probe.ask([FOUR], 0.1) == frozenset()
        with pytest.raises(OSError, match=f"no device with ifindex {here}"):
            Probe({here: OTHER})

    on_a_wire(body)


@private_net
def test_the_other_mac_is_left_off_the_nic() -> None:
    async def body(here: int, _pid: int) -> None:
        def taken_in() -> bool:
            found = subprocess.run(["bridge", "fdb", "show", "dev", "ens3"], capture_output=True, check=True, text=True)
            return OTHER in found.stdout

        with Probe({here: OTHER}):
            assert taken_in()
        assert not taken_in()

    on_a_wire(body)


@pytest.mark.parametrize("target", [FOUR, SIX])
def test_what_is_asked(target: str) -> None:
    frame = question(bytes.fromhex(OTHER.replace(":", "")), socket.inet_pton(_family(target), target))
    asked = parse(frame)
    assert isinstance(asked, Neighbour)
    assert str(asked.target) == target
    assert frame[6:12].hex(":") == OTHER


def _family(target: str) -> int:
    return socket.AF_INET6 if ":" in target else socket.AF_INET


def test_what_is_no_answer() -> None:
    mac, address = bytes.fromhex(OTHER.replace(":", "")), socket.inet_aton(FOUR)
    arp = mac + bytes(6) + bytes.fromhex("0806 0001 0800 06 04 0002") + bytes(6) + address + mac + bytes(4)
    assert is_answer(arp, mac, [address])
    assert not is_answer(arp, bytes(6), [address])
    assert not is_answer(arp, mac, [socket.inet_aton(NO_MAC)])
    assert not is_answer(question(mac, address), mac, [address])
    for end in range(len(arp) - 10):
        assert not is_answer(arp[:end], mac, [address])
