"""Who carries the traffic, and when."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failoverd.datapaths.base import standing
from failoverd.datapaths.bond import DATAPATH
from failoverd.kinds import Bond
from failoverd.model.links import Link
from failoverd.policy.election import MTU_GRACE, Rule, Seen, Standing, elect, unfit_reason

RULE = Rule(hold_down=1.0, automatic=True)
STANDBY = Link(2, "ens3nsby", up=True, carrier=True, master=9)
VF = Link(3, "ens4", up=True, carrier=True, master=9)
NOW = 100.0


def stands(active: int, primary: Link | None, standby: Link | None) -> Standing:
    """A pair in a bond, with this active slave."""
    master = Link(9, "ens3", kind="bond", up=True, carrier=True, info=Bond(mode=1, active=active))
    return standing(DATAPATH, master, primary, standby)


@pytest.mark.parametrize(
    ("slave", "why"),
    [
        (None, "it is unplugged"),
        (replace(VF, master=0), "it is not enslaved"),
        (replace(VF, up=False), "it is down"),
        (replace(VF, carrier=False), "it has no carrier"),
        (VF, ""),
    ],
)
def test_who_is_fit(slave: Link | None, why: str) -> None:
    assert unfit_reason(slave, joined=slave is not None and slave.master == 9) == why


def test_the_standby_takes_over_at_once() -> None:
    for bad in (None, replace(VF, carrier=False), replace(VF, up=False)):
        choice = elect(stands(3, bad, STANDBY), Seen(), RULE, NOW)
        assert choice.slave == 2
        assert choice.at is None


def test_the_vf_has_to_be_steady_first() -> None:
    held = elect(stands(2, VF, STANDBY), Seen(fit_since=NOW - 0.4), RULE, NOW)
    assert (held.slave, held.at) == (0, NOW + 0.6)
    assert elect(stands(2, VF, STANDBY), Seen(), RULE, NOW).at == NOW + 1
    assert elect(stands(2, VF, STANDBY), Seen(fit_since=NOW - 1), RULE, NOW).slave == 3


def test_a_vf_that_carries_is_left_alone_whatever_happened_before() -> None:
    assert elect(stands(3, VF, STANDBY), Seen(fit_since=NOW), RULE, NOW).slave == 0


def test_without_a_standby_there_is_no_hold_down() -> None:
    assert elect(stands(0, VF, None), Seen(), RULE, NOW).slave == 3
    assert elect(stands(3, VF, None), Seen(), RULE, NOW).slave == 0


def test_going_back_can_be_left_to_the_administrator() -> None:
    choice = elect(stands(2, VF, STANDBY), Seen(fit_since=0), replace(RULE, automatic=False), NOW)
    assert choice.slave == 0
    assert "administrator" in choice.reason


def test_nobody_can_carry() -> None:
    choice = elect(stands(0, None, None), Seen(), RULE, NOW)
    assert choice.slave == 0
    assert choice.reason == "no slave can carry: the VF: it is unplugged; the standby: it is unplugged"


def test_a_slave_the_bond_takes_for_dead_cannot_be_chosen_yet() -> None:
    choice = elect(stands(3, None, replace(STANDBY, mii_up=False)), Seen(), RULE, NOW)
    assert choice.slave == 0
    assert "the bond has not yet seen the link of ens3nsby" in choice.reason


def test_an_mtu_unlike_the_masters_is_given_a_moment() -> None:
    vf = replace(VF, mtu=9000)
    assert not stands(3, None, STANDBY).mtu_mismatch
    assert elect(stands(3, vf, STANDBY), Seen(), RULE, NOW).at == NOW + MTU_GRACE
    choice = elect(stands(3, vf, STANDBY), Seen(mtu_mismatch_since=NOW - MTU_GRACE), RULE, NOW)
    assert choice.slave == 2
    assert "its MTU is 9000 and the master's 1500" in choice.reason
    alone = elect(stands(3, vf, None), Seen(mtu_mismatch_since=NOW - MTU_GRACE), RULE, NOW)
    assert alone.slave == 0


def test_something_that_is_no_bond_has_no_active_slave() -> None:
    nothing = standing(DATAPATH, Link(9, "ens3", up=True), VF, None)
    assert elect(nothing, Seen(), RULE, NOW).slave == 3


slaves = st.none() | st.builds(
    Link,
    st.just(3),
    st.just("ens4"),
    up=st.booleans(),
    carrier=st.booleans(),
    master=st.sampled_from([0, 9]),
    mtu=st.sampled_from([1500, 9000]),
    mii_up=st.booleans(),
)
times = st.none() | st.floats(90, 100)


@given(slaves, slaves, st.sampled_from([0, 2, 3]), times, times, st.booleans())
def test_only_the_fit_are_chosen_and_choosing_comes_to_rest(
    primary: Link | None, standby: Link | None, active: int, fit: float | None, unlike: float | None, automatic: bool
) -> None:
    standby = replace(standby, ifindex=2) if standby else None
    rule = Rule(1.0, automatic)
    choice = elect(stands(active, primary, standby), Seen(fit, unlike), rule, NOW)
    if choice.slave:
        chosen = primary if choice.slave == 3 else standby
        assert not unfit_reason(chosen, joined=chosen is not None and chosen.master == 9)
        again = elect(stands(choice.slave, primary, standby), Seen(fit, unlike), rule, NOW)
        assert again.slave == 0
    assert choice.at is None or choice.at > NOW
    assert choice.reason


whys = st.sampled_from(["", "it is in the way"])
STANDINGS = st.builds(
    Standing,
    st.sampled_from([0, 2, 3, 77]),
    st.none() | st.just(VF),
    st.none() | st.just(STANDBY),
    bad_primary=whys,
    bad_standby=whys,
    mtu_mismatch=whys,
).map(
    lambda s: replace(
        s,
        bad_primary=s.bad_primary if s.primary else "it is unplugged",
        bad_standby=s.bad_standby if s.standby else "it is unplugged",
    )
)


@given(STANDINGS, times, times, st.booleans())
def test_in_whatever_words_a_datapath_says_it(
    stands: Standing, fit: float | None, unlike: float | None, automatic: bool
) -> None:
    """Nobody bad is chosen, the VF with another MTU only where nobody else can carry, and who carries is not chosen."""
    choice = elect(stands, Seen(fit, unlike), Rule(1.0, automatic), NOW)
    bad = {2: stands.bad_standby, 3: stands.bad_primary}
    assert choice.slave in (0, 2, 3)
    assert not choice.slave or not bad[choice.slave]
    assert not choice.slave or choice.slave != stands.active
    if choice.slave == 3:
        assert stands.bad_standby or not stands.mtu_mismatch
    if stands.bad_primary and not stands.bad_standby:
        assert 2 in (choice.slave, stands.active), "the standby takes over at once"
