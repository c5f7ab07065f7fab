"""Pairs the kernel has joined by itself: whose devices they are, and what everybody else is told."""

from __future__ import annotations

from dataclasses import replace

from failoverd.config.spec import Pairing
from failoverd.model.links import Link
from failoverd.model.pairs import Pair, Verdict
from failoverd.policy.adoption import adopted
from failoverd.policy.pairing import Judgements, judge

MAC, OTHER = "52:54:00:aa:bb:cc", "52:54:00:aa:bb:dd"
MASTER = Link(2, "ens3", MAC, driver="net_failover", bus="virtio")
STANDBY = Link(3, "ens3nsby", MAC, MAC, master=2, bus="virtio", driver="virtio_net", standby_feature=True)
VF = Link(4, "ens4", MAC, MAC, master=2, bus="pci", driver="mlx5_core")


def judged(*links: Link) -> Judgements:
    return judge({link.ifindex: link for link in links}, Pairing())


def found(*links: Link) -> list[Pair]:
    return [pair for pair, _ in adopted({link.ifindex: link for link in links})]


def test_the_kernels_pair_is_a_pair() -> None:
    judgements = judged(MASTER, STANDBY, VF)
    assert judgements.pairs == {MAC: Pair(MAC, nic=3, vf=4, master=2, adopted=True)}
    told = {(judgement.verdict, judgement.reason) for judgement in judgements.verdicts.values()}
    assert told == {(Verdict.PAIRED, "the kernel has joined it itself, as ens3")}


def test_a_pair_without_its_vf() -> None:
    assert found(MASTER, STANDBY) == [Pair(MAC, nic=3, master=2, adopted=True)]


def test_a_nic_the_kernel_has_not_taken_is_refused() -> None:
    """With the second VF of a MAC it does as it does with the first, and is refused (EINVAL)."""
    judgements = judged(MASTER, STANDBY, VF, replace(VF, ifindex=5, name="ens5", master=0))
    assert judgements.pairs[MAC].vf == 4
    assert judgements.verdicts[5].verdict is Verdict.REFUSED
    assert judgements.verdicts[5].reason.endswith("itself, as ens3, and has not taken this NIC")
    late = judged(MASTER, STANDBY, replace(VF, master=0))
    assert late.pairs == {MAC: Pair(MAC, nic=3, master=2, adopted=True)}


def test_a_master_without_a_standby_that_is_one_is_left_alone() -> None:
    for slave in (None, replace(STANDBY, standby_feature=False), replace(STANDBY, master=0)):
        links = (MASTER, slave, VF) if slave is not None else (MASTER, VF)
        judgements = judged(*links)
        assert judgements.pairs == {}
        assert judgements.verdicts[2].verdict is Verdict.LEFT_ALONE


def test_a_nic_of_another_mac_under_the_master_is_not_its_primary() -> None:
    assert found(MASTER, STANDBY, replace(VF, perm_mac=OTHER)) == [Pair(MAC, nic=3, master=2, adopted=True)]


def test_a_device_of_a_kind_is_no_master_of_the_kernels_whatever_its_driver() -> None:
    assert found(replace(MASTER, kind="team"), STANDBY, VF) == []


def test_two_masters_of_one_mac_are_one_pair() -> None:
    second = (replace(MASTER, ifindex=12, name="ens13"), replace(STANDBY, ifindex=13, master=12))
    assert found(MASTER, STANDBY, VF, *second) == [Pair(MAC, nic=3, vf=4, master=2, adopted=True)]


def test_other_pairs_are_joined_as_ever() -> None:
    nic, vf = Link(7, "ens7", OTHER, OTHER, bus="virtio"), Link(8, "ens8", OTHER, OTHER, bus="pci")
    judgements = judged(MASTER, STANDBY, VF, nic, vf)
    assert judgements.pairs[OTHER] == Pair(OTHER, nic=7, vf=8)
    assert judgements.pairs[MAC].adopted


def test_what_the_configuration_says_is_ignored_is_not_adopted() -> None:
    links = {link.ifindex: link for link in (MASTER, STANDBY, VF)}
    for config in (Pairing(ignore=("ens3",)), Pairing(ignore=(MAC,)), Pairing(ignore_drivers=("virtio_net",))):
        judgements = judge(links, config)
        assert judgements.pairs == {}
        assert Verdict.PAIRED not in {judgement.verdict for judgement in judgements.verdicts.values()}


SYNTHETIC = Link(12, "eth0", MAC, MAC, bus="vmbus", driver="hv_netvsc")
TAKEN = Link(13, "enP1s1", MAC, MAC, master=12, bus="pci", driver="mlx5_core")


def test_hyper_vs_driver_has_joined_its_vf() -> None:
    assert judged(SYNTHETIC, TAKEN).pairs == {MAC: Pair(MAC, nic=12, vf=13, master=12, adopted=True)}
    assert found(SYNTHETIC) == [Pair(MAC, nic=12, adopted=True)]
    assert found(replace(SYNTHETIC, perm_mac="")) == []
    assert found(replace(SYNTHETIC, kind="vlan"), TAKEN) == []
    assert found(SYNTHETIC, replace(SYNTHETIC, ifindex=22)) == [Pair(MAC, nic=12, adopted=True)]


def test_a_vf_of_another_mac_that_the_driver_has_taken_is_its_vf() -> None:
    """It tells VFs by their slot."""
    judgements = judged(SYNTHETIC, replace(TAKEN, perm_mac=OTHER))
    assert judgements.pairs == {MAC: Pair(MAC, nic=12, vf=13, master=12, adopted=True)}


def test_what_a_driver_not_known_has_joined_is_left_alone() -> None:
    """A slave relation without an rtnl kind is nobody's but the driver's."""
    nic = Link(12, "eth0", MAC, MAC, bus="virtio", driver="virtio_next")
    judgements = judged(nic, TAKEN, Link(14, "eth1", MAC, MAC, bus="pci"))
    assert {i: judgement.verdict for i, judgement in judgements.verdicts.items() if i != 14} == {
        12: Verdict.LEFT_ALONE,
        13: Verdict.LEFT_ALONE,
    }
    assert judgements.verdicts[12].reason == (
        "its driver (virtio_next) has joined another NIC to it, and chooses the slave that carries"
    )
    assert judgements.verdicts[13].reason == "a driver has joined it to eth0 (virtio_next), whose slave it stays"
    assert judgements.pairs == {}


def test_a_bond_of_ours_that_has_a_synthetic_nic_keeps_it() -> None:
    bond = Link(5, "ens3", MAC, kind="bond", altnames=frozenset({"failoverd-525400aabbcc"}))
    slave = replace(SYNTHETIC, master=5, slave_kind="bond")
    assert judged(bond, slave).pairs == {MAC: Pair(MAC, nic=12, master=5)}


def test_a_synthetic_nic_that_is_to_be_ignored_is_and_its_vf_is_in_no_pair() -> None:
    links = {link.ifindex: link for link in (SYNTHETIC, TAKEN)}
    judgements = judge(links, Pairing(ignore=("eth0",)))
    assert judgements.pairs == {}
    assert [judgements.verdicts[i].verdict for i in links] == [Verdict.IGNORED, Verdict.LEFT_ALONE]
