"""Who is paired with whom, and what everybody else is told."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failoverd.config.spec import Pairing
from failoverd.kinds import Bond
from failoverd.kinds.bond import SIGNATURE
from failoverd.model.links import Filter, Link, Tc
from failoverd.model.pairs import Pair, Verdict
from failoverd.policy.naming import mark, new_mark, passing_name
from failoverd.policy.pairing import Judgements, judge
from failoverd.policy.stacking import (
    bridge_of,
    changed_mac_reason,
    enslaving_obstacle,
    stacked_on,
    upper_of,
    wants_everything,
)

MAC = "52:54:00:aa:bb:cc"
NIC = Link(2, "ens3", MAC, MAC, bus="virtio", driver="virtio_net")
VF = Link(3, "ens4", MAC, MAC, bus="pci", driver="mlx5_core")
VF2 = Link(4, "ens5", MAC, MAC, bus="pci", driver="mlx5_core")
BOND = Link(9, "ens3", MAC, kind="bond", info=Bond(mode=1), altnames=frozenset({mark(MAC)}))
BRIDGE = Link(8, "br0", MAC, kind="bridge")
VLAN = Link(7, "ens3.5", MAC, kind="vlan", link=2)


def judged(*links: Link, config: Pairing | None = None, in_place: bool = False) -> Judgements:
    return judge({link.ifindex: link for link in links}, config or Pairing(), lambda _nic: in_place)


def reason(found: Judgements, link: Link) -> str:
    return found.verdicts[link.ifindex].reason


def test_a_nic_and_its_vf() -> None:
    found = judged(NIC, VF)
    assert found.pairs == {MAC: Pair(MAC, nic=2, vf=3)}
    assert found.verdicts[2].verdict is Verdict.PAIRED
    assert reason(found, VF) == f"same permanent MAC {MAC} as ens3"


def test_a_nic_alone_is_a_pair_of_one_and_a_vf_alone_is_none() -> None:
    assert judged(NIC).pairs == {MAC: Pair(MAC, nic=2)}
    assert reason(judged(NIC), NIC) == f"no VF with the permanent MAC {MAC} is here"
    assert judged(VF).pairs == {}
    assert reason(judged(VF), VF) == f"no paravirtual NIC with the permanent MAC {MAC} is here"


def test_the_current_mac_means_nothing() -> None:
    assert judged(NIC, replace(VF, perm_mac="52:54:00:00:00:01")).pairs == {MAC: Pair(MAC, nic=2)}
    other = replace(NIC, mac="02:00:00:00:00:01")
    assert judged(other, VF, in_place=True).pairs == {MAC: Pair(MAC, nic=2, vf=3)}


def test_a_mac_that_somebody_has_set_is_not_taken_away_by_a_bond() -> None:
    """Joined already it stays so; and what is on its way back to that NIC gets there."""
    other, vf = replace(NIC, mac="02:00:00:00:00:01"), replace(VF, mac="02:00:00:00:00:01")
    found = judged(other, VF)
    assert (found.pairs, found.refused_nics) == ({}, {MAC: 2})
    assert found.verdicts[2].verdict is Verdict.REFUSED
    assert "its MAC was changed to 02:00:00:00:00:01" in reason(found, other)
    assert f"ip link set dev ens3 address {MAC}" in reason(found, other)
    assert reason(found, VF) == "ens3 has the same permanent MAC, but was refused"
    assert judged(NIC, vf).pairs == {MAC: Pair(MAC, nic=2)}
    assert judged(replace(other, master=9), vf, BOND).pairs == {MAC: Pair(MAC, nic=2, vf=3, master=9)}
    assert enslaving_obstacle(other, {2: other}) == changed_mac_reason(other)
    assert enslaving_obstacle(NIC, {2: NIC}) == ""


def test_a_pci_nic_with_a_paravirtual_driver_takes_the_place_of_a_missing_one() -> None:
    vmxnet3 = replace(VF, driver="vmxnet3")
    assert judged(vmxnet3, VF2).pairs == {MAC: Pair(MAC, nic=3, vf=4)}
    assert judged(NIC, vmxnet3).pairs == {MAC: Pair(MAC, nic=2, vf=3)}


def test_a_bond_with_a_passing_name_is_a_strangers() -> None:
    """Another pair's master, or any bond, was given that name. A MAC has one master whatever devices are called."""
    other = "52:54:00:aa:bb:dd"
    renamed = Link(10, passing_name(MAC), other, kind="bond", info=Bond(1), altnames=frozenset({mark(other)}))
    found = judged(BOND, renamed, replace(NIC, master=9), replace(VF, master=9))
    assert found.pairs == {MAC: Pair(MAC, nic=2, vf=3, master=9), other: Pair(other, master=10)}
    strangers = judged(NIC, replace(renamed, altnames=frozenset()))
    assert strangers.pairs == {MAC: Pair(MAC, nic=2)}
    assert strangers.verdicts[10].verdict is Verdict.IGNORED


def test_a_bond_that_was_made_and_not_marked_yet() -> None:
    """A kill between the two leaves it; where the pair has a master by now, it is nobody's."""
    bare = Link(10, passing_name(MAC), MAC, kind="bond", info=Bond(1, lp_interval=SIGNATURE))
    assert judged(NIC, bare).pairs == {MAC: Pair(MAC, nic=2, master=10)}
    assert judged(bare, BOND).pairs == judged(BOND, bare).pairs == {MAC: Pair(MAC, master=9)}


def test_a_master_is_known_by_its_mark_whoever_is_in_it() -> None:
    assert judged(BOND).pairs == {MAC: Pair(MAC, master=9)}
    assert reason(judged(BOND), BOND) == f"the master failoverd made for {MAC}"
    inside = judged(BOND, replace(NIC, master=9), replace(VF, master=9))
    assert inside.pairs == {MAC: Pair(MAC, nic=2, vf=3, master=9)}
    assert judged(BOND, VF).pairs == {MAC: Pair(MAC, vf=3, master=9)}


@pytest.mark.parametrize("joined", [NIC, VF])
def test_who_is_joined_stays_so_when_others_turn_up(joined: Link) -> None:
    others = [link for link in (NIC, VF, VF2) if link is not joined]
    found = judged(BOND, replace(joined, master=9), *others)
    assert found.pairs[MAC].master == 9
    assert joined.ifindex in (found.pairs[MAC].nic, found.pairs[MAC].vf)
    assert found.verdicts[4].verdict is Verdict.REFUSED


def test_too_many_vfs() -> None:
    found = judged(NIC, VF, VF2)
    assert found.pairs == {}
    assert found.refused_nics == {MAC: 2}
    for link in (NIC, VF, VF2):
        assert (
            reason(found, link) == f"2 (ens4, ens5) PCI NICs have the permanent MAC {MAC}, and a pair has at most one"
        )
    late = judged(BOND, replace(NIC, master=9), replace(VF, master=9), VF2)
    assert reason(late, VF2) == f"{MAC} has its pair already"
    only_nic_in = judged(BOND, replace(NIC, master=9), VF, VF2)
    assert only_nic_in.pairs == {MAC: Pair(MAC, nic=2, master=9)}
    assert only_nic_in.verdicts[3].verdict is Verdict.REFUSED


def test_too_many_paravirtual_nics() -> None:
    other = replace(NIC, ifindex=5, name="ens6")
    found = judged(NIC, other, VF)
    assert found.pairs == {}
    assert found.refused_nics == {}
    assert reason(found, VF) == f"2 (ens3, ens6) paravirtual NICs have the permanent MAC {MAC}, not one"


def test_a_nic_somebody_holds_is_not_taken() -> None:
    found = judged(BRIDGE, replace(NIC, master=8), VF)
    assert found.pairs == {}
    assert reason(found, NIC) == "it is already a slave of br0"
    assert reason(found, VF) == "ens3 has the same permanent MAC, but was refused"
    unseen = judged(replace(NIC, master=77))
    assert reason(unseen, NIC) == "it is already a slave of the device with ifindex 77"
    stacked = judged(NIC, VLAN)
    assert stacked.pairs == {}
    assert reason(stacked, NIC).startswith("ens3.5@ens3 stands on it and would lose its traffic")
    assert judged(replace(NIC, master=9), BOND, VLAN).pairs == {MAC: Pair(MAC, nic=2, master=9)}


def test_a_vf_somebody_holds_leaves_the_nic_alone() -> None:
    found = judged(NIC, replace(VF, master=8), BRIDGE)
    assert found.pairs == {MAC: Pair(MAC, nic=2)}
    assert reason(found, NIC) == "ens4 has the same permanent MAC, but was refused"


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


def test_what_is_on_top_of_a_master() -> None:
    links = {9: BOND, 8: BRIDGE}
    assert upper_of(BOND, links) == ""
    assert upper_of(replace(BOND, master=8), links) == "br0"
    assert upper_of(BOND, links | {7: replace(VLAN, link=9)}) == "ens3.5@ens3"


devices = st.builds(
    Link,
    st.integers(1, 9),
    st.sampled_from(["ens3", "ens4", "fo525400aabbcc"]),
    perm_mac=st.sampled_from([MAC, "52:54:00:00:00:01", ""]),
    bus=st.sampled_from(["virtio", "pci", ""]),
    driver=st.sampled_from(["virtio_net", "mlx5_core", "net_failover"]),
    kind=st.sampled_from(["", "", "", "bond", "vlan"]),
    master=st.integers(0, 9),
    link=st.integers(0, 9),
)


@given(st.dictionaries(st.integers(1, 9), devices))
def test_whatever_there_is_everyone_gets_a_verdict_and_nobody_is_in_two_pairs(many: dict[int, Link]) -> None:
    links = {i: replace(link, ifindex=i) for i, link in many.items()}
    found = judge(links, Pairing())
    assert found.verdicts.keys() == links.keys()
    members = [i for pair in found.pairs.values() for i in (pair.nic, pair.vf, pair.master) if i]
    assert len(members) == len(set(members))
    for pair in found.pairs.values():
        assert pair.nic or pair.master
        for ifindex in (pair.nic, pair.vf):
            assert not ifindex or links[ifindex].perm_mac == pair.mac
            assert not ifindex or links[ifindex].master in (0, pair.master)


# Pairs that are joined in place


OURS = Filter("ingress", 64_023, 0x80000001, "u32", 2, ours=True)


def test_what_stands_on_the_nic_does_no_harm_where_it_stays_the_master() -> None:
    found = judged(NIC, VF, VLAN, in_place=True)
    assert found.pairs == {MAC: Pair(MAC, nic=2, vf=3)}
    on_the_vf = judged(NIC, VF, replace(VLAN, link=3), in_place=True)
    assert on_the_vf.pairs == {MAC: Pair(MAC, nic=2)}
    assert reason(on_the_vf, VF).startswith("ens3.5@ens4 stands on it")
    enslaved = judged(BRIDGE, replace(NIC, master=8), VF, in_place=True)
    assert enslaved.pairs == {}
    assert reason(enslaved, NIC) == "it is already a slave of br0"


def test_a_vrf_is_in_nobodys_way_where_a_nic_stays_what_it_is() -> None:
    vrf = Link(8, "red", kind="vrf")
    nic = replace(NIC, master=8, slave_kind="vrf")
    assert judged(vrf, nic, VF, in_place=True).pairs == {MAC: Pair(MAC, nic=2, vf=3)}
    assert reason(judged(vrf, nic, VF), nic) == "it is already a slave of red"


def test_a_nic_that_is_joined_in_place_and_then_put_into_a_bridge_is_still_ours_to_let_go() -> None:
    leads = Filter("egress", 1, 1, "u32", 3, ours=True)
    nic = replace(NIC, master=8, slave_kind="bridge", tc=Tc("clsact", "", frozenset({leads})))
    assert judged(BRIDGE, nic, VF).pairs == {MAC: Pair(MAC, nic=2, vf=3)}


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


def test_a_nic_in_a_bond_of_ours_is_held_to_the_bonds_rules_also_where_others_are_joined_in_place() -> None:
    found = judged(replace(BOND, altnames=BOND.altnames | {new_mark(MAC)}), NIC, VF, VLAN, in_place=True)
    assert found.pairs == {MAC: Pair(MAC, vf=3, master=9)}
    assert judged(BOND, NIC, VF, VLAN).pairs == {MAC: Pair(MAC, 2, 3, 9)}, "it has the NIC's configuration"
    in_a_vrf = replace(NIC, master=8, slave_kind="vrf")
    assert judged(BOND, in_a_vrf, VF, Link(8, "red", kind="vrf")).pairs == {MAC: Pair(MAC, vf=3, master=9)}


def test_a_vf_that_is_redirected_already_stays_joined_when_another_turns_up() -> None:
    joined = replace(VF, tc=Tc("clsact", "", frozenset({OURS})))
    for in_place in (True, False):
        found = judged(NIC, joined, VF2, in_place=in_place)
        assert found.pairs == {MAC: Pair(MAC, nic=2, vf=3)}
        assert reason(found, VF2) == f"{MAC} has its pair already"
    leads_out = replace(NIC, tc=Tc("clsact", "", frozenset({replace(OURS, hook="egress", redirect=4)})))
    assert judged(leads_out, VF, VF2).pairs == {MAC: Pair(MAC, nic=2, vf=4)}
    strangers = replace(VF, tc=Tc("clsact", "", frozenset({replace(OURS, ours=False)})))
    assert judged(NIC, strangers, VF2).pairs == {}
