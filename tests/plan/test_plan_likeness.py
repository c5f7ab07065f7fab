"""The planner's answers about settings, and about what a move could not put where it belongs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from test_plan_steps import BACK, BEGUN, MASTER, NIC, PASSING, VF, refused, situation
from toykernel import address, route

from failoverd.datapaths import tc
from failoverd.model.inet import Label, Neighbour
from failoverd.model.links import Link
from failoverd.model.pairs import Inet, Journal
from failoverd.model.requests import AddAddress, AddLabel, AddNeighbour, SetAttribute, SetSysctl
from failoverd.plan import inet_sets, likeness, transfer
from failoverd.plan.join import join
from failoverd.plan.release import release
from failoverd.plan.situation import Do, Finish, GiveUp, Keep, Look, Rest, Wait, Write

ON = (("alias", "uplink"), ("ipv6/disable_ipv6", "0"))
OFF = (("alias", ""), ("ipv6/disable_ipv6", "1"))
SYSCTL, ALIAS = SetSysctl(9, "ipv6/disable_ipv6", "0"), SetAttribute(9, "alias", "uplink")
SIX = address("fd00::2/64", 9, flags=2)
HELD = {2: Inet(), 3: Inet(), 9: Inet()}
SLAVE = replace(NIC, name="ens3nsby", master=9)
ACTIVE = replace(VF, master=9, up=True, carrier=True)


def test_a_master_is_made_like_its_nic_before_anything_is_written_down() -> None:
    here = situation(nic=NIC, master=PASSING, inet={2: Inet(settings=ON), 9: Inet(settings=OFF)})
    assert join(here) == Do((SYSCTL,), "make fo525400fa1101 like ens3")
    half = replace(here, inet={2: Inet(settings=ON), 9: Inet(settings=(OFF[0], ON[1]))})
    assert join(half) == Do((ALIAS,), "make fo525400fa1101 like ens3")
    answer = join(replace(here, inet={2: Inet(settings=ON), 9: Inet(settings=ON)}))
    assert isinstance(answer, Write)
    assert answer.journal.inet.settings == ON


def test_a_master_that_cannot_be_made_alike_is_given_up_for_good() -> None:
    here = situation(nic=NIC, master=PASSING, inet={2: Inet(settings=ON), 9: Inet(settings=OFF)})
    why = "a bond cannot be made like ens3: the kernel said no"
    assert join(replace(here, blocked=refused(SYSCTL))) == GiveUp(why, unbondable=True)
    stays = join(replace(here, hopeless={SYSCTL: ""}))
    assert stays == GiveUp(
        "a bond cannot be made like ens3: net.ipv6.conf.ens3.disable_ipv6 = 0 does not stay so on it", unbondable=True
    )


def test_other_requests_do_not_tell_of_settings() -> None:
    assert likeness.bond_mismatch(situation(), [AddAddress(SIX), SYSCTL], "ens3") == ""


NEVER = [(("ipv6/forwarding", "1"), "router advertisements"), (("addr_gen_mode", "2"), "stable-privacy")]


@pytest.mark.parametrize(("setting", "why"), NEVER)
def test_settings_that_no_bond_is_given(setting: tuple[str, str], why: str) -> None:
    inet = {2: Inet(settings=(setting,)), 9: Inet(settings=((setting[0], "0"),))}
    answer = join(situation(nic=NIC, master=PASSING, inet=inet))
    assert isinstance(answer, GiveUp)
    assert answer.unbondable
    assert why in answer.why


def test_permanent_neighbours_are_no_bonds_and_proxies_are() -> None:
    entry = Neighbour(2, 2, 0x80, 0, 1, ((1, b"\n\0\0\5"), (2, bytes(6))))
    here = situation(nic=NIC, master=PASSING, inet={2: Inet(neighbours=(entry,))})
    answer = join(here)
    assert isinstance(answer, GiveUp)
    assert answer.unbondable
    assert answer.why.startswith("ens3 has permanent neighbours")
    proxies = {2: Inet(neighbours=(replace(entry, flags=8, state=0),)), 9: Inet()}
    assert isinstance(join(replace(here, inet=proxies)), Write)


def test_settings_that_change_while_the_vf_is_waited_for_are_written_down_and_given() -> None:
    journal = replace(BEGUN, inet=Inet(settings=OFF))
    here = situation(nic=NIC, master=PASSING, journal=journal, inet={2: Inet(settings=ON), 9: Inet(settings=OFF)})
    answer = join(here)
    assert isinstance(answer, Write)
    assert dict(answer.journal.inet.settings) == dict(ON)
    assert join(replace(here, journal=answer.journal)) == Do((SYSCTL,), "make fo525400fa1101 like ens3")


def test_a_vf_brings_its_neighbours_and_none_of_its_settings() -> None:
    entry = Neighbour(3, 2, 0x80, 0, 1, ((1, b"\n\0\0\5"),))
    inet = {2: Inet(), 3: Inet(neighbours=(entry,), settings=OFF)}
    answer = join(situation(nic=NIC, vf=VF, master=PASSING, inet=inet))
    assert isinstance(answer, Write)
    assert answer.journal.extra == Inet(neighbours=(entry,))


def test_neighbours_and_labels_move_and_are_told_apart() -> None:
    entry = Neighbour(2, 2, 0x80, 0, 1, ((1, b"\n\0\0\5"), (2, bytes(6))))
    proxy = replace(entry, flags=0x08, state=0)
    label = Label(2, bytes(16), 32, 99)
    nics = Inet(neighbours=(entry, proxy), labels=(label,))
    there = transfer.to_device(nics, 9)
    assert transfer.add_others(there, Inet(), up=False) == [AddLabel(replace(label, ifindex=9))]
    wanted = [AddNeighbour(replace(entry, ifindex=9)), AddNeighbour(replace(proxy, ifindex=9))]
    assert transfer.add_others(there, Inet(labels=there.labels), up=True) == wanted
    assert inet_sets.is_in(nics, there)
    assert not inet_sets.is_in(nics, replace(there, neighbours=there.neighbours[:1]))
    assert not inet_sets.is_in(nics, replace(there, labels=()))
    assert inet_sets.union(nics, there) == nics


def test_what_a_master_is_refused_ends_the_join() -> None:
    journal = replace(BEGUN, inet=Inet((SIX,)))
    here = situation(nic=SLAVE, vf=ACTIVE, master=MASTER, journal=journal, inet=HELD, hopeless=refused(AddAddress(SIX)))
    why = "ens3 could not be moved to a master, and was given back: the kernel said no"
    assert join(here) == GiveUp(why, unbondable=True)
    vlan = Link(7, "ens3.7", kind="vlan", link=9)
    lost = Finish(Inet((SIX,)))
    assert join(replace(here, links={**here.links, 7: vlan})) == lost
    assert join(replace(here, nic=None, links={3: ACTIVE, 9: MASTER})) == lost
    assert join(replace(here, hopeless={AddAddress(SIX): ""})) == lost


def test_what_a_router_will_bring_again_is_not_lost() -> None:
    advertised, own = route("2001:db8::/32", 9, protocol=inet_sets.RTPROT_RA), route("10.1.0.0/16", 9)
    assert inet_sets.missing(Inet(routes=(advertised, own)), Inet()).routes == (own,)


def test_what_is_lost_is_tried_again_when_its_time_has_come() -> None:
    lost = Inet((replace(SIX, ifindex=2),))
    here = situation(nic=SLAVE, vf=ACTIVE, master=MASTER, lost=lost)
    assert join(replace(here, blocked=refused(AddAddress(SIX)))) == Rest()
    assert join(here) == Look((9,))
    assert join(replace(here, inet={9: Inet()})) == Do((AddAddress(SIX),), "try again what ens3 has lost")
    assert join(replace(here, inet={9: Inet((SIX,))})) == Keep(Inet())
    assert join(replace(here, master=replace(MASTER, up=False))) == Rest()
    assert release(situation(lost=lost)) == Rest()


def test_what_is_lost_is_part_of_the_next_move() -> None:
    lost = Inet((replace(SIX, ifindex=2),))
    here = situation(nic=NIC, master=PASSING, lost=lost, inet={2: Inet()})
    answer = join(here)
    assert isinstance(answer, Write)
    assert [a.local for a in answer.journal.inet.addresses] == [SIX.local]
    back = release(situation(nic=SLAVE, master=MASTER, lost=lost, inet={2: Inet()}))
    assert isinstance(back, Write)
    assert [a.local for a in back.journal.inet.addresses] == [SIX.local]


def test_where_nothing_moves_what_is_lost_is_tried_again_on_the_nic() -> None:
    lost = Inet((replace(SIX, ifindex=2),))
    here = replace(situation(nic=NIC, lost=lost), datapath=tc.DATAPATH)
    assert join(here) == Look((2,))
    assert release(here) == Look((2,))


def test_a_nic_that_is_given_back_has_what_its_master_had() -> None:
    journal: Journal = replace(BACK, inet=Inet(settings=ON))
    sysctl, alias = replace(SYSCTL, ifindex=2), replace(ALIAS, ifindex=2)
    here = situation(nic=SLAVE, master=MASTER, journal=journal, inet={2: Inet(settings=OFF), 9: Inet(settings=ON)})
    assert release(here) == Do((sysctl,), "make ens3nsby like ens3")
    assert release(replace(here, blocked=refused(sysctl))) == Do((alias,), "make ens3nsby like ens3")
    moved = release(replace(here, blocked=refused(sysctl, alias)))
    assert isinstance(moved, Do)
    assert moved.why == "give ens3 back to its NIC"
    after = situation(nic=NIC, journal=journal, inet={2: Inet(settings=OFF)})
    assert release(after) == Do((sysctl,), "give ens3 the settings its master had")
    assert release(replace(after, blocked=refused(sysctl))) == Wait("the kernel said no")
    assert release(replace(after, hopeless=refused(sysctl))) == Do((alias,), "put the rest on ens3")
    assert release(replace(after, hopeless=refused(sysctl, alias))) == Finish()


def test_what_a_master_forgets_when_it_comes_up_is_written_again() -> None:
    mtu = SetSysctl(9, "ipv6/mtu", "1400")
    journal = replace(BEGUN, inet=Inet(settings=(*ON, ("ipv6/mtu", "1400"))))
    here = situation(nic=SLAVE, vf=ACTIVE, master=MASTER, journal=journal, inet={**HELD, 9: Inet(settings=OFF)})
    assert join(here) == Do((mtu,), "make ens3 like its NIC again")
    assert join(replace(here, hopeless={mtu: ""})) == Finish()


def test_a_master_that_will_yet_forget_when_its_link_is_told_of_is_waited_for() -> None:
    journal = replace(BEGUN, inet=Inet(settings=(*ON, ("ipv6/mtu", "1400"))))
    coming = replace(MASTER, operational=False)
    here = situation(nic=SLAVE, vf=ACTIVE, master=coming, journal=journal, inet={**HELD, 9: Inet(settings=OFF)})
    assert join(here) == Wait("the kernel has not yet told IPv6 of the link of ens3")
    nobody = situation(nic=replace(SLAVE, carrier=False), vf=None, master=coming, journal=journal, inet=HELD)
    assert not isinstance(join(nobody), Wait)
    assert not isinstance(join(replace(here, journal=replace(journal, inet=Inet(settings=ON)))), Wait)
