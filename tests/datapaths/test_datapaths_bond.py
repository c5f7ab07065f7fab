"""What the bond datapath asks for, to the letter. That it is enough is in test_datapaths_contract."""

from __future__ import annotations

from dataclasses import replace

from toykernel import MAC

from failoverd.config.spec import Bond as BondSpec
from failoverd.config.spec import Config
from failoverd.datapaths.bond import DATAPATH
from failoverd.kinds import Bond, NewDevice
from failoverd.kinds.bond import SIGNATURE
from failoverd.model.links import Link
from failoverd.model.requests import CreateLink, DeleteLink, SetActive, SetMaster, SetUp


def test_what_is_heard_is_the_bonds_own_business() -> None:
    slave = Link(3, "ens4")
    assert DATAPATH.widen(slave, everything=True) == DATAPATH.widen(slave, everything=False) == []


def test_what_the_bond_is_made_with() -> None:
    config = Config(bond=BondSpec(miimon=50, peer_notifications=3))
    nic = Link(2, "ens3", MAC, MAC, mtu=9000)
    options = Bond(mode=1, miimon=50, fail_over_mac=1, peer_notifications=3, lp_interval=SIGNATURE)
    assert DATAPATH.create(MAC, nic, config) == [CreateLink(NewDevice("fo525400fa1101", MAC, 9000), options)]


def test_a_slave_is_taken_down_only_where_it_is_up() -> None:
    master, vf = Link(9, "ens3", kind="bond"), Link(3, "ens4")
    assert DATAPATH.attach(vf, master) == [SetMaster(3, 9)]
    assert DATAPATH.attach(replace(vf, up=True), master) == [SetUp(3, up=False), SetMaster(3, 9)]
    assert DATAPATH.detach(replace(vf, master=9)) == [SetMaster(3, 0)]
    assert DATAPATH.switch(master, 3) == [SetActive(9, 3)]
    assert DATAPATH.remove(master) == [DeleteLink(9)]


def test_what_others_may_have_made_of_the_bond() -> None:
    master = Link(9, "ens3", kind="bond", info=Bond(mode=1, miimon=100))
    assert DATAPATH.flaws(master, None, None) == ""
    other = replace(master, info=Bond(mode=0, miimon=100))
    assert DATAPATH.flaws(other, None, None) == "ens3 is not an active-backup bond"
    assert "has no miimon" in DATAPATH.flaws(replace(master, info=Bond(mode=1)), None, None)
    assert "has a primary" in DATAPATH.flaws(replace(master, info=Bond(mode=1, miimon=100, primary=3)), None, None)
    assert DATAPATH.flaws(replace(master, info=None), None, None) == "ens3 is not an active-backup bond"
    assert DATAPATH.active(replace(master, info=None), None, None) == 0
