"""Counting the failures of a VF, for the damping of flaps (policy/health.py has the consequences).

A flap is a VF that could carry and cannot any more: its carrier lost, set down, taken out of its master, unplugged. A
VF that fails in more than one way before it is fit again has failed once, but the carrier losses that the kernel counts
(IFLA_CARRIER_DOWN_COUNT) are flaps each, seen or not: they may come faster than the kernel reports them. A planned
outage is no flap: while the pair is drained, while failoverd sets the VF down for its name, while the master is down,
or being made or taken apart. Nor is an MTU unlike the master's, which a program or a user has set.

If a drained VF is replaced by another one, the host replaced it, as in a migration: the new one starts without a
penalty. Without a drain, a VF that is plugged in anew has the penalty of the one before.
"""

from __future__ import annotations

import math
from dataclasses import field, replace
from typing import TYPE_CHECKING

from failoverd.config.spec import Damping as Rule
from failoverd.core.paths import stand
from failoverd.dataclass import dataclass
from failoverd.model.actions import Action, KeepDamping, Say
from failoverd.model.health import Damping
from failoverd.model.links import Link
from failoverd.model.pairs import Goal, Pair, There
from failoverd.policy.election import Standing
from failoverd.policy.health import aged, flapped, suppressed_reason, suppressed_until

if TYPE_CHECKING:
    from failoverd.core.state import PairState, State


@dataclass(slots=True)
class Health:
    """The failures of a VF."""

    damping: Damping = field(default_factory=Damping)
    """The penalty for its flaps."""
    flaps: int = 0
    """The number of flaps since failoverd was started."""
    fit: bool = False
    """Whether the VF could carry when it was last looked at."""
    excused: float = 0
    """The number of carrier losses that belong to a failure counted already; all of them (inf) for a planned outage."""
    shunned: bool = False
    """Whether a suppressed VF has flapped since it began to carry for want of a standby."""


def count(state: State, pair: PairState, now: float) -> list[Action]:
    """Count the VF's failures since the last look, and begin or end a suppression."""
    found, rule = state.judgements.pair(pair.mac), state.config.damping
    stands, was = stand(state, pair, found), pair.health.damping
    if stands is None or not pair.datapath.candidates(stands):
        return reset(pair)
    damping = replace(was, dead=pair.paths.dead, missed_since=pair.conditions.vf_gone_at or 0.0)
    is_meant = _is_meant(pair, found, state.links[found.master], now)
    damping = _counted(pair, stands, damping, rule, now, is_meant=is_meant)
    return _told(pair, damping, rule, state.name(found.master))


def count_there(state: State, pair: PairState, there: There, now: float) -> list[Action]:
    """Count the failures of a VF in another network namespace likewise, and begin or end a suppression."""
    rule, was = state.config.damping, pair.health.damping
    stands = Standing(there.active, there.vf, there.nic, there.bad_primary, there.bad_standby)
    is_meant = pair.orders.drain is not None or not there.master.up
    damping = _counted(pair, stands, was, rule, now, is_meant=is_meant)
    return _told(pair, damping, rule, there.master.name)


def suppression(state: State, pair: PairState) -> tuple[str, bool]:
    """Return why the VF is not to carry for its flaps, or "", and whether not even for want of a standby."""
    return suppressed_reason(pair.health.damping, state.config.damping), pair.health.shunned


def _told(pair: PairState, damping: Damping, rule: Rule, name: str) -> list[Action]:
    """Note the penalty, keep it where it matters, and say that a suppression begins or ends."""
    was, pair.health.damping = pair.health.damping, damping
    is_kept = was != damping and (was.is_worth_keeping or damping.is_worth_keeping)
    kept: list[Action] = [KeepDamping(pair.mac, damping)] if is_kept else []
    if damping.suppressed == was.suppressed:
        return kept
    if not damping.suppressed:
        return [*kept, Say("info", f"{name}: the VF has been steady, and may carry again")]
    why = f"the VF is not to carry: {suppressed_reason(damping, rule)}; failoverctl reset-damping {name} ends that"
    return [*kept, Say("warning", f"{name}: {why}")]


def _counted(pair: PairState, stands: Standing, was: Damping, rule: Rule, now: float, *, is_meant: bool) -> Damping:
    """Return the damping as it is now. Where it is switched off, there is no penalty."""
    if not rule.enabled:
        return Damping(dead=was.dead, missed_since=was.missed_since) if was.penalty else was
    health, vf = pair.health, stands.primary
    flaps = _flaps(pair, stands, vf, is_meant=is_meant)
    damping = aged(was, rule, now)
    if vf is not None and (not stands.bad_primary or was.vf == vf.ifindex):
        damping = replace(damping, vf=vf.ifindex, losses=vf.carrier_losses)
    if flaps:
        damping = flapped(damping, flaps, rule, now)
    health.flaps += flaps
    is_active = stands.active == (vf.ifindex if vf is not None else 0)
    health.shunned = is_active and (health.shunned or (flaps > 0 and damping.suppressed))
    return damping


def begin_anew(pair: PairState) -> None:
    """The pair has come to another network namespace, or home: what has happened to its VF on the way is no failure."""
    pair.health.damping = replace(pair.health.damping, vf=0, losses=0)
    pair.health.fit, pair.health.excused = False, 0


def reset(pair: PairState) -> list[Action]:
    """Start anew, without a penalty."""
    had = pair.health.damping
    missed_since = pair.conditions.vf_gone_at or 0.0
    damping = replace(had, penalty=0.0, at=0.0, suppressed=False, dead=pair.paths.dead, missed_since=missed_since)
    pair.health.damping, pair.health.shunned = damping, False
    kept = damping if damping.is_worth_keeping else Damping()
    return [KeepDamping(pair.mac, kept)] if had.is_worth_keeping else []


def reuse_at(state: State, pair: PairState) -> float | None:
    """Return when a suppression ends."""
    return suppressed_until(pair.health.damping, state.config.damping)


def _is_meant(pair: PairState, found: Pair, master: Link, now: float) -> bool:
    """Whether a failure of the VF now would be planned."""
    orders = pair.orders
    is_renamed = any(order.down and order.ifindex == found.vf for order in orders.renames)
    is_kept = pair.move.journal is None and master.up and pair.goal(now) is Goal.JOINED
    return orders.drain is not None or is_renamed or not is_kept


def _flaps(pair: PairState, stands: Standing, vf: Link | None, is_meant: bool) -> int:
    """Return the number of flaps to count now."""
    health, is_fit = pair.health, not stands.bad_primary
    known = vf is not None and health.damping.vf == vf.ifindex
    lost = max(0, vf.carrier_losses - health.damping.losses) if vf is not None and known else 0
    if is_meant:
        health.excused = math.inf
    elif health.fit and not is_fit:
        health.excused, lost = max(0, 1 - lost), max(lost, 1)
    else:
        health.excused, lost = max(0.0, health.excused - lost), int(max(0.0, lost - health.excused))
    if is_meant:
        lost = 0
    health.fit = is_fit
    if is_fit:
        health.excused = 0
    return lost
