"""Every datapath, and the one there is."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import replace

import pytest
from toykernel import MAC, ToyKernel

import failoverd.datapaths
from failoverd.config.spec import Bond as BondSpec
from failoverd.config.spec import Config
from failoverd.datapaths.base import Datapath
from failoverd.datapaths.bond import DATAPATH
from failoverd.model.links import Bond, Link
from failoverd.model.requests import CreateBond, DeleteLink, SetActive, SetMaster, SetUp

MODULES = [info.name for info in pkgutil.iter_modules(failoverd.datapaths.__path__) if info.name != "base"]


@pytest.mark.parametrize("name", MODULES)
def test_a_datapath_joins_switches_and_lets_go(name: str) -> None:
    """What it asks for is enough, in its order, for a kernel that takes nothing for granted."""
    datapath: Datapath = importlib.import_module(f"failoverd.datapaths.{name}").DATAPATH
    assert datapath.name == name
    kernel = ToyKernel()
    nic, vf = kernel.plug("ens3", "virtio", up=True), kernel.plug("ens4", "pci", up=True)
    done = kernel.do(tuple(datapath.create(MAC, kernel.links[nic], Config())))
    master = max(kernel.links)
    assert datapath.flaws(kernel.links[master]) == ""
    for ifindex in (vf, nic):
        done += kernel.do(tuple(datapath.attach(kernel.links[ifindex], kernel.links[master])))
        assert kernel.links[ifindex].master == master
    assert datapath.active(kernel.links[master]) == vf
    done += kernel.do(tuple(datapath.switch(kernel.links[master], nic)))
    assert datapath.active(kernel.links[master]) == nic
    done += kernel.do(tuple(datapath.detach(kernel.links[nic])))
    assert not kernel.links[nic].master
    assert not datapath.detach(kernel.links[nic])
    done += kernel.do(tuple(datapath.remove(kernel.links[master])))
    assert master not in kernel.links
    assert not kernel.links[vf].master
    assert not kernel.links[vf].up
    assert {number for number, _ in done} == {0}


def test_what_the_bond_is_made_with() -> None:
    config = Config(bond=BondSpec(miimon=50, peer_notifications=3))
    nic = Link(2, "ens3", MAC, MAC, mtu=9000)
    assert DATAPATH.create(MAC, nic, config) == [CreateBond("fo525400fa1101", MAC, 9000, 50, 3)]


def test_a_slave_is_taken_down_only_where_it_is_up() -> None:
    master, vf = Link(9, "ens3", kind="bond"), Link(3, "ens4")
    assert DATAPATH.attach(vf, master) == [SetMaster(3, 9)]
    assert DATAPATH.attach(replace(vf, up=True), master) == [SetUp(3, up=False), SetMaster(3, 9)]
    assert DATAPATH.detach(replace(vf, master=9)) == [SetMaster(3, 0)]
    assert DATAPATH.switch(master, 3) == [SetActive(9, 3)]
    assert DATAPATH.remove(master) == [DeleteLink(9)]


def test_what_others_may_have_made_of_the_bond() -> None:
    master = Link(9, "ens3", kind="bond", bond=Bond(mode=1, miimon=100))
    assert DATAPATH.flaws(master) == ""
    assert DATAPATH.flaws(replace(master, bond=Bond(mode=0, miimon=100))) == "ens3 is not an active-backup bond"
    assert "has no miimon" in DATAPATH.flaws(replace(master, bond=Bond(mode=1)))
    assert "has a primary" in DATAPATH.flaws(replace(master, bond=Bond(mode=1, miimon=100, primary=3)))
    assert DATAPATH.flaws(replace(master, bond=None)) == "ens3 is not an active-backup bond"
    assert DATAPATH.active(replace(master, bond=None)) == 0
