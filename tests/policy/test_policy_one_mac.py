"""Which of the NICs of one MAC are its pair, and what the others are told."""

from __future__ import annotations

from dataclasses import replace

import pytest
from nics import BOND, MAC, NIC, OURS, VF, VF2, judged, reason

from failoverd.model.links import Link, Tc
from failoverd.model.pairs import Pair, Verdict


def test_a_pci_nic_with_a_paravirtual_driver_takes_the_place_of_a_missing_one() -> None:
    vmxnet3 = replace(VF, driver="vmxnet3")
    assert judged(vmxnet3, VF2).pairs == {MAC: Pair(MAC, nic=3, vf=4)}
    assert judged(NIC, vmxnet3).pairs == {MAC: Pair(MAC, nic=2, vf=3)}


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
