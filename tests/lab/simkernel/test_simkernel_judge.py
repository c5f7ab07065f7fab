"""What a judge and a hypervisor see of the simulated kernel; what a client sees is in tests/contract/."""

from __future__ import annotations

import errno

import pytest
from hands import BOND, MAC, PEER, V4, V6, Hands

from failoverd_lab.simkernel import Refused, wire
from failoverd_lab.simkernel import uapi as n


def ip(cidr: str) -> str:
    return cidr.partition("/")[0]


def test_frames_come_by_the_nic_that_has_the_address_and_a_carrier() -> None:
    hands = Hands()
    nic = hands.plug("eth0", "virtio")
    assert hands.kernel.path_to(ip(V4)) is None
    hands.admin.configure(nic, (V4, V6), gateway=PEER)
    assert [hands.kernel.path_to(ip(cidr)) for cidr in (V4, V6)] == [nic, nic]
    assert hands.kernel.path_from("198.51.100.1") == nic
    hands.kernel.set_medium(nic, False)
    assert (hands.kernel.path_to(ip(V4)), hands.kernel.path_from(PEER)) == (None, None)
    hands.kernel.set_medium(nic, True)
    assert hands.kernel.path_to(ip(V4)) == nic
    hands.admin.set_up(nic, False)
    assert (hands.kernel.path_to(ip(V4)), hands.kernel.path_from(PEER)) == (None, None)


def test_an_address_in_detection_is_not_reached_yet() -> None:
    hands = Hands()
    nic = hands.plug("eth0")
    hands.admin.set_up(nic)
    hands.admin.add_address(nic, V6)
    assert hands.kernel.path_to(ip(V6)) is None
    hands.pass_time(2)
    assert hands.kernel.path_to(ip(V6)) == nic


def test_a_bond_carries_by_its_active_slave_and_is_deaf_until_the_monitor_looks() -> None:
    hands = Hands()
    first, second = hands.plug("eth0"), hands.plug("eth1", "virtio")
    bond = hands.bond(first, second)
    assert hands.kernel.path_to(ip(V4)) == first
    hands.pass_time(0.05)
    hands.kernel.set_medium(first, False)
    lost = hands.now
    assert hands.kernel.path_to(ip(V4)) is None
    while hands.kernel.path_to(ip(V4)) is None:
        hands.pass_time(0.01)
    assert hands.kernel.carries(bond) == second
    assert 0 < hands.now - lost <= 0.11


def test_an_unplugged_slave_costs_no_time() -> None:
    hands = Hands()
    first, second = hands.plug("eth0"), hands.plug("eth1", "virtio")
    hands.bond(first, second)
    hands.kernel.unplug(first)
    assert hands.kernel.path_to(ip(V4)) == second
    assert hands.kernel.trouble(first) is None


def test_a_vlan_on_a_bond_goes_the_bonds_way() -> None:
    hands = Hands()
    first, second = hands.plug("eth0"), hands.plug("eth1", "virtio")
    bond = hands.bond(first, second)
    hands.admin.create("vlan", "bond7.5", data=wire.u16(n.IFLA_VLAN_ID, 5), lower=bond)
    hands.admin.configure(hands.index("bond7.5"), ("198.51.100.2/24",))
    assert hands.kernel.path_to("198.51.100.2") == first
    hands.admin.choose_active(bond, second)
    assert hands.kernel.path_to("198.51.100.2") == second


def test_a_change_of_active_slave_is_announced_by_the_new_one() -> None:
    hands = Hands()
    first, second = hands.plug("eth0"), hands.plug("eth1", "virtio")
    bond = hands.bond(first, second)
    hands.pass_time(1)
    before = len(hands.kernel.announcements)
    hands.admin.choose_active(bond, second)
    assert hands.kernel.announcements[before:] == [(hands.now, second)]
    hands.pass_time(1)
    assert len(hands.kernel.announcements) == before + 1


def test_as_many_announcements_as_the_bond_is_told_to_send() -> None:
    hands = Hands()
    first, second = hands.plug("eth0"), hands.plug("eth1", "virtio")
    bond = hands.bond(first, second, data=BOND + wire.u8(n.IFLA_BOND_NUM_PEER_NOTIF, 3))
    hands.pass_time(1)
    before = len(hands.kernel.announcements)
    hands.admin.choose_active(bond, second)
    hands.pass_time(1)
    assert [nic for _, nic in hands.kernel.announcements[before:]] == [second] * 3


def test_a_bond_without_addresses_announces_nothing() -> None:
    hands = Hands()
    first, second = hands.plug("eth0"), hands.plug("eth1", "virtio")
    hands.admin.create("bond", "bond7", MAC, BOND)
    bond = hands.index("bond7")
    for nic in (first, second):
        hands.admin.set_master(nic, bond)
    hands.admin.set_up(bond)
    hands.pass_time(1)
    hands.admin.choose_active(bond, second)
    hands.pass_time(1)
    assert hands.kernel.announcements == []


def test_an_mtu_beyond_the_nic_refuses_it_and_leaves_it_as_it_was() -> None:
    hands = Hands()
    first, vf = hands.plug("eth0", "virtio", max_mtu=65535), hands.plug("eth1", max_mtu=9190)
    bond = hands.bond(first)
    hands.admin.set_mtu(bond, 9500)
    with pytest.raises(Refused) as refused:
        hands.admin.set_master(vf, bond)
    assert (refused.value.code, refused.value.text) == (errno.EINVAL, "")
    link = next(link for link in hands.kernel.links() if link.ifindex == vf)
    assert (link.master, link.up, link.mtu) == ("", False, 1500)


def test_a_bonds_mtu_goes_to_all_slaves_or_to_none() -> None:
    hands = Hands()
    first, vf = hands.plug("eth0", "virtio", max_mtu=65535), hands.plug("eth1", max_mtu=9190)
    bond = hands.bond(first, vf)
    with pytest.raises(Refused):
        hands.admin.set_mtu(bond, 9500)
    assert {link.mtu for link in hands.kernel.links()} == {1500}


def test_from_6_2_a_device_is_renamed_while_up() -> None:
    hands = Hands(release=(6, 2))
    nic = hands.plug("eth0")
    hands.admin.set_up(nic)
    hands.admin.rename(nic, "ens3")
    assert hands.index("ens3") == nic


def test_before_6_0_the_active_slave_stays_when_another_is_enslaved() -> None:
    hands = Hands(release=(5, 10))
    first, second = hands.plug("eth0"), hands.plug("eth1", "virtio")
    bond = hands.bond(first, second)
    hands.admin.choose_active(bond, second)
    hands.admin.set_master(hands.plug("eth2"), bond)
    assert hands.kernel.carries(bond) == second


def test_what_ethtool_would_say() -> None:
    hands = Hands()
    nic = hands.plug("eth%d")
    bond = hands.bond(nic)
    assert (hands.kernel.driver(nic), hands.kernel.driver(bond)) == ("vmxnet3", "bonding")
    assert hands.index("eth0") == nic


def test_whoever_asks_is_told_of_changes() -> None:
    hands = Hands()
    paths: list[int | None] = []
    hands.kernel.on_change(lambda: paths.append(hands.kernel.path_to(ip(V4))))
    first, second = hands.plug("eth0"), hands.plug("eth1", "virtio")
    hands.bond(first, second)
    hands.kernel.unplug(first)
    assert paths[0] is None
    assert paths[-2:] == [first, second]
