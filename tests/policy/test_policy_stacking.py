"""What stands on what."""

from __future__ import annotations

from dataclasses import replace

import pytest
from nics import BOND, BRIDGE, NIC, VLAN

from failoverd.model.links import Link
from failoverd.policy.stacking import (
    bridge_of,
    stacked_on,
    upper_of,
    wants_everything,
)


def test_what_is_on_top_of_a_master() -> None:
    links = {9: BOND, 8: BRIDGE}
    assert upper_of(BOND, links) == ""
    assert upper_of(replace(BOND, master=8), links) == "br0"
    assert upper_of(BOND, links | {7: replace(VLAN, link=9)}) == "ens3.5@ens3"


def test_what_stands_on_a_device_stands_on_its_bridge_as_well() -> None:
    port, other = replace(NIC, master=8), Link(20, "tap0", kind="tun", master=8)
    on_it = (Link(21, "br0.5", kind="vlan", link=8), Link(22, "mv0", kind="macvlan", link=21), VLAN)
    links = {link.ifindex: link for link in (port, other, BRIDGE, *on_it)}
    assert stacked_on(port, links) == [7, 8, 21, 22]
    assert stacked_on(NIC, {2: replace(NIC, master=99), 7: VLAN}) == [7]
    assert (bridge_of(port, links), bridge_of(NIC, links), bridge_of(replace(NIC, master=99), links)) == (8, 0, 0)
    bond = {2: replace(NIC, master=9), 9: BOND}
    assert (stacked_on(bond[2], bond), bridge_of(bond[2], bond)) == ([], 0)


@pytest.mark.parametrize(
    ("nic", "kind", "wanted"),
    [
        (NIC, "vlan", True),
        (NIC, "macvlan", True),
        (NIC, "macvtap", True),
        (NIC, "ipvlan", False),
        (replace(NIC, promiscuity=1), "ipvlan", True),
        (Link(4, "ens9"), "vlan", False),
    ],
)
def test_who_wants_more_than_what_is_for_one_mac(nic: Link, kind: str, wanted: bool) -> None:
    assert wants_everything(nic, {7: replace(VLAN, kind=kind)}) is wanted
