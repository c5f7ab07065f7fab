"""What administrators order of a joined pair, on the toy kernel: drains, switches, renames, and their refusals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from pairdriver import Driver, under_way
from test_core_histories import SHAPES, Shape, drive
from test_core_tc import joined as joined_by_tc
from toykernel import MAC

from failoverd.config.spec import Config, Failback
from failoverd.core.call_answers import Answer, CallError
from failoverd.core.calls import CALLS, check
from failoverd.core.ordercalls import DRAIN, PATIENCE
from failoverd.core.orders import AWAY, take_order
from failoverd.core.state import is_settled
from failoverd.core.work import Refusal
from failoverd.datapaths import kernel
from failoverd.kinds import Bond
from failoverd.model.events import Announced, Answered, LinkSeen, ReleaseAsked, Synced, TimePassed
from failoverd.model.links import Link
from failoverd.model.owners import Part
from failoverd.model.requests import HearAll, Rename, SetActive, SetUp
from failoverd.model.signals import FailedOver, LinkRenamed

NIC, VF = 2, 3
HOLD_DOWN = Config().failback.hold_down


def joined(shape: Shape = SHAPES["vf"], live_renames: bool = False) -> Driver:
    driver = drive(shape)
    driver.kernel.live_renames = live_renames
    driver.settle()
    driver.signals.clear()
    driver.sent.clear()
    return driver


def ask(driver: Driver, call: str, *arguments: str) -> Answer:
    """Ask, and let everything happen that does not have to wait."""
    check(call, arguments)
    answer = CALLS[call].run(driver.state, arguments, driver.now)
    driver.tell(*answer.events)
    return answer


def refused(driver: Driver, call: str, *arguments: str) -> CallError:
    with pytest.raises(CallError) as info:
        ask(driver, call, *arguments)
    return info.value


def active(driver: Driver) -> str:
    return driver.state.name(driver.state.active(driver.state.judgements.pairs[MAC]))


def wait(driver: Driver, seconds: float) -> None:
    driver.now += seconds
    driver.tell(TimePassed())


def names(driver: Driver) -> list[tuple[str, str, str]]:
    return [(s.old, s.new, s.role) for s in driver.signals if isinstance(s, LinkRenamed)]


# Being settled


def test_a_pair_is_settled_when_nothing_is_under_way() -> None:
    driver = drive(SHAPES["vf"])
    assert is_settled(driver.state)
    driver._step(driver.events.popleft())  # type: ignore[arg-type]
    seen = {is_settled(driver.state)}
    driver.on_step = lambda _numbers: seen.add(is_settled(driver.state))
    driver.settle()
    assert False in seen
    assert is_settled(driver.state)


def test_what_the_kernel_refuses_is_not_waited_for() -> None:
    driver = joined()
    pair = driver.state.pairs[MAC]
    pair.state = "joining"
    assert not is_settled(driver.state)
    pair.work.refusals[Rename(VF, "fast0")] = Refusal(1, "it said no", 10.0)
    assert is_settled(driver.state)


# Drains


def test_an_event_that_is_no_order_ends_no_drain() -> None:
    """A new order that `take_order` has forgotten is mypy's to find, and does nothing until then."""
    driver = joined()
    ask(driver, "drain", "ens3")
    with pytest.raises(AssertionError):
        take_order(driver.state, driver.state.pairs[MAC], TimePassed())  # type: ignore[arg-type]
    assert driver.state.pairs[MAC].orders.drain is not None


@pytest.mark.parametrize("call", ["drain", "switch"])
def test_an_order_is_not_answered_while_events_are_lost(call: str) -> None:
    """Another program may have moved the traffic back, and failoverd knows when it has looked again."""
    driver = joined()
    answer = ask(driver, "drain", "ens3") if call == "drain" else ask(driver, "switch", "ens3", "ens4")
    wait(driver, 1)
    assert answer.done(driver.state)
    driver.state.pairs[MAC].work.unsure = True
    assert not answer.done(driver.state)


@pytest.mark.parametrize("how", [joined, joined_by_tc])
def test_a_drain_is_answered_when_the_standby_carries_and_is_announced(how: object) -> None:
    driver: Driver = how()  # type: ignore[operator]
    master = driver.state.name(driver.state.judgements.pairs[MAC].master)
    driver.announced.clear()
    call = CALLS["drain"].run(driver.state, [MAC], driver.now)
    assert (call.document["master"], call.document["drained"]) == (master, True)
    driver.events.extend(call.events)
    driver._step(driver.events.popleft())  # type: ignore[arg-type]
    assert not call.done(driver.state)
    driver.tell()
    assert call.done(driver.state)
    assert active(driver) == call.document["active"]
    assert len(driver.announced) == 1
    assert driver.drains[MAC].until == driver.now + DRAIN
    wait(driver, HOLD_DOWN * 3)
    assert active(driver) == call.document["active"]


def test_while_it_is_drained_a_bond_hears_what_still_comes_to_the_vf() -> None:
    driver = joined()
    master = driver.state.judgements.pairs[MAC].master
    ask(driver, "drain", "ens3")
    assert driver.sent[0] == (HearAll(master, True),)
    assert driver.kernel.hearing == {master}
    ask(driver, "undrain", "ens3")
    assert driver.kernel.hearing == set()


def test_a_bond_that_is_a_bridges_port_hears_one_slave_alone() -> None:
    """Its bridge would learn from its own broadcasts, come back by the other one, that its machines are out there."""
    driver = joined()
    master = driver.state.judgements.pairs[MAC].master
    driver.kernel.links[master] = replace(driver.kernel.links[master], master=40)
    driver.tell(LinkSeen(Link(40, "br0", MAC, kind="bridge")), LinkSeen(driver.kernel.links[master]))
    ask(driver, "drain", "ens3")
    assert driver.kernel.hearing == set()
    assert driver.announced[-1].ports == ((master, 40),)
    ask(driver, "undrain", "ens3")
    assert driver.kernel.hearing == set()


def test_the_neighbours_must_know_before_a_drain_is_answered() -> None:
    driver = joined()
    driver.state.pairs[MAC].heard.announcing = 1
    answer = ask(driver, "drain", "ens3")
    assert not answer.done(driver.state)
    driver.state.pairs[MAC].heard.announcing = 0
    assert answer.done(driver.state)


@pytest.mark.parametrize("end", ["undrain", "replug", "time"])
def test_a_drain_ends(end: str) -> None:
    driver = joined()
    ask(driver, "drain", "ens3", "30")
    if end == "undrain":
        wait(driver, 20)
        assert ask(driver, "undrain", "ens3").document == {"mac": MAC, "master": "ens3"}
        assert active(driver) == "ens4"
    elif end == "time":
        assert driver.wake == driver.now + 30
        wait(driver, 31)
        assert active(driver) == "ens4"
    else:
        driver.kernel.unplug(VF)
        driver.tell()
        assert driver.state.pairs[MAC].orders.drain is not None
        driver.kernel.plug("ens4", "pci")
        driver.settle(driver.now + HOLD_DOWN + 0.1)
        assert active(driver) == "ens4"
    assert driver.drains == {}
    assert refused(driver, "undrain", "ens3").kind == "NotDrained"


def test_a_drain_without_a_time_has_no_end_of_its_own() -> None:
    driver = joined()
    assert ask(driver, "drain", "ens3", "0").document["drain_ends"] is None
    wait(driver, 1e6)
    assert active(driver) == "ens3nsby"


def test_a_drained_pair_stays_drained_over_a_restart() -> None:
    driver = joined()
    ask(driver, "drain", "ens3")
    driver.start()
    wait(driver, HOLD_DOWN * 3)
    assert active(driver) == "ens3nsby"
    assert driver.state.pairs[MAC].orders.drain == driver.drains[MAC]


def test_a_drained_vf_carries_all_the_same_where_the_standby_cannot() -> None:
    driver = joined()
    ask(driver, "drain", "ens3")
    driver.kernel.wire(NIC, alive=False)
    driver.tell()
    wait(driver, HOLD_DOWN)
    assert active(driver) == "ens4"
    driver.kernel.wire(NIC, alive=True)
    driver.tell()
    assert active(driver) == "ens3nsby"


def test_a_release_ends_a_drain() -> None:
    driver = joined()
    ask(driver, "drain", "ens3")
    ask(driver, "release", "ens3")
    driver.settle()
    assert driver.drains == {}


def test_nothing_has_to_be_drained_where_no_vf_is() -> None:
    driver = joined()
    driver.kernel.unplug(VF)
    driver.tell()
    answer = ask(driver, "drain", "ens3")
    document = {"mac": MAC, "master": "ens3", "active": "ens3nsby"}
    assert answer.document == document | {"drained": False, "drain_ends": None}
    assert answer.done(driver.state)
    assert driver.drains == {}
    assert ask(driver, "switch", "ens3", "ens3nsby").done(driver.state)


def test_where_no_vf_is_the_standby_must_carry_and_the_neighbours_know_all_the_same() -> None:
    driver = joined()
    driver.kernel.unplug(VF)
    driver.tell()
    pair = driver.state.pairs[MAC]
    pair.heard.announcing = 1
    answer = ask(driver, "drain", "ens3")
    assert not answer.done(driver.state)
    pair.heard.announcing = 0
    found = driver.state.judgements.pairs[MAC]
    master = driver.state.links[found.master]
    assert isinstance(master.info, Bond)
    driver.state.links[found.master] = replace(master, info=replace(master.info, active=0))
    assert not answer.done(driver.state), "the kernel has not chosen yet"
    driver.state.links[found.master] = master
    assert answer.done(driver.state)
    driver.kernel.wire(NIC, alive=False)
    driver.tell()
    with pytest.raises(CallError, match="cannot carry any more"):
        answer.done(driver.state)


def test_a_drain_whose_vf_is_gone_is_still_told_of() -> None:
    driver = joined()
    until = ask(driver, "drain", "ens3", "60").document["drain_ends"]
    driver.kernel.unplug(VF)
    driver.tell()
    answer = ask(driver, "drain", "ens3", "5")
    assert (answer.document["drained"], answer.document["drain_ends"]) == (True, until)


def test_a_drain_of_which_the_neighbours_could_not_be_told_is_none() -> None:
    driver = joined()
    driver.kernel.unplug(VF)
    driver.tell()
    answer = ask(driver, "drain", "ens3")
    driver.state.pairs[MAC].heard.unheard = True
    with pytest.raises(CallError, match="carries, but the neighbours could not be told, see the log; keep the VF"):
        answer.done(driver.state)


def test_no_drain_where_the_standby_cannot_carry() -> None:
    driver = joined()
    driver.kernel.wire(NIC, alive=False)
    driver.tell()
    error = refused(driver, "drain", "ens3")
    assert (error.kind, str(error)) == ("NoStandby", "the standby of ens3 cannot carry: it has no carrier")


def test_a_drain_that_comes_to_nothing_says_so() -> None:
    driver = joined()
    answer = CALLS["drain"].run(driver.state, ["ens3"], driver.now)
    with pytest.raises(CallError, match="was ended before"):
        answer.done(driver.state)
    answer = ask(driver, "drain", "ens3")
    driver.kernel.wire(NIC, alive=False)
    driver.tell()
    with pytest.raises(CallError, match="cannot carry any more"):
        answer.done(driver.state)


@pytest.mark.parametrize("seconds", ["-1", "nan", "soon", "1e9", "inf"])
def test_seconds_that_are_none(seconds: str) -> None:
    assert refused(joined(), "drain", "ens3", seconds).kind == "BadArgument"


def test_only_a_joined_pair_takes_orders() -> None:
    driver = joined()
    ask(driver, "release", "ens3")
    driver.settle()
    error = refused(driver, "drain", "ens3")
    assert (error.kind, "not joined but released" in str(error)) == ("NotJoined", True)


# Switches


def test_switching_to_the_standby_lasts_until_it_is_ended() -> None:
    driver = joined()
    answer = ask(driver, "switch", "ens3", "ens3nsby")
    assert answer.done(driver.state)
    assert driver.drains[MAC].until is None
    assert active(driver) == "ens3nsby"


def test_switching_to_the_vf_ends_a_drain_and_waits_for_no_hold_down() -> None:
    driver = joined()
    driver.kernel.wire(VF, alive=False)
    driver.tell()
    ask(driver, "drain", "ens3")
    driver.kernel.wire(VF, alive=True)
    driver.tell()
    answer = ask(driver, "switch", "ens3", "ens4")
    assert answer.done(driver.state)
    assert answer.document["active"] == active(driver) == "ens4"
    assert driver.drains == {}
    # The wish is fulfilled; the next loss has its hold-down.
    driver.kernel.wire(VF, alive=False)
    driver.tell()
    driver.kernel.wire(VF, alive=True)
    driver.tell()
    assert active(driver) == "ens3nsby"


def test_switching_to_the_vf_where_the_way_back_is_the_administrators() -> None:
    driver = joined()
    driver.state.config = replace(driver.state.config, failback=Failback(automatic=False))
    ask(driver, "drain", "ens3")
    ask(driver, "undrain", "ens3")
    wait(driver, HOLD_DOWN * 2)
    assert active(driver) == "ens3nsby"
    ask(driver, "switch", "ens3", "ens4")
    assert active(driver) == "ens4"


def test_a_vf_that_fails_meanwhile_is_told_to_who_asked() -> None:
    driver = joined()
    ask(driver, "drain", "ens3")
    answer = CALLS["switch"].run(driver.state, ["ens3", "ens4"], driver.now)
    driver.kernel.wire(VF, alive=False)
    driver.tell(*answer.events)
    with pytest.raises(CallError, match="cannot carry any more"):
        answer.done(driver.state)


def test_who_switches_waits_for_the_kernel() -> None:
    driver = joined()
    ask(driver, "drain", "ens3")
    answer = CALLS["switch"].run(driver.state, ["ens3", "ens4"], driver.now)
    driver.events.extend(answer.events)
    driver._step(driver.events.popleft())  # type: ignore[arg-type]
    assert not answer.done(driver.state)
    driver.tell()
    assert answer.done(driver.state)


def test_no_switch_to_a_vf_that_cannot_carry() -> None:
    driver = joined()
    driver.kernel.wire(VF, alive=False)
    driver.tell()
    error = refused(driver, "switch", "ens3", "ens4")
    assert (error.kind, str(error)) == ("Unfit", "ens4 cannot carry: it has no carrier")


@pytest.mark.parametrize("slave", ["ens3", "eth7", MAC])
def test_no_switch_to_what_is_no_slave(slave: str) -> None:
    error = refused(joined(), "switch", "ens3", slave)
    assert (error.kind, "it has ens4 and ens3nsby" in str(error)) == ("NoSuchSlave", True)


# Renames


@pytest.mark.parametrize("device", ["ens4", "ens3nsby", "ens3"])
def test_an_up_device_is_renamed_where_the_kernel_does_it(device: str) -> None:
    driver = joined(live_renames=True)
    answer = ask(driver, "rename", device, "fast0")
    assert answer.done(driver.state)
    assert answer.document["new_name"] == "fast0"
    role = {"ens4": "primary", "ens3nsby": "standby", "ens3": "master"}[device]
    assert names(driver) == [(device, "fast0", role)]
    assert [signal for signal in driver.signals if isinstance(signal, FailedOver)] == []
    assert active(driver) == ("fast0" if device == "ens4" else "ens4")


def test_a_standby_that_is_up_is_renamed_down_while_the_vf_carries() -> None:
    driver = joined()
    assert ask(driver, "rename", "ens3nsby", "slow0").done(driver.state)
    down, up = SetUp(NIC, up=False), SetUp(NIC, up=True)
    assert driver.sent == [(Rename(NIC, "slow0"),), (down, Rename(NIC, "slow0"), up)]
    assert names(driver) == [("ens3nsby", "slow0", "standby")]
    assert driver.kernel.links[NIC].up
    assert active(driver) == "ens4"


def test_a_vf_that_carries_is_renamed_while_the_standby_does() -> None:
    driver = joined()
    answer = ask(driver, "rename", "ens4", "fast0")
    assert answer.done(driver.state)
    assert active(driver) == "ens3nsby"
    wait(driver, HOLD_DOWN)
    assert active(driver) == "fast0"
    failovers = [signal for signal in driver.signals if isinstance(signal, FailedOver)]
    assert [signal.reason for signal in failovers] == [
        "the VF cannot carry: it is being renamed",
        "the VF has been steady",
    ]
    assert [signal.silence for signal in failovers] == [0.0, 0.0]


def test_what_is_on_its_way_to_either_slave_is_taken_in_while_a_vf_is_renamed() -> None:
    driver = joined()
    master = driver.state.judgements.pairs[MAC].master
    ask(driver, "rename", "ens4", "fast0")
    sent = [request for batch in driver.sent for request in batch]
    assert sent.index(HearAll(master, True)) < sent.index(SetActive(master, NIC))
    wait(driver, HOLD_DOWN)
    assert (active(driver), driver.kernel.hearing) == ("fast0", {master})
    wait(driver, AWAY)
    assert driver.kernel.hearing == set()


def test_a_drain_and_a_rename_do_not_end_each_others_hearing() -> None:
    driver = joined()
    master = driver.state.judgements.pairs[MAC].master
    ask(driver, "rename", "ens4", "fast0")
    ask(driver, "drain", "ens3")
    ask(driver, "undrain", "ens3")
    assert driver.kernel.hearing == {master}
    ask(driver, "drain", "ens3")
    wait(driver, HOLD_DOWN + AWAY)
    assert driver.kernel.hearing == {master}
    ask(driver, "undrain", "ens3")
    assert driver.kernel.hearing == set()


def test_what_a_killed_daemon_has_left_hearing_both_does_so_no_longer() -> None:
    driver = joined()
    ask(driver, "rename", "ens4", "fast0")
    driver.start()
    driver.tell()
    assert driver.kernel.hearing == set()
    ask(driver, "drain", "ens3")
    driver.start()
    driver.tell()
    assert driver.kernel.hearing == {driver.state.judgements.pairs[MAC].master}


def test_what_another_process_has_set_to_hear_both_is_left_as_it_is() -> None:
    driver = joined()
    master = driver.kernel.links[driver.state.judgements.pairs[MAC].master]
    assert isinstance(master.info, Bond)
    driver.kernel.put(replace(master, info=replace(master.info, hears_both=True)))
    driver.tell()
    driver.start()
    driver.settle(driver.now + 100)
    assert driver.sent == []
    assert driver.kernel.hearing == {master.ifindex}
    ask(driver, "drain", "ens3")
    ask(driver, "undrain", "ens3")
    driver.settle(driver.now + 100)
    assert driver.kernel.hearing == set(), "a drain has made it failoverd's"


def test_nothing_has_to_be_heard_twice_for_a_standbys_name() -> None:
    driver = joined()
    ask(driver, "rename", "ens3nsby", "slow0")
    assert driver.kernel.hearing == set()


def test_the_vf_goes_down_for_its_name_when_the_neighbours_know_the_other_way() -> None:
    driver = joined()
    answer = CALLS["rename"].run(driver.state, ["ens4", "fast0"], driver.now)
    driver.events.extend(answer.events)
    while not driver.state.pairs[MAC].heard.announcing:
        driver._take_news()
        item = driver.events.popleft()
        driver._step(item() if callable(item) else item)
    assert active(driver) == "ens3nsby"
    told = driver.events.pop()
    assert isinstance(told, Announced)
    driver.tell()
    assert driver.kernel.links[VF].name == "ens4"
    driver.tell(told)
    assert driver.kernel.links[VF].name == "fast0"
    assert len(driver.announced) == 1


def test_a_vf_that_is_left_for_its_name_goes_back_also_where_that_is_left_to_the_administrator() -> None:
    """It carried, and nobody has asked for another one to do so. After any other failover it does not go back."""
    driver = drive(SHAPES["vf"])
    driver.config = Config(failback=Failback(automatic=False))
    driver.start()
    driver.settle()
    ask(driver, "switch", "ens3", "ens4")
    driver.settle(driver.now + 1)
    assert active(driver) == "ens4"
    driver.tell(*CALLS["rename"].run(driver.state, ["ens4", "fast0"], driver.now).events)
    assert active(driver) == "ens3nsby"
    driver.settle(driver.now + HOLD_DOWN + 1)
    assert active(driver) == "fast0"
    driver.kernel.wire(VF, alive=False)
    driver.tell()
    driver.kernel.wire(VF, alive=True)
    driver.settle(driver.now + 10 * HOLD_DOWN)
    assert active(driver) == "ens3nsby"


@pytest.mark.parametrize("live", [True, False])
def test_a_master_that_somebody_names_as_one_on_its_way_in_keeps_what_it_has(live: bool) -> None:
    driver = joined(live_renames=live)
    before = driver.on("ens3")
    passing = f"fo{MAC.replace(':', '')}"
    master = driver.state.judgements.pairs[MAC].master
    driver.kernel.live_renames = True
    driver.kernel.by_others(Rename(master, passing))
    driver.tell()
    driver.settle(driver.now + 30)
    assert driver.on(passing) == before
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 100)
    assert driver.on(driver.kernel.links[NIC].name) >= driver.precious


@pytest.mark.parametrize(("device", "says"), [("ens3", "renames no master that is"), ("ens4", "it would be cut off")])
def test_nobody_is_cut_off_for_a_name(device: str, says: str) -> None:
    driver = joined()
    driver.kernel.wire(NIC, alive=False)
    driver.tell()
    answer = ask(driver, "rename", device, "fast0")
    with pytest.raises(CallError, match=says) as info:
        answer.done(driver.state)
    assert info.value.kind == "Busy"
    assert names(driver) == []
    assert active(driver) == "ens4"


def test_a_standby_that_carries_is_not_taken_down() -> None:
    driver = joined()
    driver.kernel.unplug(VF)
    driver.tell()
    answer = ask(driver, "rename", "ens3nsby", "slow0")
    with pytest.raises(CallError, match="the other slave cannot"):
        answer.done(driver.state)
    assert driver.kernel.links[NIC].up


def test_a_device_that_is_down_is_renamed_at_once() -> None:
    driver = joined()
    driver.kernel.set_up(VF, up=False)
    driver.tell()
    driver.sent.clear()
    assert ask(driver, "rename", "ens4", "fast0").done(driver.state)
    assert driver.sent == [(Rename(VF, "fast0"),)]
    assert not driver.kernel.links[VF].up


def test_renames_are_done_one_after_the_other() -> None:
    driver = joined()
    answers = [CALLS["rename"].run(driver.state, [str(VF), name], driver.now) for name in ("one0", "two0")]
    driver.tell(*(event for answer in answers for event in answer.events))
    wait(driver, 0.1)
    assert all(answer.done(driver.state) for answer in answers)
    assert driver.kernel.links[VF].name == "two0"


def test_a_rename_to_the_name_it_has() -> None:
    driver = joined()
    assert ask(driver, "rename", "ens4", "ens4").done(driver.state)
    assert driver.sent == []


def test_the_vf_goes_while_it_waits_for_its_name() -> None:
    driver = joined()
    answer = CALLS["rename"].run(driver.state, ["ens4", "fast0"], driver.now)
    driver.kernel.unplug(VF)
    driver.tell()
    driver.tell(*answer.events)
    with pytest.raises(CallError, match="it was unplugged"):
        answer.done(driver.state)


def test_a_rename_that_has_no_turn_in_time_is_not_done_later() -> None:
    driver = joined()
    answer = CALLS["rename"].run(driver.state, ["ens4", "fast0"], driver.now)
    driver.state.pairs[MAC].work.pause_until = driver.now + 100
    driver.tell(*answer.events)
    assert not answer.done(driver.state)
    wait(driver, PATIENCE)
    with pytest.raises(CallError, match="could not be renamed in time; the pair is accelerated") as info:
        answer.done(driver.state)
    assert info.value.kind == "TimedOut"
    wait(driver, 200)
    assert driver.kernel.links[VF].name == "ens4"


def test_lost_answers_change_nothing() -> None:
    driver = joined(live_renames=True)
    driver.lose_at = frozenset({driver.done})
    answer = ask(driver, "rename", "ens4", "fast0")
    assert answer.done(driver.state)
    assert names(driver) == [("ens4", "fast0", "primary")]


def test_an_answer_to_an_order_that_is_over_changes_nothing() -> None:
    driver = joined(live_renames=True)
    pair = driver.state.pairs[MAC]
    send = pair.work.send(Part.NAMES, [Rename(VF, "fast0")], "an order that is over by now")
    driver.tell(Answered(send.ticket, send.requests, ((0, ""),)))
    assert not pair.work.batches


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ([(17, "")], "NameTaken"),
        ([(22, "odd")], "Failed"),
        ([(16, "")], None),
    ],
)
def test_what_the_kernel_says_is_what_who_asked_hears(answers: Sequence[tuple[int, str]], kind: str | None) -> None:
    driver = joined()
    answer = CALLS["rename"].run(driver.state, ["ens4", "fast0"], driver.now)
    driver.events.extend(answer.events)
    driver._step(driver.events.popleft())  # type: ignore[arg-type]
    pair = driver.state.pairs[MAC]
    driver.events.clear()
    driver._step(Answered(*under_way(pair.work), tuple(answers)))
    if kind is None:
        assert not answer.done(driver.state)
        return
    with pytest.raises(CallError, match="rename ens4 to fast0 failed") as info:
        answer.done(driver.state)
    assert info.value.kind == kind


def test_a_device_that_does_not_come_up_again_is_an_error_in_the_log() -> None:
    driver = joined()
    answer = CALLS["rename"].run(driver.state, ["ens3nsby", "slow0"], driver.now)
    driver.tell(*answer.events[:0])
    driver.events.extend(answer.events)
    driver._step(driver.events.popleft())  # type: ignore[arg-type]
    driver.events.clear()
    work = driver.state.pairs[MAC].work
    driver._step(Answered(*under_way(work), ((16, ""),)))
    driver.events.clear()
    driver._step(Answered(*under_way(work), ((0, ""), (0, ""), (12, "no memory"))))
    with pytest.raises(CallError, match="set ens3nsby up failed"):
        answer.done(driver.state)
    assert any("set ens3nsby up failed" in text for text in driver.said)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ens3", "NameTaken"),
        ("ens3nsby", "NameTaken"),
        ("averylongname1234", "InvalidName"),
        ("a/b", "InvalidName"),
        ("a b", "InvalidName"),
        ("a%d", "InvalidName"),
        ("a:b", "InvalidName"),
        (".", "InvalidName"),
        ("..", "InvalidName"),
        ("", "InvalidName"),
        (f"fo{MAC.replace(':', '')}", "InvalidName"),
        ("fs0123456789ab", "InvalidName"),
        ("failoverd-vf-3", "InvalidName"),
    ],
)
def test_names_that_are_none(name: str, kind: str) -> None:
    error = refused(joined(live_renames=True), "rename", "ens4", name)
    assert (error.kind, str(error).startswith(f"ens4 cannot be called {name!r}: ")) == (kind, True)


def test_a_device_has_to_be_named_plainly() -> None:
    driver = joined()
    assert refused(driver, "rename", MAC, "fast0").kind == "NoSuchDevice"
    assert refused(driver, "rename", "eth7", "fast0").kind == "NoSuchPair"


@pytest.mark.parametrize(
    ("call", "arguments"), [("drain", ()), ("rename", ("ens4",)), ("status", ("x",)), ("switch", ("a", "b", "c"))]
)
def test_calls_take_as_many_arguments_as_they_say(call: str, arguments: tuple[str, ...]) -> None:
    with pytest.raises(CallError, match="takes"):
        check(call, arguments)


def test_a_resync_keeps_what_was_ordered() -> None:
    driver = joined()
    ask(driver, "drain", "ens3")
    driver.tell(Synced(tuple(driver.kernel.links.values())))
    assert active(driver) == "ens3nsby"


def test_the_adopted_choose_for_themselves() -> None:
    driver = joined()
    driver.state.pairs[MAC].datapath = kernel.DATAPATH
    for call in (("drain", "ens3"), ("switch", "ens3", "ens4"), ("undrain", "ens3")):
        with pytest.raises(CallError) as info:
            CALLS[call[0]].run(driver.state, call[1:], 0.0)
        assert info.value.kind == "JoinedByKernel"


def test_a_rename_waits_until_the_other_slave_carries() -> None:
    driver = joined()
    answer = CALLS["rename"].run(driver.state, ["ens4", "fast0"], driver.now)
    driver.events.extend(answer.events)
    driver._step(driver.events.popleft())  # type: ignore[arg-type]
    driver._step(driver.events.popleft())  # type: ignore[arg-type]
    assert driver.state.pairs[MAC].work.has(Part.CARRY)
    before = len(driver.sent)
    driver._step(TimePassed())
    assert len(driver.sent) == before
    driver.tell()
    assert answer.done(driver.state)
    assert driver.kernel.links[VF].name == "fast0"


def test_what_is_the_daemons_is_not_the_engines() -> None:
    with pytest.raises(CallError, match="the daemon does this beside its engine"):
        CALLS["reload"].run(joined().state, (), 0.0)
    with pytest.raises(CallError, match="there is no call 'fly'"):
        check("fly", ())
