"""What keeps a device out of every pair, whatever the others are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from nics import BRIDGE, MAC, NIC, VF, judged, reason

from failoverd.config.spec import Pairing
from failoverd.model.links import Link
from failoverd.model.pairs import Verdict

KERNELS = Link(6, "eth0", MAC, MAC, driver="net_failover", bus="virtio")


@pytest.mark.parametrize(
    ("link", "others", "verdict", "words"),
    [
        (KERNELS, (), Verdict.LEFT_ALONE, "net_failover"),
        (replace(NIC, master=6), (KERNELS,), Verdict.LEFT_ALONE, "has joined it to eth0"),
        (replace(NIC, standby_feature=True), (), Verdict.LEFT_ALONE, "VIRTIO_NET_F_STANDBY"),
        (BRIDGE, (), Verdict.IGNORED, "it is a bridge device"),
        (replace(NIC, hardware=772), (), Verdict.IGNORED, "not an Ethernet device"),
        (replace(NIC, perm_mac=""), (), Verdict.IGNORED, "no permanent MAC"),
        (replace(NIC, perm_mac="00:00:00:00:00:00"), (), Verdict.IGNORED, "no permanent MAC"),
        (replace(VF, bus="usb"), (), Verdict.IGNORED, "its bus is usb"),
        (replace(VF, bus=""), (), Verdict.IGNORED, "its bus is unknown"),
    ],
)
def test_what_is_in_no_pair(link: Link, others: tuple[Link, ...], verdict: Verdict, words: str) -> None:
    found = judged(link, *others)
    assert found.pairs == {}
    assert found.verdicts[link.ifindex].verdict is verdict
    assert words in reason(found, link)


@pytest.mark.parametrize(
    "config",
    [
        Pairing(ignore=("ENS*",)),
        Pairing(ignore=("enp1s0",)),
        Pairing(ignore=(MAC.upper(),)),
        Pairing(ignore_drivers=("virtio_net",)),
    ],
)
def test_what_the_configuration_says_is_ignored(config: Pairing) -> None:
    found = judged(replace(NIC, altnames=frozenset({"enp1s0"})), config=config)
    assert found.pairs == {}
    assert found.verdicts[2].verdict is Verdict.IGNORED
