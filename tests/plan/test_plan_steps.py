"""The planner's single answers, where a whole history would not show them or not say why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from toykernel import MAC, address, route

from failoverd.config.spec import Config, Naming
from failoverd.datapaths import tc
from failoverd.datapaths.bond import DATAPATH
from failoverd.kinds import Bond
from failoverd.model.links import Link
from failoverd.model.pairs import Goal, Inet, Journal
from failoverd.model.requests import (
    AddAddress,
    AddAltname,
    AddRoute,
    DropAddress,
    DropAltname,
    DropRoute,
    Rename,
    Request,
    SetMaster,
    SetUp,
    TryMaster,
)
from failoverd.plan import inet_sets
from failoverd.plan.join import join
from failoverd.plan.release import release
from failoverd.plan.situation import Do, Finish, GiveUp, Look, Rest, Situation, Wait, Write
from failoverd.policy.naming import mark, new_mark, nic_mark, passing_name

NIC = Link(2, "ens3", MAC, MAC, bus="virtio", up=True, carrier=True)
VF = Link(3, "ens4", MAC, MAC, bus="pci")
MARKED = frozenset({mark(MAC)})
PASSING = Link(9, passing_name(MAC), MAC, kind="bond", info=Bond(mode=1), altnames=MARKED | {new_mark(MAC)})
MASTER = replace(PASSING, name="ens3", up=True, carrier=True, altnames=MARKED)
BEGUN = Journal(MAC, Goal.JOINED, "ens3", True, 1500, cut=True, nic=2)
BACK = replace(BEGUN, toward=Goal.RELEASED, nic=NIC.ifindex)
OBJECT = Inet((), (replace(route("10.1.0.0/16", 2), attrs=((inet_sets.RTA_NH_ID, b"\1\0\0\0"),)),))


def situation(**what: Any) -> Situation:
    """Nothing hangs on the NIC, and the kernel was asked whether it would take it."""
    what = {"hanging": {2: ""}, "could": frozenset({TryMaster(2, 9)})} | what
    if "inet" in what and what.get("master") is not None:
        # A master that is not in use yet is looked at, too.
        what["inet"] = {9: Inet(), **what["inet"]}
    links: Mapping[int, Link] = {link.ifindex: link for link in what.values() if isinstance(link, Link)} | what.pop(
        "others", {}
    )
    return Situation(MAC, DATAPATH, what.pop("config", Config()), 0.0, links=links, ready=frozenset({2, 3}), **what)


REFUSED = GiveUp("ens3nsby is not made a bond's slave: the kernel said no", True, "the kernel said no")


def refused(*requests: Request) -> dict[Request, str]:
    return dict.fromkeys(requests, "the kernel said no")


def test_nothing_to_join_nothing_to_release() -> None:
    assert join(situation()) == Rest()
    assert release(situation()) == Rest()
    assert join(situation(journal=BEGUN)) == Rest()


def test_a_name_the_master_cannot_have() -> None:
    answer = join(situation(nic=replace(NIC, name="eth%d")))
    assert isinstance(answer, GiveUp)
    assert "'eth%d' cannot be the master's name: it contains '%'" in answer.why


def test_udev_comes_first() -> None:
    assert isinstance(join(replace(situation(nic=NIC), ready=frozenset())), Wait)
    journal = replace(BEGUN, cut=False)
    answer = join(replace(situation(nic=NIC, vf=VF, master=PASSING, journal=journal), ready=frozenset({2})))
    assert answer == Wait("udev is not done with ens4 yet")


def test_a_master_that_cannot_be_made_is_waited_for_unless_something_is_on_its_way_to_it() -> None:
    [create] = DATAPATH.create(MAC, NIC, Config())
    assert join(situation(nic=NIC, blocked=refused(create))) == Wait("no master for ens3: the kernel said no")
    assert isinstance(join(situation(nic=NIC, journal=BEGUN, blocked=refused(create))), GiveUp)


def test_a_master_without_its_mark_is_not_used() -> None:
    """That it is empty is seen to be written before that it is ours: without that it would be taken for joined."""
    bare = replace(PASSING, altnames=frozenset())
    why = f"mark {bare.name} as made by failoverd"
    assert join(situation(nic=NIC, master=bare)) == Do((AddAltname(9, new_mark(MAC)),), why)
    empty = replace(PASSING, altnames=frozenset({new_mark(MAC)}))
    assert join(situation(nic=NIC, master=empty)) == Do((AddAltname(9, mark(MAC)),), why)
    answer = join(situation(nic=NIC, master=bare, blocked=refused(AddAltname(9, new_mark(MAC)))))
    assert isinstance(answer, GiveUp)


def test_a_master_that_has_lost_its_mark_is_not_taken_for_an_empty_one() -> None:
    unmarked = replace(MASTER, altnames=frozenset())
    answer = join(situation(nic=replace(NIC, master=9), master=unmarked))
    assert answer == Do((AddAltname(9, mark(MAC)),), "mark ens3 as made by failoverd")


def test_a_master_without_mark_slaves_and_nic_is_new_by_its_name_alone() -> None:
    """The kernel gives a bond that has lost its slaves a random MAC, which is in nobody's passing name."""
    bare = replace(PASSING, altnames=frozenset())
    assert join(situation(master=bare)) == Do((AddAltname(9, new_mark(MAC)),), f"mark {bare.name} as made by failoverd")
    for used in (replace(bare, name="ens3"), replace(bare, name="fo5254009abcde"), replace(bare, up=True)):
        assert join(situation(master=used)) == Do((AddAltname(9, mark(MAC)),), f"mark {used.name} as made by failoverd")
        assert isinstance(release(situation(master=used)), Wait)


def test_a_name_that_another_has_got_since_the_journal_was_written() -> None:
    """The paravirtual NIC has lost it meanwhile, to a device that is none of the pair's."""
    strangers = Link(12, "ens3", "02:00:00:00:00:01")
    renamed = replace(NIC, name="eth0")
    answer = join(situation(nic=renamed, master=PASSING, journal=BEGUN, others={12: strangers}, inet={2: Inet()}))
    assert answer == GiveUp("ens3 could not be moved to a master: it is a name of ens3 now")


def test_a_name_that_the_nic_has_got_since_the_journal_was_written() -> None:
    """The master is to have it, and the journal is written anew before anything moves."""
    renamed = replace(NIC, name="lan0")
    answer = join(situation(nic=renamed, master=PASSING, journal=BEGUN, inet={2: Inet()}))
    assert isinstance(answer, Write)
    assert answer.journal is not None
    assert answer.journal.name == "lan0"


def test_a_passing_name_that_is_taken() -> None:
    strangers = Link(12, passing_name(MAC), "02:00:00:00:00:01", kind="bond", info=Bond(mode=1))
    answer = join(situation(nic=NIC, others={12: strangers}))
    assert isinstance(answer, GiveUp)
    assert answer.why == (
        "no master for ens3: fo525400fa1101 has the name fo525400fa1101, which the master has while it is made, and "
        "failoverd did not make fo525400fa1101; rename or delete that"
    )


def test_a_master_that_was_renamed_to_its_passing_name_is_not_an_empty_one() -> None:
    """Its addresses are on it: it is neither removed at once nor filled anew."""
    renamed = replace(MASTER, name=passing_name(MAC))
    slave = replace(NIC, name="ens3nsby", master=9)
    assert release(situation(nic=slave, master=renamed)) == Look((9, 2))
    assert join(situation(nic=slave, master=renamed)) == Rest()


def test_a_move_whose_rename_was_refused_is_not_over() -> None:
    """The mark went in the same datagram, and the name did not come."""
    answer = join(situation(nic=NIC, master=replace(PASSING, altnames=MARKED), journal=BEGUN, inet={2: Inet()}))
    assert isinstance(answer, Do)
    assert Rename(9, "ens3") in answer.requests


def test_a_route_by_a_nexthop_object_is_in_the_way() -> None:
    answer = join(situation(nic=NIC, vf=VF, master=PASSING, inet={2: OBJECT, 3: Inet()}))
    assert isinstance(answer, GiveUp)
    assert answer.why.startswith("ens3: a route through it uses a nexthop object")
    vfs = join(situation(nic=NIC, vf=VF, master=PASSING, inet={2: Inet(), 3: OBJECT}))
    assert isinstance(vfs, GiveUp)
    back = release(situation(nic=NIC, master=MASTER, inet={2: Inet(), 9: OBJECT}))
    assert isinstance(back, Wait)


def test_a_vf_that_cannot_be_taken_is_done_without() -> None:
    blocked = refused(SetMaster(3, 9))
    journal = replace(BEGUN, cut=False)
    answer = join(situation(nic=NIC, vf=VF, master=PASSING, journal=journal, inet={2: Inet()}, blocked=blocked))
    assert answer == Write(replace(BEGUN, inet=Inet()))


def test_a_vf_that_comes_after_the_first_look_is_written_down_too() -> None:
    journal = replace(BEGUN, cut=False)
    late = situation(nic=NIC, vf=VF, master=PASSING, journal=journal)
    assert join(late) == Look((3,))
    own = Inet((address("10.9.0.4/24", 3),))
    assert join(replace(late, inet={3: own})) == Write(replace(journal, extra=own))


def test_a_vf_in_use_waits_for_udev_and_for_its_name_before_it_comes_along() -> None:
    own = Inet((address("10.9.0.4/24", 3),))
    vf = replace(VF, up=True, carrier=True)
    journal = replace(BEGUN, extra=own)
    first = situation(nic=NIC, vf=vf, master=PASSING, journal=replace(journal, cut=False), inet={2: Inet(), 3: own})
    assert join(replace(first, ready=frozenset({2}))) == Wait("udev is not done with ens4 yet")
    assert join(first) == Write(journal)
    inet = {2: Inet(), 3: own}
    policy = Config(naming=Naming(primary="{master}vf"))
    named = situation(nic=NIC, vf=vf, master=PASSING, journal=journal, inet=inet, config=policy)
    assert join(named) == Do((AddAltname(3, "failoverd-was-3-ens4"),), "remember what ens4 is called")
    moved = join(situation(nic=NIC, vf=vf, master=PASSING, journal=journal, inet=inet))
    assert isinstance(moved, Do)
    there, here = AddAddress(replace(own.addresses[0], ifindex=9)), DropAddress(own.addresses[0])
    order = [SetMaster(2, 9), SetUp(9, up=True), there, here, SetUp(3, up=False), SetMaster(3, 9)]
    assert [request for request in moved.requests if request in order] == order
    late = Inet((address("10.9.0.5/24", 3),))
    seen = situation(nic=NIC, vf=vf, master=PASSING, journal=journal, inet={2: Inet(), 3: late})
    assert join(seen) == Write(replace(journal, extra=inet_sets.union(own, late)))


def test_a_nic_that_is_up_and_cannot_be_joined_keeps_no_routes_of_the_masters() -> None:
    vf = replace(VF, master=9, up=True, carrier=True)
    nic = replace(NIC, name="ens3nsby")
    inet = {2: Inet(), 3: Inet(), 9: Inet()}
    here = situation(nic=nic, vf=vf, master=MASTER, journal=BEGUN, inet=inet)
    assert join(here) == Do((SetUp(2, up=False), SetMaster(2, 9)), "enslave ens3nsby to ens3 as its standby")


def test_a_journal_that_is_nobodys_is_written_anew() -> None:
    answer = join(situation(nic=NIC, master=PASSING, journal=replace(BACK, cut=False), inet={2: Inet()}))
    assert answer == Write(replace(BEGUN, cut=False))


def test_the_standbys_name_is_left_behind_where_its_master_is_gone() -> None:
    nic = replace(NIC, name="ens3nsby")
    answer = join(situation(nic=nic, master=PASSING, inet={2: Inet()}))
    assert isinstance(answer, Write)
    assert answer.journal.name == "ens3"
    taken = join(situation(nic=nic, master=PASSING, inet={2: Inet()}, others={5: Link(5, "ens3")}))
    assert isinstance(taken, Write)
    assert taken.journal.name == "ens3nsby"
    plain = Config(naming=Naming(standby_suffix=""))
    without = join(situation(nic=nic, master=PASSING, inet={2: Inet()}, config=plain))
    assert isinstance(without, Write)
    assert without.journal.name == "ens3nsby"


def test_the_standby_gets_another_name_where_its_own_is_taken() -> None:
    here = situation(nic=NIC, master=PASSING, journal=BEGUN, inet={2: Inet()}, others={5: Link(5, "ens3nsby")})
    answer = join(here)
    assert isinstance(answer, Do)
    assert Rename(2, "fs525400fa1101") in answer.requests


def test_the_nic_is_gone_before_and_after_the_move_began() -> None:
    assert isinstance(join(situation(master=PASSING)), GiveUp)
    answer = join(situation(master=PASSING, journal=BEGUN, inet={}))
    assert isinstance(answer, Do)
    assert Rename(9, "ens3") in answer.requests
    altnames = join(situation(master=MASTER, journal=replace(BEGUN, altnames=("enp1s0",)), inet={9: Inet()}))
    assert altnames == Do((AddAltname(9, "enp1s0"),), "put the rest on ens3")


def test_a_master_that_is_up_under_its_passing_name() -> None:
    """Somebody brought it up. It has to be down for its name, and up again after it."""
    answer = join(situation(nic=NIC, master=replace(PASSING, up=True), journal=BEGUN, inet={2: Inet(), 9: Inet()}))
    assert isinstance(answer, Do)
    assert answer.requests.index(SetUp(9, up=False)) < answer.requests.index(Rename(9, "ens3"))
    assert answer.requests.index(Rename(9, "ens3")) < answer.requests.index(SetUp(9, up=True))


def test_a_standby_that_is_refused_is_a_reason_to_give_everything_back() -> None:
    vf = replace(VF, master=9, up=True, carrier=True)
    blocked = refused(SetMaster(2, 9))
    nic = replace(NIC, name="ens3nsby", up=False)
    inet = {2: Inet(), 3: Inet(), 9: Inet()}
    assert join(situation(nic=nic, vf=vf, master=MASTER, journal=BEGUN, inet=inet, blocked=blocked)) == REFUSED
    assert join(situation(nic=nic, vf=vf, master=MASTER, blocked=blocked)) == Rest()
    late = situation(nic=nic, vf=vf, master=MASTER, blocked=blocked, held_on={2: 0.0})
    assert join(late) == REFUSED
    assert join(situation(nic=replace(nic, master=9), vf=vf, master=MASTER, held_on={2: 0.0})) == Rest()


def test_what_came_to_the_nic_between_the_last_look_and_the_move_is_written_down() -> None:
    late = Inet((address("10.0.0.9/24", 2),))
    nic = replace(NIC, name="ens3nsby", master=9)
    here = situation(nic=nic, master=MASTER, journal=BEGUN, inet={2: late, 9: Inet()})
    assert join(here) == Write(replace(BEGUN, inet=late))


def test_an_alternative_name_that_stayed_on_the_standby() -> None:
    nic = replace(NIC, name="ens3nsby", master=9, altnames=frozenset({"enp1s0"}))
    inet = {2: Inet(), 9: Inet()}
    here = situation(nic=nic, master=MASTER, journal=replace(BEGUN, altnames=("enp1s0",)), inet=inet)
    both = (DropAltname(2, "enp1s0"), AddAltname(9, "enp1s0"))
    ours = "failoverd-passing-2"
    last = (AddAltname(2, ours), both[0], DropAltname(2, ours), both[1])
    assert join(here) == Do(last, "put the rest on ens3")
    kept = replace(nic, altnames=nic.altnames | {"ens3-standby"})
    assert join(replace(here, nic=kept)) == Do(both, "put the rest on ens3")
    assert join(replace(here, blocked=refused(*both))) == Wait("the kernel said no")
    assert join(replace(here, blocked=refused(*both), hopeless=refused(*both))) == Finish()


def test_a_master_that_is_kept() -> None:
    [remove] = DATAPATH.remove(PASSING)
    assert release(situation(nic=NIC, master=PASSING, blocked=refused(remove))) == Wait("the kernel keeps it")
    here = situation(nic=NIC, master=MASTER, journal=BACK, inet={2: Inet(), 9: Inet()}, blocked=refused(remove))
    assert release(here) == Wait("the kernel keeps ens3")


def test_what_another_program_has_given_a_master_that_was_never_used_is_not_removed_with_it() -> None:
    own = Inet((address("10.9.0.4/24", 9), address("fe80::9/64", 9)), (route("10.9.0.0/24", 9, protocol=2),))
    here = situation(nic=NIC, master=PASSING)
    assert release(here) == Look((9,))
    given = Inet(own.addresses[:1])
    journal = Journal(MAC, Goal.JOINED, "ens3", True, 1500, extra=given)
    assert release(replace(here, inet={9: own})) == Write(journal)
    removed = Do(tuple(DATAPATH.remove(PASSING)), f"remove {PASSING.name}, which was never used")
    assert release(replace(here, inet={9: own}, journal=journal)) == removed
    called = replace(PASSING, altnames=PASSING.altnames | {"lan0"})
    moved = (DropAltname(9, "lan0"), AddAltname(2, "lan0"), AddAltname(9, "lan0"))
    told = f"call ens3 what another program has called {PASSING.name}"
    assert release(situation(nic=NIC, master=called, inet={9: Inet()})) == Do(moved, told)
    kept = "was never used and has 10.9.0.4/24, lan0 of another program; its NIC is not there to take that"
    assert release(situation(master=called, inet={9: own})) == Wait(f"{PASSING.name} {kept}")
    assert release(situation(master=PASSING, inet={9: Inet()})) == removed


def test_what_another_program_has_given_a_master_that_is_not_in_use_yet_moves_with_the_rest() -> None:
    """The master goes down for its name, where it is up."""
    own = Inet((address("2001:db8:7::7/64", 9),))
    here = situation(nic=NIC, master=replace(PASSING, up=True), journal=BEGUN, inet={2: Inet(), 9: own})
    assert join(here) == Write(replace(BEGUN, inet=own))
    written = join(replace(here, journal=replace(BEGUN, inet=own)))
    assert isinstance(written, Do)
    assert SetUp(9, up=False) in written.requests


def test_without_a_nic_nothing_is_given_back() -> None:
    assert isinstance(release(situation(master=MASTER)), Wait)
    assert isinstance(release(situation(journal=BACK)), Wait)
    assert release(situation(journal=replace(BEGUN, cut=False))) == Finish()


def test_a_slave_that_is_not_let_go_is_taken_out_with_the_master() -> None:
    vf = replace(VF, master=9, up=True, carrier=True)
    nic = replace(NIC, name="ens3nsby", master=9)
    inet = {2: Inet(), 9: Inet()}
    answer = release(situation(nic=nic, vf=vf, master=MASTER, inet=inet, blocked=refused(SetMaster(2, 0))))
    assert isinstance(answer, Write)
    assert answer.journal == replace(BACK, name="ens3")


def test_a_nic_that_somebody_brought_up_is_taken_down_for_its_name() -> None:
    nic = replace(NIC, name="ens3nsby")
    give = release(situation(nic=nic, master=MASTER, journal=BACK, inet={2: Inet(), 9: Inet()}))
    assert isinstance(give, Do)
    assert give.requests.index(SetUp(2, up=False)) < give.requests.index(Rename(2, "ens3"))
    after = situation(nic=nic, journal=BACK)
    assert release(after) == Look((2,))
    down = Do((SetUp(2, up=False), Rename(2, "ens3")), "give ens3nsby its name back")
    assert release(replace(after, inet={2: Inet()})) == down


def test_what_a_nic_has_got_by_then_is_written_down_before_it_goes_down_for_its_name() -> None:
    """The kernel takes the IPv6 addresses of a device that is set down (net/ipv6/addrconf.c, addrconf_ifdown)."""
    late = Inet((address("2001:db8:7::7/64", 2),))
    nic = replace(NIC, name="ens3nsby")
    with_it = Write(replace(BACK, inet=late))
    assert release(situation(nic=nic, journal=BACK, inet={2: late})) == with_it
    assert release(situation(nic=nic, master=MASTER, journal=BACK, inet={2: late, 9: Inet()})) == with_it
    slave = replace(nic, master=9)
    assert isinstance(release(situation(nic=slave, master=MASTER, journal=BACK, inet={2: late, 9: Inet()})), Do)


def test_a_name_that_cannot_be_had_back_is_waited_for_and_then_given_up() -> None:
    nic = replace(NIC, name="ens3nsby")
    rename = Rename(2, "ens3")
    here = situation(nic=nic, journal=BACK, inet={2: Inet()}, blocked=refused(rename))
    assert release(here) == Wait("the kernel said no")
    assert release(replace(here, hopeless=refused(rename))) == Finish()
    down = release(situation(nic=replace(nic, up=False), journal=BACK))
    assert down == Do((rename,), "give ens3nsby its name back")


def test_what_was_only_the_vfs_is_not_lost_with_the_master_that_was_never_used() -> None:
    own = Inet((address("10.9.0.4/24", 3),))
    here = situation(nic=NIC, journal=replace(BEGUN, cut=False, extra=own, altnames=("enp1s0",)), inet={2: Inet()})
    answer = release(here)
    assert isinstance(answer, Do)
    assert [type(request).__name__ for request in answer.requests] == ["AddAddress"]


def test_in_place_there_is_nothing_to_do_while_nobody_is_the_master() -> None:
    alone = replace(situation(nic=NIC), datapath=tc.DATAPATH)
    assert join(alone) == Rest()
    assert release(alone) == Rest()


def test_a_route_of_a_vf_without_addresses_leaves_the_vf_when_the_master_has_it() -> None:
    """The kernel removes IPv4 routes with the last address of their device, and here there was none."""
    vf = replace(VF, up=True, carrier=True, altnames=frozenset({nic_mark(VF, "vf")}))
    own, there = (Inet((), (route("10.51.0.0/24", ifindex),)) for ifindex in (3, 2))
    given = situation(nic=NIC, vf=vf, inet={2: Inet(), 3: own})
    given = replace(given, master=NIC, datapath=tc.DATAPATH)
    assert join(given) == Do((AddRoute(there.routes[0]),), "give ens3 what ens4 has of its own")
    both = replace(given, inet={2: there, 3: own})
    assert join(both) == Do((DropRoute(own.routes[0]),), "take the addresses off ens4")
    down = replace(NIC, up=False)
    kept = join(replace(given, nic=down, master=down))
    assert isinstance(kept, Do)
    assert kept.why == "join ens4 to ens3"
