"""Who is paired with whom, and what everybody else is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nics import BOND, BRIDGE, MAC, NIC, VF, VLAN, judged, reason

from failoverd.config.spec import Pairing
from failoverd.kinds import Bond, Vlan
from failoverd.kinds.bond import SIGNATURE
from failoverd.model.links import Filter, Link, Tc
from failoverd.model.pairs import Pair, Verdict
from failoverd.policy.naming import mark, new_mark, passing_name
from failoverd.policy.pairing import judge
from failoverd.policy.stacking import changed_mac_reason, enslaving_obstacle, why_it_stays


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


def test_what_looks_at_the_nics_traffic_would_not_see_the_vfs() -> None:
    """A firewall as an XDP program, a container network's filters. failoverd's own filters are no obstacle."""
    hooks = (("egress", "flower"), ("ingress", "bpf"))
    filters = frozenset(Filter(hook, 1, 1, kind) for hook, kind in hooks)
    special = {"an XDP program": replace(NIC, xdp=True)}
    special["a bpf, flower filter"] = replace(NIC, tc=Tc("clsact", "", filters))
    for thing, nic in special.items():
        assert enslaving_obstacle(nic, {2: nic}) == f"ens3 has {thing} that traffic over the VF would pass by"
    own = replace(NIC, tc=Tc("clsact", "fq", frozenset({Filter("egress", 1, 1, "matchall", ours=True)})))
    assert enslaving_obstacle(own, {2: own}) == ""


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


def test_a_nic_somebody_holds_is_not_taken() -> None:
    found = judged(BRIDGE, replace(NIC, master=8), VF)
    assert found.pairs == {}
    way_out = "take it out (ip link set dev ens3 nomaster), and make the pair's master a port in its place"
    assert reason(found, NIC) == f"it is a port of the bridge br0; {way_out}"
    assert reason(found, VF) == "ens3 has the same permanent MAC, but was refused"
    unseen = judged(replace(NIC, master=77))
    assert reason(unseen, NIC) == "it is already a slave of the device with ifindex 77"
    stacked = judged(NIC, VLAN)
    assert stacked.pairs == {}
    assert reason(stacked, NIC).startswith("ens3.5@ens3 stands on it and would lose its traffic")
    stolen = judged(BOND, BRIDGE, replace(NIC, master=8))
    assert reason(stolen, NIC) == "it is already a slave of br0"
    assert judged(replace(NIC, master=9), BOND, VLAN).pairs == {MAC: Pair(MAC, nic=2, master=9)}


INNER = Link(11, "ens3.5.7", MAC, kind="vlan", info=Vlan(7), link=7)


@pytest.mark.parametrize(
    ("changes", "others", "why"),
    [
        ({}, (), ""),
        ({"mac": "02:00:00:00:00:05"}, (), "its MAC is not that of ens3"),
        ({"master": 8}, (BRIDGE,), "it is in br0"),
        ({"master": 77}, (), "it is in another device"),
        ({}, (INNER,), "ens3.5.7 stands on it"),
        ({"promiscuous": True}, (), "it was set to take in frames for others"),
        ({"all_multicast": True}, (), "it was set to take in frames for others"),
        ({"xdp": True}, (), "it has an XDP program"),
        ({"tc": Tc("clsact")}, (), "it has traffic control"),
        ({"link": 99}, (), "what it stands on is in another network namespace"),
    ],
)
def test_a_vlan_that_is_not_taken_along_keeps_the_nic_and_says_why(
    changes: Mapping[str, Any], others: tuple[Link, ...], why: str
) -> None:
    """A bond that is asked for takes plain ones along; stacked ones, and ports of a bridge, are for their owner."""
    nic, vlan = replace(NIC, mac=MAC), replace(VLAN, info=Vlan(5), **changes)
    assert why_it_stays(vlan, {2: nic, 7: vlan} | {one.ifindex: one for one in others}) == why
    found = judged(nic, vlan, *others)
    if not why or vlan.link != nic.ifindex:
        assert found.pairs == {MAC: Pair(MAC, nic=2)}
        return
    way_out = "take ens3.5@ens3 away until there is a master, or set datapath to tc"
    told = f"ens3.5@ens3 stands on it and would lose its traffic (it cannot come along: {why}); {way_out}"
    assert (found.pairs, reason(found, nic)) == ({}, told)


def test_a_vf_somebody_holds_leaves_the_nic_alone() -> None:
    found = judged(NIC, replace(VF, master=8), BRIDGE)
    assert found.pairs == {MAC: Pair(MAC, nic=2)}
    assert reason(found, NIC) == "ens4 has the same permanent MAC, but was refused"


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


def test_what_stands_on_the_nic_does_no_harm_where_it_stays_the_master() -> None:
    found = judged(NIC, VF, VLAN, in_place=True)
    assert found.pairs == {MAC: Pair(MAC, nic=2, vf=3)}
    on_the_vf = judged(NIC, VF, replace(VLAN, link=3), in_place=True)
    assert on_the_vf.pairs == {MAC: Pair(MAC, nic=2)}
    assert reason(on_the_vf, VF).startswith("ens3.5@ens4 stands on it")
    enslaved = judged(BRIDGE, replace(NIC, master=8), VF, in_place=True)
    assert enslaved.pairs == {}
    assert reason(enslaved, NIC).startswith("it is a port of the bridge br0; take it out")


def test_a_vrf_is_in_nobodys_way_where_a_nic_stays_what_it_is() -> None:
    vrf = Link(8, "red", kind="vrf")
    nic = replace(NIC, master=8, slave_kind="vrf")
    assert judged(vrf, nic, VF, in_place=True).pairs == {MAC: Pair(MAC, nic=2, vf=3)}
    assert reason(judged(vrf, nic, VF), nic) == "it is already a slave of red"


def test_a_nic_that_is_joined_in_place_and_then_put_into_a_bridge_is_still_ours_to_let_go() -> None:
    leads = Filter("egress", 1, 1, "u32", 3, ours=True)
    nic = replace(NIC, master=8, slave_kind="bridge", tc=Tc("clsact", "", frozenset({leads})))
    assert judged(BRIDGE, nic, VF).pairs == {MAC: Pair(MAC, nic=2, vf=3)}


def test_a_nic_in_a_bond_of_ours_is_held_to_the_bonds_rules_also_where_others_are_joined_in_place() -> None:
    found = judged(replace(BOND, altnames=BOND.altnames | {new_mark(MAC)}), NIC, VF, VLAN, in_place=True)
    assert found.pairs == {MAC: Pair(MAC, vf=3, master=9)}
    assert judged(BOND, NIC, VF, VLAN).pairs == {MAC: Pair(MAC, 2, 3, 9)}, "it has the NIC's configuration"
    in_a_vrf = replace(NIC, master=8, slave_kind="vrf")
    assert judged(BOND, in_a_vrf, VF, Link(8, "red", kind="vrf")).pairs == {MAC: Pair(MAC, vf=3, master=9)}
