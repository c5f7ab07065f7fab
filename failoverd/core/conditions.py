"""Reporting a pair's conditions (policy/conditions.py), when they begin and when they end."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from failoverd.core.paths import by_links
from failoverd.dataclass import dataclass
from failoverd.model.actions import Action, AskMode, Emit
from failoverd.model.events import ModeSeen
from failoverd.model.health import Mode
from failoverd.model.pairs import Goal, Pair
from failoverd.model.signals import ConditionChanged
from failoverd.policy.conditions import SETTLES, conditions, half_duplex, slower
from failoverd.policy.health import suppressed_reason

if TYPE_CHECKING:
    from failoverd.core.state import PairState, State


@dataclass(slots=True)
class Conditions:
    """The conditions of a pair."""

    told: dict[str, str] = field(default_factory=dict)
    """The conditions that were reported and are still present, with their descriptions."""
    since: dict[str, float] = field(default_factory=dict)
    """The time since when each present condition is present."""
    has_vf: bool = False
    """Whether the pair had a VF when it was last looked at."""
    vf_gone_at: float | None = None
    """The time since when there is no VF, if there was one."""
    late: str = ""
    """The text that the VF should have come back by now, or ""."""
    asked: dict[int, str] = field(default_factory=dict)
    """The slaves with a carrier, with the names by which their modes were asked for."""
    modes: dict[int, Mode] = field(default_factory=dict)
    """Their modes, as far as known."""

    @property
    def next_at(self) -> float | None:
        """The time when one of them has lasted long enough to be reported."""
        return min((at + SETTLES for word, at in self.since.items() if word not in self.told), default=None)


def judge(state: State, pair: PairState, now: float) -> list[Action]:
    """Find the present conditions, and report those that have begun or ended."""
    found = state.judgements.pair(pair.mac)
    told, since = pair.conditions.told, pair.conditions.since
    if found.vf or state.link(found.master) is None:
        pair.conditions.vf_gone_at = None
    elif pair.conditions.has_vf:
        pair.conditions.vf_gone_at = now
    pair.conditions.has_vf = found.vf != 0
    at = deadline(state, pair)
    is_late = at is not None and now >= at
    pair.conditions.late = f"no VF has come back for {state.config.degraded.vf_deadline:g} s" if is_late else ""
    present = _present(state, pair, found, now)
    if present is None:
        pair.conditions.told, pair.conditions.since = {}, {}
        return []
    since = {word: since.get(word, now) for word in present}
    lasting = {word: text for word, text in present.items() if now >= since[word] + SETTLES}
    pair.conditions.told, pair.conditions.since = lasting, since
    name = state.name(found.master)
    begun = ((word, True, text) for word, text in lasting.items() if word not in told)
    over = ((word, False, text) for word, text in told.items() if word not in present)
    return [Emit(ConditionChanged(name, pair.mac, word, is_so, text)) for word, is_so, text in (*begun, *over)]


def seen(pair: PairState, event: ModeSeen) -> None:
    """Take in a slave's mode, unless its link has gone meanwhile."""
    if event.ifindex in pair.conditions.asked:
        pair.conditions.modes[event.ifindex] = event.mode


def ask(state: State, pair: PairState) -> list[Action]:
    """Ask for the modes of a joined pair's links that have come up, and forget those of links that are gone.

    A link that negotiates a new speed loses its carrier for that. The driver is asked by name and under the kernel's
    RTNL lock: by another thread, and after everything else that the step wants.
    """
    known, found = pair.conditions, state.judgements.pair(pair.mac)
    nics = (state.link(found.vf), state.link(found.nic)) if pair.joined else ()
    up = {link.ifindex: link.name for link in nics if link is not None and link.carrier}
    new = {ifindex: name for ifindex, name in up.items() if known.asked.get(ifindex) != name}
    known.asked = up
    known.modes = {ifindex: mode for ifindex, mode in known.modes.items() if ifindex in up and ifindex not in new}
    return [AskMode(pair.mac, ifindex, name) for ifindex, name in new.items()]


def deadline(state: State, pair: PairState) -> float | None:
    """Return the time by which a VF that is gone should have come back."""
    gone_at, wait = pair.conditions.vf_gone_at, state.config.degraded.vf_deadline
    return gone_at + wait if gone_at is not None and wait else None


def wake_at(state: State, pair: PairState, now: float) -> float | None:
    """Return when to judge again if nothing happens."""
    times = (deadline(state, pair), pair.conditions.next_at)
    return min((at for at in times if at is not None and at > now), default=None)


def _present(state: State, pair: PairState, found: Pair, now: float) -> dict[str, str] | None:
    """Return the present conditions; None for a pair that is not joined, for which nothing is reported."""
    master, stands = state.link(found.master), by_links(state, pair, found)
    if master is None or stands is None or not pair.joined or pair.goal(now) is not Goal.JOINED:
        return None
    vf, nic = state.link(found.vf), state.link(found.nic)
    slaves = [
        link for link in (vf, nic) if link is not None and link is not master and pair.datapath.holds(link, master)
    ]
    return conditions(
        stands,
        {link.name: pair.datapath.mtu_mismatch(link, master) for link in slaves},
        pair.datapath.flaws(master, vf, nic),
        state.link(pair.paths.dead),
        suppressed_reason(pair.health.damping, state.config.damping),
        pair.conditions.late,
        slower(vf, nic, pair.conditions.modes),
        half_duplex((vf, nic), pair.conditions.modes),
    )
