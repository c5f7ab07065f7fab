"""Single steps: what an event does to the state, and what is said of it."""

from __future__ import annotations

import errno
from dataclasses import replace
from itertools import pairwise

import pytest
from pairdriver import TICKET, Driver
from test_core_histories import SHAPES, Shape, drive
from toykernel import MAC, ToyKernel, address

from failoverd.config.spec import Config, Failback, Join, Master
from failoverd.core import advance
from failoverd.core.state import PairState, State
from failoverd.core.step import step
from failoverd.kinds import Bond
from failoverd.model.actions import AskConfigurer, AskUdev, Emit, FetchInet, Remember, Say, Send, WakeAt
from failoverd.model.events import (
    AdoptAsked,
    Answered,
    ConfigurerSeen,
    InetSeen,
    LinkGone,
    LinkSeen,
    NotSaved,
    ReleaseAsked,
    Synced,
    TimePassed,
    UdevDone,
)
from failoverd.model.links import Link
from failoverd.model.owners import PairOf, Part
from failoverd.model.pairs import Goal, Inet, Journal
from failoverd.model.requests import AddAddress, CreateLink, SetActive, SetMaster, SetUp
from failoverd.model.signals import FailedOver, LinkRenamed
from failoverd.plan.situation import Write

NIC, VF = 2, 3


def joined(shape: Shape = SHAPES["vf"]) -> Driver:
    driver = drive(shape)
    driver.settle()
    driver.signals.clear()
    driver.sent.clear()
    return driver


def master_of(driver: Driver) -> Link:
    master = driver.kernel.named("ens3")
    assert master is not None
    return master


def the_pair(driver: Driver) -> PairState:
    return driver.state.pairs[MAC]


# Who carries


def test_a_vf_that_loses_its_carrier_is_left_at_once_and_comes_back_steady() -> None:
    driver = joined()
    assert the_pair(driver).state == "accelerated"
    driver.kernel.refuse = lambda _request: 0
    loses(driver, VF)
    assert the_pair(driver).state == "on-standby"
    assert the_pair(driver).reason == "the VF cannot carry: it has no carrier"
    before = driver.now
    driver.kernel.wire(VF, True)
    driver.tell()
    assert "held down" in the_pair(driver).reason
    driver.settle(driver.now + 10)
    assert driver.now == pytest.approx(before + 1.0)
    assert the_pair(driver).state == "accelerated"
    reasons = [signal.reason for signal in driver.signals if isinstance(signal, FailedOver)]
    assert reasons == ["the VF cannot carry: it has no carrier", "the VF has been steady"]
    assert the_pair(driver).failovers.count == 2
    assert the_pair(driver).failovers.last == driver.signals[-1]


def loses(driver: Driver, ifindex: int) -> None:
    """The carrier goes, and the bond has not noticed yet, as its own look at it comes later."""
    link = replace(driver.kernel.links[ifindex], carrier=False)
    driver.kernel.wires[ifindex] = False
    driver.kernel.links[ifindex] = link
    driver.tell(LinkSeen(link))


def test_going_back_is_left_to_the_administrator() -> None:
    config = Config(master=Master(create="always"), failback=Failback(automatic=False))
    driver = Driver(drive(SHAPES["vf"]).kernel, config)
    driver.settle()
    loses(driver, VF)
    driver.kernel.wire(VF, True)
    driver.settle(100)
    assert the_pair(driver).state == "on-standby"
    assert "left to the administrator" in the_pair(driver).reason


def test_a_switch_the_kernel_refuses_is_tried_again_ever_more_slowly() -> None:
    driver = joined()
    loses(driver, VF)
    tries: list[float] = []

    def no(request: object) -> int:
        if isinstance(request, SetActive):
            tries.append(driver.now)
            return errno.EINVAL
        return 0

    driver.kernel.refuse = no
    driver.kernel.wire(VF, True)
    driver.settle(60)
    waits = [round(later - earlier) for earlier, later in pairwise(tries)]
    assert waits[:5] == [1, 2, 4, 8, 10]
    assert "EINVAL" in the_pair(driver).reason
    driver.kernel.refuse = lambda _request: 0
    driver.settle(driver.now + 20)
    assert the_pair(driver).state == "accelerated"


def test_an_unplugged_vf_gives_its_reason_and_the_kernel_chooses_by_itself() -> None:
    driver = joined()
    driver.kernel.unplug(VF)
    driver.tell()
    [signal] = driver.signals
    assert isinstance(signal, FailedOver)
    assert (signal.old, signal.new, signal.reason) == ("ens4", "ens3nsby", "it was unplugged")


def test_the_reason_is_not_waited_for_for_ever() -> None:
    driver = joined()
    driver.kernel.set_up(VF, False)
    driver.tell()
    assert driver.signals == []
    driver.settle(driver.now + 1)
    [signal] = driver.signals
    assert isinstance(signal, FailedOver)
    assert signal.reason == "the VF cannot carry: it is down"


def test_what_the_kernel_did_by_itself_gets_a_reason_too() -> None:
    driver = joined()
    master = master_of(driver)
    assert isinstance(master.info, Bond)
    for active in (NIC, 0, VF):
        driver.tell(LinkSeen(replace(master, info=replace(master.info, active=active))))
    signals = [signal for signal in driver.signals if isinstance(signal, FailedOver)]
    assert [signal.new for signal in signals] == ["ens3nsby", "", "ens4"]
    assert [signal.reason for signal in signals] == [
        "the kernel chose another slave",
        "the kernel chose another slave",
        "no slave could carry before",
    ]
    driver.kernel.wire(VF, False)
    driver.kernel.wire(NIC, False)
    driver.tell()
    assert the_pair(driver).reason == "no slave can carry"


def test_a_move_that_had_begun_waits_for_its_devices() -> None:
    driver = Driver(ToyKernel(), journals={MAC: Journal(MAC, Goal.JOINED, "ens3", True, 1500, cut=True)})
    driver.settle()
    assert the_pair(driver).state == "alone"
    driver.kernel.plug("eth0", "virtio")
    driver.settle()
    assert master_of(driver).kind == "bond"
    assert not driver.journals


def test_a_slave_that_is_gone_already_was_unplugged() -> None:
    driver = joined()
    state, master = driver.state, master_of(driver)
    assert isinstance(master.info, Bond)
    del state.links[VF]
    actions = step(state, LinkSeen(replace(master, info=replace(master.info, active=NIC))), 0.0)
    [signal] = [action.signal for action in actions if isinstance(action, Emit)]
    assert isinstance(signal, FailedOver)
    assert (signal.old, signal.reason) == ("", "it was unplugged")


def test_a_bond_that_was_faster_than_the_daemon() -> None:
    """Its news comes ahead of the slave's: then the slave's state is told as it was last seen."""
    for is_up, reason in ((True, "it has no carrier"), (False, "it is down")):
        driver = joined()
        master = master_of(driver)
        assert isinstance(master.info, Bond)
        driver.state.links[VF] = replace(driver.state.links[VF], carrier=False, up=is_up)
        step(driver.state, LinkSeen(replace(master, info=replace(master.info, active=NIC))), 0.0)
        signals = [a.signal for a in step(driver.state, TimePassed(), 1.0) if isinstance(a, Emit)]
        assert [the_pair(driver).failovers.last] == signals or not signals
        last = the_pair(driver).failovers.last
        assert last is not None
        assert last.reason == reason


def switched(driver: Driver, active: int, now: float) -> FailedOver:
    """The kernel says that another slave carries."""
    master = driver.state.links[master_of(driver).ifindex]
    assert isinstance(master.info, Bond)
    seen = LinkSeen(replace(master, info=replace(master.info, active=active)))
    [signal] = [action.signal for action in step(driver.state, seen, now) if isinstance(action, Emit)]
    assert isinstance(signal, FailedOver)
    return signal


def test_the_silence_is_from_the_loss_to_the_switch_as_the_kernel_told_of_them() -> None:
    driver = joined()
    vf = driver.state.links[VF]
    step(driver.state, LinkSeen(replace(vf, carrier=False)), 10.0)
    step(driver.state, LinkSeen(replace(vf, carrier=False, mtu=1399)), 10.125)
    signal = switched(driver, NIC, 10.25)
    assert (signal.mac, signal.old_ifindex, signal.new_ifindex, signal.silence) == (MAC, VF, NIC, 0.25)
    step(driver.state, LinkSeen(vf), 11.0)
    assert switched(driver, VF, 20.0).silence == 0.0, "the standby could have gone on"
    step(driver.state, LinkSeen(replace(vf, carrier=False)), 30.0)
    step(driver.state, LinkSeen(vf), 31.0)
    assert switched(driver, NIC, 32.0).silence == 0.0, "the carrier was back"


def test_the_silence_goes_on_while_nobody_carries() -> None:
    driver = joined()
    step(driver.state, LinkSeen(replace(driver.state.links[VF], carrier=False)), 10.0)
    signal = switched(driver, 0, 10.5)
    assert (signal.new_ifindex, signal.silence) == (0, 0.5)
    assert switched(driver, NIC, 13.0).silence == 3.0
    assert switched(driver, 0, 20.0).silence == 0.0
    assert switched(driver, NIC, 21.0).silence == 1.0


def test_a_strangers_bond_fails_over_without_us() -> None:
    driver = joined()
    bond = Link(50, "bond0", kind="bond", info=Bond(mode=1, active=7))
    driver.tell(LinkSeen(bond), LinkSeen(replace(bond, info=Bond(mode=1, active=8))))
    assert driver.signals == []


def test_two_slow_goodbyes_are_both_told() -> None:
    driver = joined()
    driver.kernel.set_up(VF, False)
    driver.tell()
    driver.kernel.wire(NIC, False)
    driver.tell()
    assert [s.old for s in driver.signals if isinstance(s, FailedOver)] == ["ens4", "ens3nsby"]


# What is said of a pair


def test_a_master_that_is_down_or_no_safety_net_is_degraded() -> None:
    driver = joined()
    master = master_of(driver)
    assert isinstance(master.info, Bond)
    driver.tell(LinkSeen(replace(master, up=False)))
    assert (the_pair(driver).state, the_pair(driver).reason) == ("degraded", "ens3 is down")
    driver.tell(LinkSeen(replace(master, info=replace(master.info, miimon=0))))
    assert "no miimon" in the_pair(driver).reason


def test_a_renamed_master_and_its_slaves_are_told_of() -> None:
    driver = joined()
    driver.kernel.live_renames = True
    for ifindex, name in ((NIC, "a"), (VF, "b"), (master_of(driver).ifindex, "c")):
        driver.tell(LinkSeen(replace(driver.state.links[ifindex], name=name)))
    told = [(s.old, s.new, s.master, s.role) for s in driver.signals if isinstance(s, LinkRenamed)]
    assert told == [
        ("ens3nsby", "a", "ens3", "standby"),
        ("ens4", "b", "ens3", "primary"),
        ("ens3", "c", "c", "master"),
    ]
    driver.tell(LinkSeen(Link(60, "x")), LinkSeen(Link(60, "y")))
    assert len(driver.signals) == 3


def test_a_vf_that_is_refused_says_why() -> None:
    driver = drive(SHAPES["vf"])
    driver.kernel.refuse = lambda request: errno.EINVAL if request == SetMaster(VF, 4) else 0
    driver.settle(100)
    assert the_pair(driver).state == "on-standby"
    assert the_pair(driver).reason.startswith("enslave ens4 to ens3 failed: EINVAL; the driver refuses")
    driver.kernel.unplug(VF)
    driver.tell()
    assert not the_pair(driver).work.refusals
    assert the_pair(driver).reason == "the VF cannot carry: it is unplugged"


# When something is done


@pytest.mark.parametrize(
    ("create", "remembered", "made"),
    [("always", False, True), ("remembered", False, False), ("remembered", True, True), ("paired", True, False)],
)
def test_when_a_nic_alone_gets_a_master(create: str, remembered: bool, made: bool) -> None:
    driver = Driver(drive(SHAPES["no-vf"]).kernel, Config(master=Master(create=create)))
    if remembered:
        driver.memory[MAC] = "joined"
        driver.start()
    driver.settle()
    assert bool(driver.kernel.named("ens3nsby")) == made
    assert the_pair(driver).state == ("on-standby" if made else "alone")


def test_what_was_released_stays_so_over_a_restart() -> None:
    driver = joined()
    driver.tell(ReleaseAsked(MAC))
    assert the_pair(driver).state == "released"
    driver.start()
    driver.settle()
    assert the_pair(driver).state == "released"
    assert driver.kernel.named("ens3nsby") is None
    driver.tell(AdoptAsked(MAC))
    driver.settle()
    assert the_pair(driver).state == "accelerated"


def test_a_join_that_fails_is_undone_at_once_and_tried_again_much_later() -> None:
    driver = drive(SHAPES["vf"])
    driver.kernel.refuse = lambda request: errno.EBUSY if request == SetUp(4, up=True) else 0
    driver.tell()
    driver.settle(driver.now + 20)
    assert driver.is_reachable("10.0.0.2/24")
    assert driver.kernel.named("ens3nsby") is None
    assert the_pair(driver).state == "degraded"
    assert "could not be moved to a master, and was given back" in the_pair(driver).reason
    driver.settle()
    assert driver.now >= Join().retry_max
    assert the_pair(driver).state == "accelerated"


def test_a_name_that_cannot_be_used_is_said_and_nothing_is_touched() -> None:
    kernel = ToyKernel()
    kernel.plug("eth%d", "virtio", up=True)
    kernel.plug("ens4", "pci")
    driver = Driver(kernel)
    driver.tell()
    assert driver.sent == []
    assert the_pair(driver).state == "degraded"
    assert "rename the NIC first" in the_pair(driver).reason
    driver.tell(TimePassed())
    assert the_pair(driver).state == "degraded"


def test_lost_answers_stop_the_plan_until_all_devices_were_seen_again() -> None:
    """To plan on from the old picture would mean doing everything twice."""
    state = State(Config())
    kernel = drive(SHAPES["vf"]).kernel
    links = tuple(kernel.links.values())
    state.arrivals.ready |= {NIC, VF}
    state.bonding.configurers[NIC] = ""
    seen = InetSeen(TICKET.owner, {NIC: Inet()}, {NIC: ""})
    assert [type(action) for action in step(state, Synced(links), 0.0)][-1] is FetchInet
    [send] = [action for action in step(state, seen, 0.0) if isinstance(action, Send)]
    assert isinstance(send.requests[0], CreateLink)
    actions = step(state, Answered(send.ticket, send.requests, None), 0.1)
    assert [type(action) for action in actions] == [Say]
    assert step(state, TimePassed(), 0.2) == []
    assert FetchInet(TICKET.owner, (NIC,), (NIC,)) in step(state, Synced(links), 0.3)
    again = [action for action in step(state, seen, 0.4) if isinstance(action, Send)]
    assert [action.requests for action in again] == [send.requests]


def test_what_a_device_was_refused_for_is_forgotten_with_it() -> None:
    driver = joined()
    pair = the_pair(driver)
    number = errno.EBUSY
    driver.tell(Answered(TICKET, (SetMaster(VF, 4), SetActive(4, VF)), ((number, ""), (number, ""))))
    assert len(pair.work.refusals) == 2
    step(driver.state, LinkGone(VF), driver.now)
    assert not pair.work.refusals


def test_an_answer_for_a_device_that_went_is_no_refusal() -> None:
    driver = joined()
    driver.tell(Answered(TICKET, (SetUp(77, up=True), SetActive(4, 77)), ((errno.ENODEV, ""), (errno.ENODEV, ""))))
    assert not the_pair(driver).work.refusals
    driver.tell(Answered(TICKET, (SetUp(VF, up=True),), ((errno.ENODEV, "a driver's own"),)))
    assert the_pair(driver).work.refusals


def test_the_wait_for_big_things_doubles_to_its_limit() -> None:
    driver = joined()
    request = SetMaster(VF, 77)
    for _ in range(50):
        driver.tell(Answered(TICKET, (request,), ((errno.EBUSY, "busy"),)))
    assert the_pair(driver).work.refusals[request].until == driver.now + Join().retry_max
    assert driver.said[-1].endswith("trying again in 300 s")


def test_a_disk_that_is_full_is_waited_for() -> None:
    driver = drive(SHAPES["vf"])
    driver.full_at = frozenset(range(1, 40))
    driver.tell()
    assert not driver.journals
    assert the_pair(driver).move.journal is None
    assert the_pair(driver).work.pause_until == Join().retry
    driver.full_at = frozenset()
    driver.settle()
    assert the_pair(driver).state == "accelerated"


# Beginnings


def test_before_the_first_dump_nothing_is_decided() -> None:
    state = State(Config())
    kernel = drive(SHAPES["vf"]).kernel
    actions = [a for link in kernel.links.values() for a in step(state, LinkSeen(link), 0.0)]
    assert actions == [AskUdev(NIC, "ens3"), AskUdev(VF, "ens4")]
    assert step(state, LinkGone(VF), 0.0) == []
    assert step(state, LinkGone(99), 0.0) == []
    assert step(state, ReleaseAsked(MAC), 0.0) == [Remember(MAC, "released")]
    assert not state.judgements.pairs


def test_a_slave_of_ours_needs_no_udev() -> None:
    driver = joined()
    master = master_of(driver).ifindex
    actions = step(driver.state, LinkSeen(Link(70, "ens9", MAC, MAC, bus="pci", master=master)), 0.0)
    assert AskUdev(70, "ens9") not in actions
    assert 70 in driver.state.arrivals.ready


def test_udev_is_not_asked_about_what_is_no_hardware_and_has_its_permanent_mac() -> None:
    driver = joined()
    assert AskUdev(70, "mv0") not in step(driver.state, LinkSeen(Link(70, "mv0", MAC, MAC, kind="macvlan")), 0.0)
    assert 70 not in driver.state.arrivals.ready


def test_what_is_lost_and_refused_is_tried_again_once_an_hour() -> None:
    driver = joined()
    lost = address("fd00::7/64", master_of(driver).ifindex)
    driver.lost = {MAC: Inet((lost,))}
    driver.kernel.refuse = lambda what: errno.EACCES if isinstance(what, AddAddress) else 0
    driver.start()
    driver.settle(driver.now + 10 * 3600.0)
    tries = [what for batch in driver.sent for what in batch if isinstance(what, AddAddress)]
    assert 8 <= sum(what.address.local == lost.local for what in tries) <= 12
    assert the_pair(driver).state == "degraded"
    assert "lost fd00::7/64" in the_pair(driver).reason


def test_udev_is_not_waited_for_for_ever_and_a_gone_device_not_at_all() -> None:
    state = State(Config())
    links = tuple(drive(SHAPES["vf"]).kernel.links.values())
    [wake] = [action for action in step(state, Synced(links), 5.0) if isinstance(action, WakeAt)]
    assert wake.at == 5.0 + Join().udev_wait
    [wake] = [action for action in step(state, TimePassed(), wake.at) if isinstance(action, WakeAt)]
    assert wake.at == 5.0 + 5 * Join().udev_wait, "the name of the paravirtual NIC becomes the master's"
    assert AskConfigurer in [type(action) for action in step(state, TimePassed(), wake.at)]
    assert FetchInet in [type(action) for action in step(state, ConfigurerSeen(NIC, "ens3", ""), wake.at)]
    step(state, UdevDone(99), wake.at)
    assert 99 not in state.arrivals.ready
    step(state, UdevDone(NIC), wake.at)
    assert NIC in state.arrivals.ready
    assert NIC not in state.arrivals.asked


def test_a_look_is_good_for_one_step_only() -> None:
    driver = joined()
    state, now = driver.state, driver.now
    step(state, InetSeen(TICKET.owner, {NIC: Inet((address("10.0.0.2/24", NIC),))}), now)
    assert state.pairs[MAC].move.inet == {}
    assert step(state, NotSaved(PairOf(MAC)), now)[-1] == WakeAt(now + Join().retry)


def test_a_plan_in_circles_is_stopped_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """No history is known in which this happens; if there is one, the daemon has to live on."""
    driver = joined()
    endless = Write(Journal(MAC, Goal.JOINED, "ens3", True, 1500))
    monkeypatch.setattr(advance, "join", lambda _situation: endless)
    driver.state.attention.concerned.add(PairOf(MAC))
    actions = step(driver.state, TimePassed(), driver.now)
    [said] = [action for action in actions if isinstance(action, Say)]
    assert "goes in circles" in said.text
    assert not [action for action in actions if isinstance(action, Send | FetchInet)]


def test_udev_is_done_with_a_device_that_is_gone_by_then() -> None:
    state = State(Config(), synced=True)
    assert step(state, UdevDone(7), 0.0) == []
    assert state.arrivals.ready == set()


def test_a_switch_to_a_vf_that_went_does_not_keep_the_next_from_being_switched_to() -> None:
    driver = joined()
    pair = the_pair(driver)
    pair.carry.because = "the VF has been steady"
    send = pair.work.send(Part.CARRY, [SetActive(master_of(driver).ifindex, 99)], pair.carry.because)
    driver.tell(Answered(send.ticket, send.requests, ((errno.ENODEV, ""),)))
    assert pair.carry.because == ""


def test_a_pair_that_never_was_joined_is_forgotten_with_its_paravirtual_nic() -> None:
    driver = Driver(ToyKernel(), Config(master=Master(datapath="bond")))
    nic, vf = driver.kernel.plug("ens3", "virtio", up=True), driver.kernel.plug("ens4", "pci")
    driver.kernel.refuse = lambda _request: errno.EINVAL
    driver.settle(50.0)
    assert list(driver.state.pairs) == [MAC]
    for ifindex in (nic, vf):
        driver.kernel.unplug(ifindex)
        driver.tell()
        assert (driver.state.pairs, driver.state.links.get(ifindex)) == ({}, None)
