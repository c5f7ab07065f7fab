"""A device that can be in no pair costs the same on every machine: it is known at once, and no pair is looked at."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import Any

import pytest
from test_core_step import joined
from test_core_tc import joined as joined_by_tc

from failoverd.config.spec import Config, Master
from failoverd.core import matching
from failoverd.core import pair as steps
from failoverd.core.matching import rejudge
from failoverd.core.pairings import Pairings
from failoverd.core.state import State
from failoverd.core.status import nics
from failoverd.core.step import step
from failoverd.kinds import Bond
from failoverd.kinds.bond import SIGNATURE
from failoverd.model.actions import Action, WakeAt
from failoverd.model.events import Event, LinkGone, LinkSeen, Synced, TimePassed
from failoverd.model.links import Filter, Link, Tc
from failoverd.policy.naming import mark
from failoverd_lab.crowd import VETH, Machine, carrier, machine, unrelated, virtual

FLAT = 1.3
"""How much dearer an event may be on a machine with FULL devices, or MANY pairs, than on one with ten and one."""
FULL, MANY = 5000, 256


def wake(actions: list[Action]) -> float | None:
    return next((action.at for action in actions if isinstance(action, WakeAt)), None)


def test_three_hundred_veths_are_known_and_lead_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = joined()
    state, now = driver.state, driver.now
    monkeypatch.setattr(matching, "judge", lambda *_: pytest.fail("pairing was asked"))
    monkeypatch.setattr(steps, "advance", lambda *_: pytest.fail("a pair was looked at"))
    for number in range(300):
        assert not step(state, LinkSeen(replace(VETH, ifindex=5000 + number, name=f"v{number}")), now)
    assert state.name(5299) == "v299"
    assert nics(state)[-1]["reason"] == "it is a veth device; only hardware NICs are paired"
    for number in range(300):
        assert not step(state, LinkGone(5000 + number), now)
    assert 5299 not in state.links


def test_a_pairs_own_timer_is_kept() -> None:
    driver = joined_by_tc()
    state, now = driver.state, driver.now
    at = wake(step(state, TimePassed(), now))
    assert at is not None
    assert wake(step(state, LinkSeen(VETH), now)) == at
    assert wake(step(state, TimePassed(), now)) == at


def test_one_that_comes_up_wakes_nobody() -> None:
    state = State(joined().config)
    assert not step(state, LinkSeen(VETH), 0.0)
    assert not step(state, Synced((VETH,)), 0.0)
    assert not step(state, LinkSeen(replace(VETH, up=True)), 0.0)
    assert not step(state, LinkGone(99), 0.0)


# The same cost on every machine


def calls(state: State, events: list[Event], now: float) -> int:
    """How many functions are called for these events."""
    count = 0

    def note(_frame: FrameType, what: str, _argument: Any) -> None:
        nonlocal count
        count += what in ("call", "c_call")

    sys.setprofile(note)
    try:
        for event in events:
            step(state, event, now)
    finally:
        sys.setprofile(None)
    return count


@pytest.fixture(scope="module")
def machines() -> tuple[Machine, Machine, Machine]:
    return machine(10, 1), machine(FULL, 1), machine(3 * MANY, MANY)


@pytest.mark.parametrize("events", [unrelated, virtual, carrier])
def test_an_event_costs_the_same_on_every_machine(
    events: Callable[[Machine], list[Event]], machines: tuple[Machine, Machine, Machine]
) -> None:
    small, full, many = (calls(one.state, events(one), one.now) for one in machines)
    assert full <= FLAT * small
    assert many <= FLAT * small


# One MAC at a time comes to what all at once does


def odd_link(dice: random.Random, ifindex: int, macs: list[str]) -> Link:
    """Any device that may have to do with these MACs."""
    kind = dice.choice(("", "", "", "", "bond", "vlan", "bridge", "vrf", "veth", "gre"))
    mac, perm = dice.choice(macs), dice.choice((*macs, "")) if not kind else ""
    marks = {mark(dice.choice(macs)) for _ in range(dice.choice((0, 0, 1)))} if kind == "bond" else set()
    if not kind and dice.random() < 0.2:
        marks = {f"failoverd-{dice.choice(('vf', 'qdisc'))}-{ifindex}"}
    redirect = frozenset({Filter("egress", 1, 1, "u32", redirect=dice.randrange(2, 14), ours=True)})
    return Link(
        ifindex,
        f"eth{ifindex}",
        mac=dice.choice((mac, perm or mac)),
        perm_mac=perm,
        up=True,
        carrier=dice.random() < 0.7,
        master=dice.choice((0, 0, 0, dice.randrange(2, 14))),
        link=dice.randrange(2, 14) if kind in ("vlan", "gre", "veth") else 0,
        kind=kind,
        bus=dice.choice(("virtio", "pci", "pci", "vmbus", "usb")) if not kind else "",
        parent=f"parent{ifindex}" if not kind else "",
        driver=dice.choice(("some", "some", "hv_netvsc", "net_failover")) if not kind else "",
        info=Bond(mode=1, lp_interval=dice.choice((0, SIGNATURE))) if kind == "bond" else None,
        altnames=frozenset(marks),
        standby_feature=not kind and dice.random() < 0.1,
        tc=Tc("clsact", filters=redirect) if not kind and dice.random() < 0.1 else Tc(),
    )


def shown(found: Pairings) -> tuple[object, ...]:
    return found.pairs, found.members, found.refused_nics, found.verdicts, found.misplaced, found.leftovers, found.deaf


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("datapath", ["auto", "bond", "tc"])
def test_judging_the_macs_concerned_comes_to_what_judging_all_does(seed: int, datapath: str) -> None:
    dice = random.Random(seed)
    macs = [f"52:54:00:fa:11:0{number}" for number in range(3)]
    state = State(Config(master=Master(create="always", datapath=datapath)))
    step(state, Synced(()), 0.0)
    for turn in range(150):
        ifindex = dice.randrange(2, 14)
        is_going = ifindex in state.links and dice.random() < 0.3
        link = odd_link(dice, ifindex, macs)
        if any(state.links.other(name, ifindex) for name in link.altnames):
            # The kernel gives a name once.
            link = replace(link, altnames=frozenset())
        step(state, LinkGone(ifindex) if is_going else LinkSeen(link), float(turn))
        before = shown(state.judgements)
        state.judgements = Pairings()
        rejudge(state)
        for after, was in zip(shown(state.judgements), before, strict=True):
            assert after == was, f"turn {turn}"
