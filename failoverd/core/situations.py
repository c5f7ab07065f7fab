"""The planner's view of a pair (plan/situation.py), and whether there is anything to plan for."""

from __future__ import annotations

from dataclasses import replace

from failoverd.core.boot_names import meant
from failoverd.core.crowding import is_crowded
from failoverd.core.state import PairState, State
from failoverd.model.pairs import Goal, Inet, Pair
from failoverd.plan.situation import Situation
from failoverd.policy.naming import formers

NAMING = 5
"""Times `udev_wait` that udev gets where the name it gives becomes the master's."""


def found_pair(state: State, pair: PairState, now: float) -> Pair:
    """Return the pair as judged. A move that has begun is finished even if the NIC would not be paired any more."""
    found = state.judgements.pair(pair.mac)
    journal, refused = pair.move.journal, state.judgements.refused_nics.get(pair.mac, 0)
    if not refused or found.nic or journal is None:
        return found
    return replace(found, nic=refused) if journal.cut or pair.goal(now) is Goal.RELEASED else found


def is_wanted(state: State, pair: PairState, found: Pair, now: float) -> bool:
    """Whether there is anything to do: a master to keep, a move to finish, or a pair to be made."""
    if found.master or (pair.move.journal is not None and pair.move.journal.cut):
        return True
    if pair.goal(now) is Goal.RELEASED:
        is_owed = any(formers(state.links[i]) for i in (found.nic, found.vf) if i)
        return pair.move.journal is not None or pair.joined or is_owed or (bool(found.nic) and pair.move.lost != Inet())
    if found.nic and found.vf:
        return True
    create = state.config.master.create
    return bool(found.nic) and (create == "always" or (create == "remembered" and pair.mac in state.memory.joined))


def situation(state: State, pair: PairState, found: Pair, now: float) -> Situation:
    waited = {i for i, since in state.arrivals.asked.items() if now >= since + _udev_wait(state, pair, found, i)}
    return Situation(
        pair.mac,
        pair.datapath,
        state.config,
        now,
        nic=state.link(found.nic),
        vf=state.link(found.vf),
        master=state.link(found.master),
        journal=pair.move.journal,
        inet=pair.move.inet,
        links=state.links,
        ready=frozenset(state.arrivals.ready | waited),
        held_on=state.arrivals.held_on,
        blocked=pair.work.blocked(now),
        hopeless=pair.work.hopeless(),
        vf_wait=pair.carry.vf_wait,
        udev_names=state.arrivals.udev_names,
        meant=meant(state, pair, found, now),
        is_fresh=found.nic not in pair.names.named
        and found.nic in state.arrivals.newcomers | state.arrivals.plain.keys(),
        joined=pair.joined,
        lost=pair.move.lost,
        hanging=pair.obstacles.hanging,
        could=frozenset(pair.obstacles.could),
        crowded=is_crowded(pair, found.nic),
    )


def udev_deadline(state: State, found: Pair, now: float) -> float | None:
    pair = state.pairs[found.mac]
    asked = [i for i in (found.nic, found.vf) if i in state.arrivals.asked]
    times = [state.arrivals.asked[i] + _udev_wait(state, pair, found, i) for i in asked]
    return min((at for at in times if at > now), default=None)


def _udev_wait(state: State, pair: PairState, found: Pair, ifindex: int) -> float:
    """Return how long udev may take, in seconds.

    The master inherits the paravirtual NIC's name at join time, and kernels before 6.2 cannot rename it while it is up.
    The network's configuration expects the name that udev gives. So udev gets longer there.
    """
    named = pair.datapath.named_nic(state.link(found.nic))
    is_naming = named is not None and named.ifindex == ifindex and not pair.joined
    return state.config.join.udev_wait * (NAMING if is_naming else 1)
