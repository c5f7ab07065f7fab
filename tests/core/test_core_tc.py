"""Single steps of a pair that traffic control joins: who carries, who is looked at, and what is said of it."""

from __future__ import annotations

import errno
import json
from dataclasses import replace

import pytest
from pairdriver import TICKET, Driver
from test_core_histories import Shape, machine
from test_core_histories_tc import SHAPES, drive, ours
from toykernel import MAC, ToyKernel, address, address_words, route

from failoverd.config.spec import Announce as AnnounceSpec
from failoverd.config.spec import Config, Failback, Master, Tc
from failoverd.core.bonding import Bonding
from failoverd.core.configurers import READING, forget_all
from failoverd.core.crowding import Obstacles
from failoverd.core.inputs import Configured
from failoverd.core.matching import rejudge
from failoverd.core.state import PairState, State
from failoverd.core.status import nics, status
from failoverd.core.step import step
from failoverd.model.actions import Announce, Emit, Peek, Send, WakeAt
from failoverd.model.events import (
    AdoptAsked,
    Answered,
    ConfigurerSeen,
    Ending,
    LinkGone,
    LinkSeen,
    ReleaseAsked,
    Synced,
    TimePassed,
    UdevDone,
)
from failoverd.model.inet import Address
from failoverd.model.links import Link
from failoverd.model.linktable import LinkTable
from failoverd.model.requests import AddAddress, AddRedirect, CreateLink, DropRedirect, SetMtu, SetPromiscuous, SetUp
from failoverd.model.signals import FailedOver, Joined, Released
from failoverd.plan.transfer import IFA_F_DADFAILED, IFA_F_NODAD
from failoverd.policy.election import MTU_GRACE

NIC, VF = 2, 3
CONFIG = Config(master=Master(create="always", datapath="tc"), tc=Tc(carrier_poll=0.05))


def joined(name: str = "vf", config: Config | None = None) -> Driver:
    driver = drive(SHAPES[name])
    driver.settle()
    driver.config = config or driver.config
    pair(driver).carry.peek_at = driver.now
    driver.tell(Configured(driver.config))
    for log in (driver.signals, driver.sent, driver.announced, driver.peeks, driver.said):
        log.clear()
    return driver


def pair(driver: Driver) -> PairState:
    return driver.state.pairs[MAC]


def failovers(driver: Driver) -> list[tuple[str, str, str]]:
    return [(s.old, s.new, s.reason) for s in driver.signals if isinstance(s, FailedOver)]


# Who carries


def test_joining_ends_with_the_vf_carrying() -> None:
    driver = drive(SHAPES["vf"])
    driver.settle()
    assert [type(signal) for signal in driver.signals] == [Joined, FailedOver]
    assert failovers(driver) == [("ens3", "ens4", "the VF has been steady")]
    assert driver.now == pytest.approx(1.0)
    assert (pair(driver).state, pair(driver).reason) == ("accelerated", "")


def test_a_vf_is_not_brought_up_before_all_that_it_hears_is_led_to_its_master() -> None:
    """A router's word would give it an address of its own."""
    driver = drive(SHAPES["vf"])
    seen: set[tuple[bool, bool]] = set()

    def look(_number: int) -> None:
        vf = driver.kernel.links[VF]
        seen.add((vf.up, bool(vf.tc.filters)))

    driver.on_action = look
    driver.settle()
    assert seen == {(False, False), (True, True)}


def test_one_that_the_kernel_did_not_bring_up_is_brought_up_later() -> None:
    driver = drive(SHAPES["vf"])
    driver.kernel.refuse = lambda request: errno.EBUSY if request == SetUp(VF, up=True) and driver.now < 1 else 0
    driver.tell()
    assert not driver.kernel.links[VF].up
    assert pair(driver).state == "on-standby"
    driver.settle()
    assert pair(driver).state == "accelerated"


def test_what_a_router_gives_a_vf_on_its_way_in_is_taken_off_and_nothing_is_brought_up_for_it() -> None:
    driver = drive(replace(SHAPES["nic-down"], vf_up=True))
    given: list[Address] = []

    def advertise(_number: int) -> None:
        vf = driver.kernel.links[VF]
        if not given and vf.up and not vf.link_local and not vf.tc.filters:
            six = address("2001:db8:9::4/64", VF, flags=0x100)
            given.append(six)
            driver.kernel.do_all(six, route("2001:db8:77::/64", VF, protocol=9, metric=1024))

    driver.on_action = advertise
    driver.settle()
    assert given
    assert driver.state.pairs[MAC].joined
    assert not driver.kernel.links[NIC].up
    assert driver.on("ens4") == driver.on("ens3") - driver.precious == frozenset()


@pytest.mark.parametrize("failed_on_both", [False, True])
def test_an_address_that_each_nic_keeps_off_the_other_is_the_masters_in_the_end(failed_on_both: bool) -> None:
    """At a slow boot both were configured before failoverd was ready, and the VF has answered for the NIC's addresses,
    its link-local one too."""
    driver = drive(replace(SHAPES["vf"], vf_up=True))
    kernel, six = driver.kernel, "2001:db8::2/64"
    on_nic = kernel.inet[NIC].addresses
    failed = tuple(replace(a, flags=IFA_F_DADFAILED) if a.family == 10 else a for a in on_nic)
    kernel.inet[NIC] = replace(kernel.inet[NIC], addresses=failed)
    kernel.do_all(address(six, VF, flags=IFA_F_DADFAILED if failed_on_both else 0))
    assert six in driver.on("ens3") & driver.on("ens4")
    driver.settle()
    (found,) = [a for a in kernel.inet[NIC].addresses if address_words(a) == six]
    assert bool(found.flags & IFA_F_NODAD) is not failed_on_both, "it is checked once more where nobody vouches for it"
    assert [type(request) for batch in driver.sent for request in batch].count(AddAddress) == 2
    assert driver.on("ens4") == frozenset()
    assert pair(driver).state == "accelerated"


def test_a_lost_carrier_is_one_request_and_the_way_back_is_held_down() -> None:
    driver = joined()
    driver.kernel.wire(VF, False)
    driver.tell()
    assert driver.sent == [(DropRedirect(NIC, "egress"),)]
    assert (pair(driver).state, pair(driver).reason) == ("on-standby", "the VF cannot carry: it has no carrier")
    before = driver.now
    driver.kernel.wire(VF, True)
    driver.settle(driver.now + 10)
    assert driver.now == pytest.approx(before + 1.0)
    assert driver.sent[1:] == [(AddRedirect(NIC, "egress", VF),)]
    assert failovers(driver) == [
        ("ens4", "ens3", "the VF cannot carry: it has no carrier"),
        ("ens3", "ens4", "the VF has been steady"),
    ]


def test_an_unplugged_vf_gives_its_name_and_its_reason() -> None:
    driver = joined()
    driver.kernel.unplug(VF)
    driver.tell()
    assert set(driver.sent) == {(DropRedirect(NIC, "egress"),)}
    assert failovers(driver) == [("ens4", "ens3", "it was unplugged")]
    assert (pair(driver).state, pair(driver).reason) == ("on-standby", "the VF cannot carry: it is unplugged")


def test_a_vf_that_is_gone_before_anything_else_is_told_keeps_its_name() -> None:
    driver = joined()
    driver.kernel.forget(VF)
    driver.kernel.news.clear()
    driver.tell(LinkGone(VF))
    assert failovers(driver) == [("ens4", "ens3", "it was unplugged")]
    assert pair(driver).failovers.last_vf is not None
    assert not ours(driver.kernel.links[NIC])


def test_a_vf_that_goes_and_comes_and_fails_at_once_is_left_at_once() -> None:
    """Its going is told in two events with two reasons; what is asked for twice is refused the second time (ENOENT).
    That is no reason to wait with the next one."""
    driver = joined(config=Config(master=CONFIG.master, tc=Tc(carrier_poll=1e6), failback=Failback(hold_down=0)))
    driver.kernel.unplug(VF)
    driver.tell()
    again = driver.kernel.plug("ens4", "pci")
    driver.tell()
    assert pair(driver).state == "accelerated"
    driver.kernel.wire(again, False)
    driver.tell()
    assert not ours(driver.kernel.links[NIC]), "the traffic goes to a VF without carrier"
    assert pair(driver).state == "on-standby"


def test_a_filter_that_leads_nowhere_is_taken_away_first_of_all() -> None:
    """What a new daemon finds after the VF went while nobody was there."""
    driver = joined()
    driver.kernel.unplug(VF)
    driver.start()
    actions = step(driver.state, Synced(tuple(driver.kernel.links.values())), driver.now)
    [send] = [action for action in actions if isinstance(action, Send)]
    assert send.requests == (DropRedirect(NIC, "egress"),)
    assert "ens3 carries: the VF cannot carry: it is unplugged" in send.why


@pytest.mark.parametrize("ifindex", [NIC, VF])
def test_a_nic_that_comes_back_with_its_ifindex_is_joined_anew(ifindex: int) -> None:
    """A container had it. What led to it leads nowhere since, although a device with its ifindex is there."""
    driver = joined()
    driver.precious = frozenset()
    driver.kernel.lend(ifindex)
    driver.kernel.set_up(NIC, True)
    driver.settle(driver.now + 10)
    assert pair(driver).state == "accelerated"
    assert driver.carries(driver.kernel.links[NIC])


def test_a_vf_that_is_gone_at_once_is_one_failover() -> None:
    """Its filter is known to lead nowhere before it is known to be away."""
    driver = joined()
    driver.kernel.forget(VF)
    driver.kernel.news.clear()
    nic = driver.kernel.links[NIC]
    nowhere = replace(nic.tc, filters=frozenset(replace(found, redirect=0) for found in nic.tc.filters))
    driver.kernel.links[NIC] = replace(nic, tc=nowhere)
    driver.tell(LinkGone(VF), LinkSeen(driver.kernel.links[NIC]))
    assert failovers(driver) == [("ens4", "ens3", "it was unplugged")]
    assert not ours(driver.kernel.links[NIC])


def test_an_mtu_of_the_master_that_grows_is_followed_within_the_grace() -> None:
    driver = joined()
    driver.kernel.by_others(SetMtu(NIC, 4000))
    driver.settle(driver.now + 10)
    assert driver.sent == [(SetMtu(VF, 4000),)]
    assert failovers(driver) == []


def test_a_vf_that_does_not_follow_the_mtu_is_left_after_the_grace() -> None:
    driver = joined()
    driver.kernel.refuse = lambda request: errno.EINVAL if isinstance(request, SetMtu) else 0
    driver.kernel.by_others(SetMtu(NIC, 4000))
    driver.tell()
    assert pair(driver).carry.election == "the MTU is being changed"
    before = driver.now
    driver.settle(driver.now + MTU_GRACE + 0.01)
    assert driver.now == pytest.approx(before + MTU_GRACE)
    assert failovers(driver) == [("ens4", "ens3", "the VF cannot carry: its MTU is 1500 and the master's 4000")]


def test_a_conflict_leads_the_traffic_back_before_the_vf_is_let_go() -> None:
    driver = joined()
    driver.kernel.filter_by_others(NIC, "egress")
    driver.settle(driver.now + 100)
    first, second, *_ = driver.sent
    assert first == (DropRedirect(NIC, "egress"),)
    assert DropRedirect(VF, "ingress") in second
    assert "filter on its egress that traffic would pass by" in failovers(driver)[0][2]


def test_a_conflict_without_a_standby_changes_nothing() -> None:
    """To let go of the only one that carries would help nobody."""
    driver = joined()
    driver.kernel.wire(NIC, False)
    driver.kernel.filter_by_others(NIC, "egress")
    driver.settle(driver.now + 100)
    assert driver.sent == []
    assert ours(driver.kernel.links[NIC]) == {("egress", VF)}
    assert driver.state.link(VF) is not None


def test_without_a_standby_there_is_no_hold_down_and_no_way_in() -> None:
    """The kernel redirects nothing to a device without carrier; that is said."""
    driver = joined()
    driver.kernel.wire(VF, False)
    driver.tell()
    driver.kernel.wire(NIC, False)
    driver.tell()
    assert (pair(driver).state, pair(driver).reason) == ("degraded", "no slave can carry")
    before = driver.now
    driver.kernel.wire(VF, True)
    driver.tell()
    assert (ours(driver.kernel.links[NIC]), driver.now) == ({("egress", VF)}, before)
    words = "ens3 has no carrier, and then the kernel drops all that ens4 receives for it; have the host set the"
    assert (pair(driver).state, pair(driver).reason[: len(words)]) == ("degraded", words)
    assert pair(driver).reason in next(row["reason"] for row in nics(driver.state) if row["name"] == "ens3")
    driver.kernel.wire(NIC, True)
    driver.tell()
    assert pair(driver).state == "accelerated"


def test_a_switch_that_is_refused_is_tried_again() -> None:
    driver = joined()
    driver.kernel.wire(VF, False)
    driver.tell()
    driver.kernel.refuse = lambda request: errno.EINVAL if isinstance(request, AddRedirect) else 0
    driver.kernel.wire(VF, True)
    driver.settle(driver.now + 60)
    assert pair(driver).state == "on-standby"
    assert "redirect the egress of ens3 to that of ens4 failed: EINVAL" in pair(driver).reason
    driver.kernel.refuse = lambda _request: 0
    driver.settle(driver.now + 20)
    assert pair(driver).state == "accelerated"


def test_a_way_back_that_is_refused_is_tried_again() -> None:
    driver = joined()
    refusals = iter([errno.EBUSY, errno.EBUSY])
    driver.kernel.refuse = lambda request: next(refusals, 0) if isinstance(request, DropRedirect) else 0
    driver.kernel.wire(VF, False)
    driver.settle(driver.now + 10)
    assert pair(driver).state == "on-standby"
    assert driver.sent.count((DropRedirect(NIC, "egress"),)) == 3


def test_a_redirection_that_is_gone_already_is_worth_no_word() -> None:
    driver = joined()
    driver.tell(Answered(TICKET, (DropRedirect(NIC, "egress"),), ((errno.ENOENT, ""),)))
    assert driver.said == []
    driver.tell(Answered(TICKET, (DropRedirect(NIC, "egress"),), ((errno.EINVAL, "Parent Qdisc doesn't exists"),)))
    assert driver.said == [], "the same, where the whole qdisc is gone"


def test_a_master_that_is_down_is_degraded_and_left_as_it_is() -> None:
    driver = joined()
    driver.kernel.set_up(NIC, False)
    driver.kernel.wire(VF, False)
    driver.precious = frozenset()
    driver.settle(driver.now + 10)
    assert (pair(driver).state, pair(driver).reason) == ("degraded", "ens3 is down")
    driver.kernel.set_up(NIC, True)
    driver.settle(driver.now + 10)
    assert pair(driver).state == "on-standby"
    assert not ours(driver.kernel.links[NIC])


def test_a_flap_that_was_too_fast_to_be_seen_begins_the_hold_down_anew() -> None:
    """The kernel counts it (IFLA_CARRIER_DOWN_COUNT)."""
    driver = joined()
    driver.kernel.wire(VF, False)
    driver.tell()
    driver.kernel.wire(VF, True)
    driver.settle(driver.now + 0.5)
    begin = driver.now = driver.now + 0.5
    driver.kernel.put(replace(driver.kernel.links[VF], carrier_losses=1))
    driver.settle(driver.now + 10)
    assert driver.now == pytest.approx(begin + 1.0)
    assert pair(driver).state == "accelerated"
    driver.kernel.put(replace(driver.kernel.links[VF], carrier_losses=2))
    driver.tell()
    assert pair(driver).state == "accelerated", "who carries needs no hold-down"


def test_going_back_is_left_to_the_administrator() -> None:
    driver = joined(config=Config(master=CONFIG.master, tc=Tc(carrier_poll=1e6), failback=Failback(automatic=False)))
    driver.kernel.wire(VF, False)
    driver.tell()
    driver.kernel.wire(VF, True)
    driver.settle(driver.now + 100)
    assert pair(driver).state == "on-standby"


# Ending


def test_an_end_is_a_switch_to_the_master_and_no_way_back() -> None:
    driver = joined()
    assert driver.state.at_risk()
    driver.tell(Ending())
    assert driver.sent == [(DropRedirect(NIC, "egress"),)]
    assert not driver.state.at_risk()
    assert failovers(driver)[0][2].startswith("the VF cannot carry: failoverd ends")
    driver.settle(driver.now + 100)
    assert len(driver.sent) == 1
    driver.start()
    driver.settle(driver.now + 100)
    assert pair(driver).state == "accelerated"


def test_an_end_leaves_the_vf_where_nobody_else_can_carry() -> None:
    driver = joined()
    driver.kernel.wire(NIC, False)
    driver.tell()
    driver.tell(Ending())
    assert driver.sent == []
    assert driver.state.at_risk()


def test_a_pair_that_is_not_accelerated_is_not_at_risk() -> None:
    assert not joined("no-carrier").state.at_risk()
    assert not joined("no-vf").state.at_risk()


# Looking


def peeks(driver: Driver, until: float) -> list[float]:
    """When the VF is looked at."""
    driver.peeks.clear()
    driver.settle(until)
    assert {ifindex for _, ifindex in driver.peeks} <= {VF}
    return [at for at, _ in driver.peeks]


def test_the_vf_is_looked_at_as_often_as_configured() -> None:
    driver = joined(config=CONFIG)
    begin = driver.now
    times = peeks(driver, driver.now + 1.01)
    assert times == pytest.approx([begin + 0.05 * n for n in range(1, 21)])


def test_it_is_looked_at_only_while_it_carries_or_is_about_to() -> None:
    driver = joined(config=CONFIG)
    driver.kernel.wire(VF, False)
    driver.tell()
    assert peeks(driver, driver.now + 1) == []
    driver.kernel.wire(VF, True)
    driver.tell()
    assert pair(driver).state == "on-standby"
    assert peeks(driver, driver.now + 0.9), "a hold-down that does not see a flap holds nothing down"
    assert pair(driver).state == "on-standby"
    assert peeks(driver, driver.now + 1)
    assert pair(driver).state == "accelerated"
    driver.tell(ReleaseAsked(MAC))
    assert peeks(driver, driver.now + 1) == []


def test_it_is_not_looked_at_where_the_way_back_is_the_administrators_and_the_hold_down_is_over() -> None:
    config = replace(CONFIG, failback=Failback(automatic=False))
    driver = joined(config=config)
    driver.kernel.wire(VF, False)
    driver.tell()
    driver.kernel.wire(VF, True)
    driver.settle(driver.now + 1.5)
    assert peeks(driver, driver.now + 10) == []


def test_many_events_are_no_reason_to_look_more_often() -> None:
    driver = joined(config=CONFIG)
    actions = [action for _ in range(10) for action in step(driver.state, TimePassed(), 50.0)]
    assert [action for action in actions if isinstance(action, Peek)] == [Peek(VF)]
    assert {action.at for action in actions if isinstance(action, WakeAt)} == {50.05}


def test_a_bond_is_not_looked_at() -> None:
    driver = Driver(ToyKernel(), Config())
    driver.kernel.plug("ens3", "virtio", up=True)
    driver.kernel.plug("ens4", "pci")
    driver.settle()
    assert driver.state.pairs[MAC].state == "accelerated"
    assert driver.peeks == []
    assert driver.announced == []


def test_what_looking_finds_is_acted_on() -> None:
    driver = joined(config=CONFIG)
    driver.kernel.wires[VF] = False
    driver.kernel.links[VF] = replace(driver.kernel.links[VF], carrier=False)
    driver.settle(driver.now + 1)
    assert driver.sent == [(DropRedirect(NIC, "egress"),)]


# Announcing


def test_every_switch_is_announced_on_the_master_and_on_what_stands_on_it() -> None:
    driver = joined()
    others = (
        Link(20, "ens3.7", MAC, kind="vlan", link=NIC),
        Link(21, "mv0", "02:00:00:00:00:21", kind="macvlan", link=20),
        Link(22, "br1", MAC, kind="bridge"),
        Link(23, "ens9.7", MAC, kind="vlan", link=99),
    )
    driver.tell(*map(LinkSeen, others))
    driver.kernel.wire(VF, False)
    driver.tell()
    above = ((NIC, MAC), (20, MAC), (21, "02:00:00:00:00:21"))
    assert driver.announced == [Announce(MAC, above, 1)]
    driver.kernel.wire(VF, True)
    driver.settle(driver.now + 10)
    assert driver.announced == [Announce(MAC, above, 1)] * 2


def test_a_bridge_above_is_announced_with_its_port() -> None:
    driver = joined()
    vlan = Link(20, "ens3.7", MAC, kind="vlan", link=NIC, master=22)
    driver.tell(*map(LinkSeen, (vlan, Link(22, "br0", kind="bridge"))))
    driver.kernel.wire(VF, False)
    driver.tell()
    assert driver.announced == [Announce(MAC, ((NIC, MAC), (20, MAC), (22, "")), 1, ((20, 22),))]


@pytest.mark.parametrize(("kind", "is_announced"), [("bridge", True), ("macvtap", True), ("vlan", False)])
def test_a_bond_announces_itself_and_its_vlans_and_failoverd_the_rest(kind: str, is_announced: bool) -> None:
    driver = Driver(ToyKernel(), Config())
    driver.kernel.plug("ens3", "virtio", up=True)
    driver.kernel.plug("ens4", "pci")
    driver.settle()
    bond = driver.state.links[driver.state.judgements.pairs[MAC].master]
    upper = Link(40, "upper", "02:00:00:00:00:40", kind=kind, link=0 if kind == "bridge" else bond.ifindex)
    driver.kernel.links[bond.ifindex] = replace(bond, master=40 if kind == "bridge" else 0)
    driver.tell(LinkSeen(upper), LinkSeen(driver.kernel.links[bond.ifindex]))
    driver.kernel.wire(VF, False)
    driver.tell()
    ports = ((bond.ifindex, 40),) if kind == "bridge" else ()
    both = ((bond.ifindex, MAC), (40, "02:00:00:00:00:40"))
    assert driver.announced == ([Announce(MAC, both, 1, ports)] if is_announced else [])


@pytest.mark.parametrize("upper", [Link(20, "v7", MAC, kind="vlan", link=NIC), None])
def test_the_vf_takes_in_everything_as_long_as_somebody_on_the_master_needs_it(upper: Link | None) -> None:
    """A VLAN, or a capture."""
    driver = joined()
    nic = driver.kernel.links[NIC]
    driver.tell(LinkSeen(upper or replace(nic, promiscuity=1)))
    assert driver.sent[-1] == (SetPromiscuous(VF, on=True),)
    assert driver.kernel.links[VF].promiscuous
    driver.tell(LinkGone(20) if upper else LinkSeen(nic))
    assert not driver.kernel.links[VF].promiscuous


def test_a_vf_that_was_opened_is_given_back_closed() -> None:
    driver = joined()
    driver.tell(LinkSeen(Link(20, "v7", MAC, kind="vlan", link=NIC)))
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 10)
    assert pair(driver).state == "released"
    assert not driver.kernel.links[VF].promiscuous


def test_a_master_that_is_put_into_a_bridge_carries_alone_and_says_why() -> None:
    driver = joined()
    driver.kernel.links[NIC] = replace(driver.kernel.links[NIC], master=22, slave_kind="bridge")
    driver.tell(LinkSeen(Link(22, "br0", MAC, kind="bridge")), LinkSeen(driver.kernel.links[NIC]))
    driver.settle(driver.now + 100)
    pair = driver.state.pairs[MAC]
    assert (pair.state, driver.kernel.links[VF].tc.filters, driver.kernel.links[NIC].tc.filters) == (
        "on-standby",
        frozenset(),
        frozenset(),
    )
    assert "ens3 is in a bridge" in pair.reason
    driver.kernel.links[NIC] = replace(driver.kernel.links[NIC], master=0, slave_kind="")
    driver.tell(LinkSeen(driver.kernel.links[NIC]))
    driver.settle(driver.now + 100)
    assert pair.state == "accelerated"


def test_a_start_that_finds_the_traffic_led_nowhere_announces_the_way() -> None:
    driver = joined()
    driver.kernel.unplug(VF)
    driver.start()
    driver.settle(driver.now + 10)
    assert driver.announced == [Announce(MAC, ((NIC, MAC),), 1)]


def test_a_way_that_changes_before_the_pair_is_seen_to_be_joined_is_announced_and_is_nobodys_failover() -> None:
    """The kernel tells of the filter before it acknowledges the request, and with that the plan goes on."""
    driver = joined()
    pair(driver).joined = False
    nic = driver.kernel.links[NIC]
    without = replace(nic, tc=replace(nic.tc, filters=frozenset()))
    actions = step(driver.state, LinkSeen(without), driver.now)
    assert [action for action in actions if isinstance(action, Announce)] == [Announce(MAC, ((NIC, MAC),), 1)]
    assert not [action for action in actions if isinstance(action, Emit) and isinstance(action.signal, FailedOver)]


def test_announcements_are_as_many_as_configured_or_none() -> None:
    for times in (0, 3):
        driver = joined(config=Config(master=CONFIG.master, announce=AnnounceSpec(times=times)))
        driver.kernel.wire(VF, False)
        driver.tell()
        assert driver.announced == ([Announce(MAC, ((NIC, MAC),), 3)] if times else [])


# Which datapath


def auto(kernel: ToyKernel) -> Driver:
    return Driver(kernel, Config(tc=Tc(carrier_poll=1e6)))


def without_bonding(*macs: str) -> ToyKernel:
    kernel = ToyKernel(bonding=False)
    for number, mac in enumerate(macs):
        kernel.plug(f"ens{3 + number}", "virtio", up=True, mac=mac)
        kernel.plug(f"ens{13 + number}", "pci", mac=mac)
    return kernel


def test_without_bonding_it_is_tc_and_no_warning() -> None:
    driver = auto(without_bonding(MAC))
    driver.settle()
    assert pair(driver).datapath.name == "tc"
    assert pair(driver).state == "accelerated"
    assert driver.said == [f"{MAC}: this kernel has no bonding; joining by tc"]
    assert not pair(driver).work.refusals
    assert [batch for batch in driver.sent if isinstance(batch[0], CreateLink)] == driver.sent[:1]


OTHERS = "NetworkManager runs"


def test_where_a_bond_would_do_harm_it_is_tc_and_explained_once() -> None:
    driver = auto(machine(SHAPES["vf"]))
    driver.no_bond = OTHERS
    driver.settle()
    assert (pair(driver).datapath.name, pair(driver).state) == ("tc", "accelerated")
    assert not any(isinstance(batch[0], CreateLink) for batch in driver.sent)
    reasons = {row["name"]: row["reason"] for row in nics(driver.state)}
    assert f"joined by tc and not by a bond: {OTHERS}" in reasons["ens3"]
    assert OTHERS not in reasons["ens4"]


XDP = "ens3 has an XDP program that traffic over the VF would pass by"


def test_an_xdp_program_on_the_nic_has_no_bond_put_over_it() -> None:
    """Traffic stays where the program sees it, and it is told why."""
    kernel = machine(SHAPES["vf"])
    kernel.put(replace(kernel.links[NIC], xdp=True))
    driver = auto(kernel)
    driver.settle()
    assert (pair(driver).datapath.name, pair(driver).state) == ("tc", "on-standby")
    assert not any(isinstance(batch[0], CreateLink) for batch in driver.sent)
    reasons = {row["name"]: row["reason"] for row in nics(driver.state)}
    assert f"joined by tc and not by a bond: {XDP}" in reasons["ens3"]


def test_a_bond_that_is_wanted_is_made_beside_an_xdp_program_and_that_is_said() -> None:
    kernel = machine(SHAPES["vf"])
    kernel.put(replace(kernel.links[NIC], xdp=True))
    driver = Driver(kernel, Config(master=Master(datapath="bond")))
    driver.settle()
    assert (pair(driver).datapath.name, pair(driver).state) == ("bond", "accelerated")
    reasons = {row["name"]: row["reason"] for row in nics(driver.state)}
    assert (
        f"joined by a bond, as the configuration says, although {XDP.replace('ens3', 'ens3nsby')}"
        in reasons["ens3nsby"]
    )


def test_a_bond_that_is_wanted_is_made_whoever_else_is_there() -> None:
    driver = Driver(machine(SHAPES["vf"]), Config(master=Master(datapath="bond")))
    driver.no_bond = OTHERS
    driver.settle()
    assert pair(driver).datapath.name == "bond"
    reasons = {row["name"]: row["reason"] for row in nics(driver.state)}
    assert f"joined by a bond, as the configuration says, although {OTHERS}" in reasons["ens3nsby"]
    assert f"{MAC}: a bond for ens3, as configured, although {OTHERS}" in driver.said


def test_what_is_joined_stays_joined_whoever_comes() -> None:
    driver = auto(machine(SHAPES["vf"]))
    driver.settle()
    before = driver.kernel.links
    driver.no_bond = OTHERS
    forget_all(driver.state)
    rejudge(driver.state)
    driver.settle(driver.now + 10)
    assert (pair(driver).datapath.name, pair(driver).state) == ("bond", "accelerated")
    assert driver.kernel.links == before
    assert not any(OTHERS in row["reason"] for row in nics(driver.state))


def test_a_first_join_waits_for_the_answer_and_not_for_ever() -> None:
    """A disk that hangs may be the one that is reached by this very pair."""
    driver = auto(machine(SHAPES["vf"]))
    driver.files_hang = True
    driver.tell()
    assert (pair(driver).state, driver.sent) == ("joining", [])
    assert pair(driver).reason == "what configures ens3 is not known yet"
    driver.settle(driver.now + READING)
    late = f"the files of what configures ens3 could not be read within {READING:g} s"
    assert driver.said == [f"{MAC}: tc and no bond for ens3: {late}"]
    driver.settle()
    assert (pair(driver).datapath.name, pair(driver).state) == ("tc", "accelerated")
    assert any(late in row["reason"] for row in nics(driver.state))
    driver.tell(ConfigurerSeen(NIC, "ens3", ""))
    driver.settle(driver.now + 10)
    assert (pair(driver).datapath.name, pair(driver).state) == ("tc", "accelerated"), "what is joined stays"


def test_a_bond_that_is_wanted_waits_for_no_file() -> None:
    driver = Driver(machine(SHAPES["vf"]), Config(master=Master(datapath="bond")))
    driver.files_hang = True
    driver.settle()
    assert (pair(driver).datapath.name, pair(driver).state) == ("bond", "accelerated")
    driver.start()
    driver.settle(driver.now + 10 * READING)
    assert not any("could not be read" in line for line in driver.said)


def test_nothing_is_asked_once_a_pair_is_joined() -> None:
    driver = auto(machine(SHAPES["vf"]))
    driver.settle()
    driver.files_hang = True
    driver.kernel.unplug(VF)
    driver.settle(driver.now + 1)
    assert pair(driver).state == "on-standby"
    driver.kernel.plug("ens4", "pci")
    driver.settle(driver.now + 5)
    driver.settle()
    assert pair(driver).state == "accelerated"
    assert driver.state.bonding.configurers == {NIC: ""}


def test_an_answer_about_another_name_or_a_nic_that_is_gone_is_none() -> None:
    driver = auto(machine(SHAPES["vf"]))
    driver.files_hang = True
    driver.tell()
    driver.tell(ConfigurerSeen(NIC, "eth0", OTHERS))
    driver.tell(ConfigurerSeen(99, "ens3", OTHERS))
    assert driver.state.bonding.configurers == {}
    driver.tell(ConfigurerSeen(NIC, "ens3", ""))
    driver.settle()
    assert pair(driver).datapath.name == "bond"


def test_a_nic_that_is_renamed_before_it_is_joined_is_asked_for_anew() -> None:
    driver = auto(machine(SHAPES["vf"]))
    driver.files_hang = True
    driver.tell()
    driver.files_hang, driver.no_bond = False, OTHERS
    driver.tell(LinkSeen(replace(driver.kernel.links[NIC], name="lan0")))
    assert driver.state.bonding.configurers == {NIC: OTHERS}
    driver.state = State(driver.config, synced=True, bonding=Bonding(configurers={NIC: OTHERS}, reading={NIC: 0.0}))
    step(driver.state, LinkGone(NIC), driver.now)
    assert (driver.state.bonding.configurers, driver.state.bonding.reading) == ({}, {})


def test_who_asks_for_a_released_pair_again_has_it_looked_at_again() -> None:
    driver = auto(machine(SHAPES["vf"]))
    driver.settle()
    driver.tell(ReleaseAsked(MAC))
    driver.settle()
    driver.no_bond = OTHERS
    driver.tell(AdoptAsked(MAC))
    driver.settle()
    assert (pair(driver).datapath.name, pair(driver).state) == ("tc", "accelerated")


def test_a_reload_asks_again_for_what_is_not_joined() -> None:
    driver = auto(machine(SHAPES["vf"]))
    driver.no_bond = OTHERS
    driver.tell(ReleaseAsked(MAC))
    driver.state.bonding.configurers[NIC] = ""
    forget_all(driver.state)
    assert driver.state.bonding.configurers == {}


def test_without_bonding_every_pair_is_tcs_and_none_warns() -> None:
    """Both bonds may be asked for before the first is refused."""
    second = "52:54:00:fa:11:02"
    driver = auto(without_bonding(MAC, second))
    driver.settle()
    assert {p.datapath.name for p in driver.state.pairs.values()} == {"tc"}
    assert {p.state for p in driver.state.pairs.values()} == {"accelerated"}
    assert not any("failed" in line for line in driver.said)


def test_where_bonding_is_wanted_and_missing_that_is_said() -> None:
    driver = Driver(without_bonding(MAC), Config(master=Master(datapath="bond")))
    driver.settle(30)
    assert pair(driver).datapath.name == "bond"
    assert any("this kernel or driver cannot do it; load the bonding module" in line for line in driver.said)
    assert len(driver.kernel.links) == 2


def test_another_refusal_of_the_bond_is_no_reason_for_tc() -> None:
    driver = auto(without_bonding(MAC))
    driver.kernel.refuse = lambda request: errno.EPERM if isinstance(request, CreateLink) else 0
    driver.settle(30)
    assert pair(driver).datapath.name == "bond"
    assert not driver.state.bonding.missing


@pytest.mark.parametrize(("datapath", "paired"), [("tc", True), ("bond", False)])
def test_a_vlan_on_the_nic_matters_to_a_bond_alone(datapath: str, paired: bool) -> None:
    state = State(Config(master=Master(datapath=datapath)), synced=True)
    kernel = without_bonding(MAC)
    state.links = LinkTable([*kernel.links.values(), Link(9, "ens3.7", MAC, kind="vlan", link=NIC)])
    rejudge(state)
    assert (MAC in state.judgements.pairs) == paired
    reason = state.judgements.verdicts[NIC].reason
    assert ("ens3.7@ens3 stands on it and would lose its traffic" in reason) != paired


def test_what_speaks_against_a_bond_does_so_for_its_pair_alone() -> None:
    """A tunnel on one NIC, another one in a VRF, a third of which it was found out that no bond takes it."""
    macs = [MAC, *(f"52:54:00:fa:11:0{number}" for number in (2, 3, 4))]
    kernel = machine(SHAPES["vf"])
    nics_of = {mac: kernel.plug(f"eth{number}", "virtio", up=True, mac=mac) for number, mac in enumerate(macs[1:])}
    for number, mac in enumerate(macs[1:]):
        kernel.plug(f"ens{10 + number}", "pci", mac=mac)
    kernel.put(Link(90, "gre1", MAC, kind="gretap", link=NIC))
    kernel.put(Link(91, "red", kind="vrf"))
    kernel.put(replace(kernel.links[nics_of[macs[1]]], master=91, slave_kind="vrf"))
    driver = auto(kernel)
    driver.state.pairs[macs[2]] = PairState(macs[2], obstacles=Obstacles(unbondable={nics_of[macs[2]]: "it is busy"}))
    driver.settle()
    assert {mac: one.datapath.name for mac, one in driver.state.pairs.items()} == dict(
        zip(macs, ("tc", "tc", "tc", "bond"), strict=True)
    )
    reasons = {row["name"]: row["reason"] for row in nics(driver.state)}
    chosen = "joined by tc and not by a bond:"
    assert f"{chosen} gre1@ens3 stands on it and would lose its traffic" in reasons["ens3"]
    assert f"{chosen} it is in the VRF red" in reasons["eth0"]
    assert f"{chosen} it is busy" in reasons["eth1"]
    driver.tell(LinkGone(nics_of[macs[2]]))
    assert macs[2] not in driver.state.pairs


def test_a_vlan_on_the_vf_matters_to_both() -> None:
    for datapath in ("tc", "bond"):
        state = State(Config(master=Master(datapath=datapath)), synced=True)
        state.links = LinkTable([*without_bonding(MAC).links.values(), Link(9, "ens13.7", MAC, kind="vlan", link=VF)])
        rejudge(state)
        assert "ens13.7@ens13 stands on it" in state.judgements.verdicts[VF].reason


@pytest.mark.parametrize(
    ("create", "remembered", "made"),
    [("always", False, True), ("remembered", False, False), ("remembered", True, True), ("paired", True, False)],
)
def test_when_a_nic_alone_is_a_master(create: str, remembered: bool, made: bool) -> None:
    kernel = ToyKernel()
    kernel.plug("ens3", "virtio", up=True)
    driver = Driver(kernel, Config(master=Master(create=create, datapath="tc")))
    if remembered:
        driver.memory[MAC] = "joined"
        driver.start()
    driver.settle()
    assert driver.state.pairs[MAC].state == ("on-standby" if made else "alone")
    assert bool(driver.state.judgements.pairs[MAC].master) == made
    assert driver.sent == []


def test_a_pair_that_is_a_master_only_while_there_is_a_vf_still_tells_of_its_loss() -> None:
    kernel = without_bonding(MAC)
    driver = Driver(kernel, Config(master=Master(create="paired", datapath="tc"), tc=Tc(carrier_poll=1e6)))
    driver.settle()
    driver.signals.clear()
    kernel.unplug(VF)
    driver.settle(driver.now + 10)
    assert failovers(driver) == [("ens13", "ens3", "it was unplugged")]
    assert not ours(kernel.links[NIC])


# Documents


def test_the_status_of_a_pair() -> None:
    driver = joined()
    document = status(driver.state)
    json.dumps(document)
    (master,) = document["masters"]
    assert (master["name"], master["ifindex"], master["datapath"]) == ("ens3", NIC, "tc")
    assert (master["state"], master["reason"], master["active"], master["mtu"]) == ("accelerated", "", "ens4", 1400)
    assert (master["primary"]["name"], master["primary"]["fit"]) == ("ens4", True)
    assert (master["standby"]["name"], master["standby"]["ifindex"], master["standby"]["fit"]) == ("ens3", NIC, True)
    rows = {row["name"]: (row["verdict"], row["reason"]) for row in document["nics"]}
    assert rows == {
        "ens3": ("paired", f"same permanent MAC {MAC} as ens4"),
        "ens4": ("paired", f"same permanent MAC {MAC} as ens3"),
    }


def test_the_status_without_the_vf_in_it() -> None:
    driver = joined()
    driver.kernel.filter_by_others(NIC, "egress")
    driver.settle(driver.now + 10)
    (master,) = status(driver.state)["masters"]
    assert (master["active"], master["primary"], master["state"]) == ("ens3", None, "on-standby")
    assert "bpf filter on its egress" in master["reason"]
    (row,) = [row for row in nics(driver.state) if row["name"] == "ens4"]
    why = "ens3 has a bpf filter on its egress that traffic would pass by"
    assert (row["verdict"], row["reason"]) == ("refused", why)
    driver.kernel.put_tc(NIC, replace(driver.kernel.links[NIC].tc, filters=frozenset()))
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 10)
    (master,) = status(driver.state)["masters"]
    assert (master["name"], master["state"], master["active"]) == ("ens3", "released", "ens3")
    reasons = [row["reason"] for row in nics(driver.state)]
    assert all(reason.endswith("released by an administrator; failoverctl adopt joins it again") for reason in reasons)


def test_a_vf_in_conflict_is_not_fit() -> None:
    driver = joined()
    driver.kernel.wire(NIC, False)
    driver.kernel.filter_by_others(VF, "ingress")
    driver.settle(driver.now + 10)
    (master,) = status(driver.state)["masters"]
    assert (master["primary"]["fit"], master["standby"]["fit"]) == (False, False)
    assert master["active"] == "ens4"


def test_a_release_is_said_once() -> None:
    driver = joined()
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 10)
    assert [signal for signal in driver.signals if isinstance(signal, Released)] == [Released("ens3", MAC, NIC)]
    assert failovers(driver) == [] or failovers(driver)[0][:2] == ("ens4", "ens3")


def test_what_the_vf_is_refused_for_is_explained() -> None:
    driver = drive(SHAPES["vf"])
    driver.kernel.refuse = lambda request: errno.EPERM if isinstance(request, AddRedirect) else 0
    driver.settle(20)
    (row,) = [row for row in nics(driver.state) if row["name"] == "ens4"]
    assert "redirect the ingress of ens4 to that of ens3 failed: EPERM" in row["reason"]


def test_a_vf_with_a_route_that_cannot_move_is_not_taken() -> None:
    driver = drive(Shape(vf_up=True))
    held = replace(driver.kernel.inet[VF].addresses[0])
    inet = driver.kernel.inet[VF]
    strange = replace(inet.routes[0], protocol=4, attrs=((30, b"\1\0\0\0"),))
    driver.kernel.inet[VF] = replace(inet, addresses=(held, address("10.9.0.4/24", VF)), routes=(strange,))
    driver.precious = driver.configured()
    driver.settle(20)
    assert not ours(driver.kernel.links[VF])
    assert pair(driver).state == "joining"
    assert "nexthop object" in pair(driver).reason


def test_what_carries_after_a_start_is_told_from_what_the_join_has_told() -> None:
    """The VF that carried goes before its pair is known to be joined, and the standby has been asked to carry."""
    driver = joined()
    driver.udev_hangs = True
    driver.start()
    driver.tell()
    driver.kernel.unplug(VF)
    driver.kernel.news.clear()
    driver.tell(LinkGone(VF), LinkSeen(driver.kernel.links[NIC]), UdevDone(NIC))
    told = [one.active_ifindex for one in driver.signals if isinstance(one, Joined)]
    assert told == [one.old_ifindex for one in driver.signals if isinstance(one, FailedOver)]
