"""What the tc datapath asks for, to the letter. That it is enough is in test_datapaths_contract."""

from __future__ import annotations

from dataclasses import replace

import pytest
from toykernel import MAC

from failoverd.config.spec import Config
from failoverd.datapaths.base import standing
from failoverd.datapaths.tc import DATAPATH, deaf
from failoverd.model.links import Filter, Link, Tc
from failoverd.model.requests import (
    AddAltname,
    AddClsact,
    AddRedirect,
    DropAltname,
    DropClsact,
    DropRedirect,
    SetAllMulticast,
    SetLinkLocal,
    SetMtu,
    SetPromiscuous,
    SetUp,
)
from failoverd.plan.predict.tc import HANDLE, PREFERENCE
from failoverd.policy.election import Standing

OUT = Filter("egress", PREFERENCE, HANDLE, "u32", 3, ours=True)
IN = Filter("ingress", PREFERENCE, HANDLE, "u32", 2, ours=True)
NIC = Link(2, "ens3", MAC, MAC, up=True, carrier=True, tc=Tc("clsact", "", frozenset({OUT})))
VF = Link(3, "ens4", MAC, MAC, up=True, carrier=True, all_multicast=True, tc=Tc("clsact", "", frozenset({IN})))


def with_filters(link: Link, *filters: Filter) -> Link:
    return replace(link, tc=replace(link.tc, filters=frozenset(filters)))


def test_the_master_is_there_already() -> None:
    assert DATAPATH.create(MAC, NIC, Config()) == []
    assert DATAPATH.attach(NIC, NIC) == []


def test_who_carries_is_where_the_master_leads() -> None:
    assert DATAPATH.active(NIC, VF, NIC) == 3
    assert DATAPATH.active(with_filters(NIC), VF, NIC) == 2
    assert DATAPATH.active(with_filters(NIC, replace(OUT, redirect=0)), None, NIC) == 0
    assert DATAPATH.active(with_filters(NIC, replace(OUT, ours=False)), VF, NIC) == 2


def test_who_is_joined() -> None:
    assert DATAPATH.holds(VF, NIC)
    assert DATAPATH.holds(NIC, NIC)
    assert not DATAPATH.holds(with_filters(VF), NIC)
    assert not DATAPATH.holds(with_filters(VF, replace(IN, redirect=9)), NIC)
    assert not DATAPATH.holds(with_filters(VF, replace(IN, ours=False)), NIC)


def test_a_filter_beside_one_of_the_same_priority_goes_alone() -> None:
    beside = replace(OUT, handle=HANDLE + 1, ours=False)
    assert DATAPATH.switch(NIC, 2) == [DropRedirect(2, "egress")]
    assert DATAPATH.switch(with_filters(NIC, OUT, beside), 2) == [DropRedirect(2, "egress", HANDLE)]
    assert DATAPATH.switch(with_filters(NIC, beside), 2) == []
    assert DATAPATH.remove(with_filters(NIC, OUT, beside)) == [DropRedirect(2, "egress", HANDLE)]


def test_only_a_qdisc_on_a_marked_nic_is_ours() -> None:
    """And the mark goes last."""
    marked = replace(NIC, altnames=frozenset({"failoverd-qdisc-2", "enp1s0"}))
    assert DATAPATH.remove(NIC) == [DropRedirect(2, "egress")]
    assert DATAPATH.remove(with_filters(NIC)) == []
    assert DATAPATH.remove(marked) == [DropRedirect(2, "egress"), DropClsact(2)]
    assert DATAPATH.remove(with_filters(marked)) == [DropClsact(2)]
    assert DATAPATH.remove(replace(marked, tc=Tc())) == [DropAltname(2, "failoverd-qdisc-2")]
    assert DATAPATH.remove(replace(marked, tc=Tc("ingress"))) == [DropAltname(2, "failoverd-qdisc-2")]


def test_a_join_is_asked_for_in_parts() -> None:
    """The filter says that it is joined, so all else has to be seen to be so before."""
    nic, vf = replace(NIC, tc=Tc()), Link(3, "ens4", MAC, MAC, link_local=True)
    assert DATAPATH.attach(vf, nic) == [AddAltname(3, "failoverd-vf-3")]
    vf = replace(vf, altnames=frozenset({"failoverd-vf-3"}))
    own = [SetLinkLocal(3, on=False), SetAllMulticast(3, on=True)]
    marks = [AddAltname(2, "failoverd-qdisc-2"), AddAltname(3, "failoverd-qdisc-3")]
    assert DATAPATH.attach(vf, nic) == [*marks, *own]
    assert DATAPATH.attach(vf, NIC) == [marks[1], *own]
    nic = replace(nic, altnames=frozenset({"failoverd-qdisc-2"}))
    vf = replace(vf, altnames=vf.altnames | {"failoverd-qdisc-3"})
    shape = [AddClsact(2), AddClsact(3), *own]
    assert DATAPATH.attach(vf, nic) == shape
    last = replace(vf, up=True, link_local=False, all_multicast=True, tc=Tc("clsact"))
    assert DATAPATH.attach(last, NIC) == [AddRedirect(3, "ingress", 2)]
    quiet = [AddRedirect(3, "ingress", 2), SetUp(3, up=True)]
    assert DATAPATH.attach(replace(last, up=False), NIC) == quiet
    assert DATAPATH.attach(replace(VF, up=False), NIC) == [SetUp(3, up=True)]
    astray = with_filters(last, replace(IN, redirect=9))
    assert DATAPATH.attach(astray, NIC) == [DropRedirect(3, "ingress"), AddRedirect(3, "ingress", 2)]
    assert DATAPATH.attach(VF, NIC) == []


def test_a_vf_that_was_never_touched_is_left_alone() -> None:
    assert DATAPATH.detach(Link(3, "ens4", MAC, MAC, up=True, all_multicast=True)) == []


def test_what_the_vf_has_to_be_like() -> None:
    config = Config()
    assert DATAPATH.mend(NIC, VF, NIC, config) == []
    assert DATAPATH.mend(NIC, None, NIC, config) == []
    assert DATAPATH.mend(NIC, replace(with_filters(VF), all_multicast=False), NIC, config) == []
    assert DATAPATH.mend(NIC, replace(VF, all_multicast=False), NIC, config) == [SetAllMulticast(3, on=True)]
    assert DATAPATH.mend(NIC, replace(VF, link_local=True), NIC, config) == [SetLinkLocal(3, on=False)]
    assert DATAPATH.mend(NIC, replace(VF, mtu=1280), NIC, config) == [SetMtu(3, 1500)]
    assert DATAPATH.mend(NIC, replace(VF, mtu=9000), NIC, config) == []


def test_a_vf_is_opened_for_what_stands_on_the_master_and_closed_again() -> None:
    opened = replace(VF, promiscuous=True, altnames=frozenset({"failoverd-vf-3"}))
    assert DATAPATH.widen(VF, everything=False) == DATAPATH.widen(opened, everything=True) == []
    assert DATAPATH.widen(VF, everything=True) == [SetPromiscuous(3, on=True)]
    assert DATAPATH.widen(opened, everything=False) == [SetPromiscuous(3, on=False)]
    assert SetPromiscuous(3, on=False) in DATAPATH.detach(opened)
    assert SetPromiscuous(3, on=False) not in DATAPATH.detach(replace(opened, promiscuous=False))


def test_only_a_smaller_vf_is_unlike() -> None:
    assert DATAPATH.mtu_mismatch(VF, NIC) == DATAPATH.mtu_mismatch(replace(VF, mtu=9000), NIC) == ""
    assert DATAPATH.mtu_mismatch(replace(VF, mtu=1280), NIC) == "its MTU is 1280 and the master's 1500"


def foreign(link: Link, hook: str, kind: str) -> Link:
    return with_filters(link, *link.tc.filters, Filter(hook, 1, 1, kind))


@pytest.mark.parametrize(
    ("vf", "nic", "words"),
    [
        (VF, NIC, ""),
        (foreign(VF, "egress", "bpf"), foreign(NIC, "ingress", "bpf"), ""),
        (replace(VF, tc=replace(VF.tc, slot="ingress", root="fq"), xdp=True), NIC, ""),
        (VF, replace(NIC, tc=Tc()), ""),
        (replace(VF, mac="02:00:00:00:00:01"), NIC, f"its MAC is 02:00:00:00:00:01 and that of ens3 {MAC}"),
        (foreign(VF, "ingress", "bpf"), NIC, "ens4 has a bpf filter on its ingress that traffic would pass by"),
        (
            VF,
            foreign(foreign(NIC, "egress", "u32"), "egress", "flower"),
            "ens3 has a flower, u32 filter on its egress that traffic would pass by",
        ),
        (VF, replace(NIC, tc=Tc("ingress")), "ens3 has an ingress qdisc where clsact would have to be"),
        (VF, replace(NIC, tc=Tc("clsact", "htb")), "ens3 has a htb qdisc that traffic would pass by"),
        (VF, replace(NIC, master=8, slave_kind="vrf"), ""),
        (
            VF,
            replace(NIC, master=8, slave_kind="bridge"),
            "ens3 is in a bridge, and what that sends by ens4 would come back by ens3",
        ),
        (VF, replace(NIC, master=8), "ens3 is in a master, and what that sends by ens4 would come back by ens3"),
        (VF, replace(NIC, xdp=True), "ens3 has an XDP program that traffic would pass by"),
    ],
)
def test_what_of_others_is_in_the_way(vf: Link, nic: Link, words: str) -> None:
    assert DATAPATH.conflict(vf, nic) == words
    stands = standing(DATAPATH, nic, vf, nic)
    assert stands.bad_primary == words
    assert DATAPATH.flaws(nic, vf, nic) == ""


def test_a_master_without_carrier_hears_nothing_by_the_vf() -> None:
    dark = replace(NIC, carrier=False)
    words = "ens3 has no carrier, and then the kernel drops all that ens4 receives for it"
    assert DATAPATH.flaws(dark, VF, dark).startswith(f"{words}; have the host set the link of ens3 up, or")
    assert DATAPATH.flaws(dark, None, dark) == ""
    assert DATAPATH.flaws(with_filters(dark), VF, dark) == ""


def test_a_vf_whose_driver_cannot_have_the_masters_mtu_is_not_asked_to() -> None:
    small = replace(VF, max_mtu=1400, mtu=1400, link_local=False, all_multicast=True)
    assert SetMtu(3, 1500) not in DATAPATH.attach(small, NIC)
    assert (
        DATAPATH.mtu_mismatch(small, NIC) == "its MTU is 1400 and the master's 1500, and its driver takes 1400 at most"
    )
    assert DATAPATH.mtu_mismatch(replace(small, max_mtu=0), NIC) == "its MTU is 1400 and the master's 1500"


def test_a_virtio_nic_that_is_down_tells_of_its_link() -> None:
    down = replace(NIC, up=False, carrier=False, driver="virtio_net")
    assert not deaf(down)
    assert deaf(replace(down, medium=False))
    assert not deaf(replace(down, medium=False, driver="vmxnet3")), "nothing can be said"
    assert deaf(replace(NIC, carrier=False))


def test_how_a_pair_stands() -> None:
    assert standing(DATAPATH, NIC, VF, NIC) == Standing(3, VF, NIC, "", "")
    assert standing(DATAPATH, NIC, None, NIC).bad_primary == "it is unplugged"
    assert standing(DATAPATH, NIC, with_filters(VF), NIC).bad_primary == "it is not enslaved"
    dead = replace(VF, carrier=False)
    assert standing(DATAPATH, NIC, dead, NIC).bad_primary == "it has no carrier"
    assert standing(DATAPATH, replace(NIC, xdp=True), dead, NIC).bad_primary == "it has no carrier"
    out = replace(with_filters(VF), mac="02:00:00:00:00:01", carrier=False)
    assert "its MAC is" in standing(DATAPATH, NIC, out, NIC).bad_primary
    assert standing(DATAPATH, NIC, replace(VF, mtu=1280), NIC).mtu_mismatch
    lame = replace(NIC, carrier=False)
    assert standing(DATAPATH, lame, VF, lame).bad_standby == "it has no carrier"


def test_both_ways_in_are_open_all_the_time() -> None:
    assert [list(DATAPATH.hear(NIC, both)) for both in (True, False)] == [[], []]
