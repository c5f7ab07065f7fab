"""A pair the kernel has joined itself is watched and mended, and never taken apart."""

from __future__ import annotations

from dataclasses import replace

import pytest
from toykernel import MAC, ToyKernel

from failoverd.config.spec import Config, KernelFailover, Naming
from failoverd.datapaths.kernel import DATAPATH
from failoverd.model.links import Filter, Link, Tc
from failoverd.model.requests import AddAltname, AddClsact, AddRedirect, DropClsact, DropRedirect
from failoverd.plan.predict.tc import HANDLE, PREFERENCE

OPEN = Config()
CLOSING = Config(kernel_failover=KernelFailover(close_hole=True))
MASTER = Link(2, "ens3", MAC, driver="net_failover", up=True, carrier=True)
STANDBY = Link(3, "ens3nsby", MAC, MAC, up=True, carrier=True, master=2, bus="virtio", standby_feature=True)
VF = Link(4, "ens4", MAC, MAC, up=True, carrier=True, master=2, bus="pci")
DARK = replace(VF, carrier=False)
CLOSED = Tc("clsact", "", frozenset({Filter("ingress", PREFERENCE, HANDLE, "u32", 2, ours=True)}))
NAME = AddAltname(3, "ens3nsby")
MARK = AddAltname(3, "failoverd-qdisc-3")


def test_nothing_is_done_that_the_kernel_does() -> None:
    assert DATAPATH.create(MAC, STANDBY, OPEN) == []
    assert DATAPATH.attach(VF, MASTER) == DATAPATH.detach(VF) == DATAPATH.remove(MASTER) == []
    assert DATAPATH.switch(MASTER, 4) == DATAPATH.hear(MASTER, both=True) == []
    assert DATAPATH.conflict(VF, MASTER) == DATAPATH.mtu_mismatch(VF, MASTER) == ""
    assert DATAPATH.holds(VF, MASTER)
    assert not DATAPATH.holds(replace(VF, master=0), MASTER)


@pytest.mark.parametrize(
    ("vf", "standby", "active"),
    [
        (VF, STANDBY, 4),
        (None, STANDBY, 3),
        (DARK, STANDBY, 3),
        (replace(VF, up=False), STANDBY, 3),
        (replace(VF, master=0), STANDBY, 3),
        (VF, None, 4),
        (None, replace(STANDBY, carrier=False), 0),
        (None, None, 0),
    ],
)
def test_who_carries_by_the_kernels_rule(vf: Link | None, standby: Link | None, active: int) -> None:
    assert DATAPATH.active(MASTER, vf, standby) == active


def test_a_standby_is_given_its_name() -> None:
    assert DATAPATH.mend(MASTER, VF, STANDBY, OPEN) == []
    other = replace(STANDBY, name="eth0")
    assert DATAPATH.mend(MASTER, VF, other, OPEN) == [NAME]
    assert DATAPATH.mend(MASTER, VF, replace(other, altnames=frozenset({"ens3nsby"})), OPEN) == []
    suffix = Config(naming=Naming(standby_suffix="slow"))
    assert DATAPATH.mend(MASTER, VF, STANDBY, suffix) == [AddAltname(3, "ens3slow")]
    assert DATAPATH.mend(MASTER, VF, None, CLOSING) == []


def test_the_hole_is_closed_where_that_is_wanted_and_opened_again() -> None:
    """What the kernel needs for it is loaded before; the qdisc stays for the next time, and goes with the setting."""
    kernel = ToyKernel(links={2: MASTER, 3: STANDBY, 4: DARK}, last=4)

    def mend(vf: Link | None, config: Config = CLOSING) -> Tc:
        answers = kernel.do(tuple(DATAPATH.mend(MASTER, vf, kernel.links[3], config)))
        assert {number for number, _ in answers} <= {0}
        return kernel.links[3].tc

    mend(VF)  # the mark
    assert mend(VF) == Tc("clsact")
    assert DATAPATH.mend(MASTER, VF, kernel.links[3], CLOSING) == []
    for _ in range(2):
        assert mend(DARK) == CLOSED
        assert DATAPATH.mend(MASTER, DARK, kernel.links[3], CLOSING) == []
        assert mend(VF) == Tc("clsact")
    assert mend(DARK) == CLOSED
    assert mend(DARK, OPEN) == Tc()
    mend(DARK, OPEN)
    assert kernel.links[3] == STANDBY, "and the mark is gone, too"


def test_the_filters_of_others_are_left_where_they_are() -> None:
    kernel = ToyKernel(links={2: MASTER, 3: STANDBY, 4: DARK}, last=4)
    kernel.filter_by_others(3, "ingress")
    before = kernel.links[3]
    assert DATAPATH.mend(MASTER, DARK, before, CLOSING) == [AddRedirect(3, "ingress", 2)]
    kernel.do(tuple(DATAPATH.mend(MASTER, DARK, before, CLOSING)))
    assert DATAPATH.mend(MASTER, None, kernel.links[3], CLOSING) == [DropRedirect(3, "ingress")]
    kernel.do(tuple(DATAPATH.mend(MASTER, None, kernel.links[3], CLOSING)))
    assert kernel.links[3] == before


@pytest.mark.parametrize(
    ("vf", "why"),
    [
        (DARK, "ens4 has no carrier and is plugged in: the kernel drops all that its standby receives"),
        (replace(VF, up=False), "ens4 is down and is plugged in"),
    ],
)
def test_a_hole_is_told_of_until_it_is_closed(vf: Link, why: str) -> None:
    assert DATAPATH.flaws(MASTER, vf, STANDBY).startswith(why)
    assert DATAPATH.flaws(MASTER, vf, STANDBY).endswith("set close_hole in [kernel_failover], or unplug the VF")
    assert DATAPATH.flaws(MASTER, vf, None)
    assert DATAPATH.flaws(MASTER, vf, replace(STANDBY, tc=CLOSED)) == ""
    assert DATAPATH.mend(MASTER, vf, STANDBY, CLOSING) == [MARK]
    assert DATAPATH.mend(MASTER, vf, STANDBY, OPEN) == []
    marked = replace(STANDBY, altnames=frozenset({"failoverd-qdisc-3"}))
    assert DATAPATH.mend(MASTER, vf, marked, CLOSING) == [AddClsact(3), AddRedirect(3, "ingress", 2)]
    assert DATAPATH.mend(MASTER, vf, replace(marked, tc=CLOSED), OPEN) == [DropRedirect(3, "ingress"), DropClsact(3)]
    assert DATAPATH.mend(MASTER, vf, replace(STANDBY, tc=CLOSED), OPEN) == [DropRedirect(3, "ingress")]


@pytest.mark.parametrize(
    ("master", "vf"),
    [(MASTER, VF), (MASTER, None), (MASTER, replace(DARK, master=0)), (replace(MASTER, up=False), DARK)],
)
def test_no_hole(master: Link, vf: Link | None) -> None:
    assert DATAPATH.flaws(master, vf, STANDBY) == ""
    ready = replace(STANDBY, tc=Tc("clsact"))
    assert DATAPATH.mend(master, vf, ready, CLOSING) == []
    assert DATAPATH.mend(master, vf, replace(STANDBY, tc=CLOSED), CLOSING) == [DropRedirect(3, "ingress")]
