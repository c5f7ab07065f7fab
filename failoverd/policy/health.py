"""The health of a slave that can carry: flap damping, and path truth.

With the link (policy/election.py) the three make one verdict, a Standing.

Flap damping
------------

Each time the VF fails it gets a penalty of FLAP, which halves every `half_life`. Above `suppress` the traffic stays on
the standby until the penalty has fallen to `reuse`, however fit the VF is meanwhile; a further failure adds to it. So a
VF that flaps is followed a few times and then no more, and one that fails now and then is followed each time. That is
BGP route flap damping (RFC 2439) with these differences:

- The default of `suppress` is 6,000, as RFC 7196 advises. The 2,000 or 3,000 of RFC 2439's time suppress after two
  or three events, which one fault and its repair may be.
- `half_life` is 300 s and not 900: what is protected are the neighbours of one machine and not the Internet, and a VF
  that is unplugged and plugged in every few minutes, as by migrations, must never be suppressed. Failures at equal
  intervals T come to FLAP / (1 - 2 ** (-T / half_life)) at most: 4,130 for T = 120 s, and 6,000 for 79 s.
- The penalty is capped, as in RFC 2439 (section 4.2), so that a VF is suppressed for `max_suppress` after its last
  failure at the longest.
- A suppressed VF carries all the same where the standby cannot. Suppression can only take away a choice.

Path truth
----------

Where it is switched on ([path]), targets are probed through each slave once in an interval. Each round is read so:

    through the one    through the other    conclusion
    answered           answered             both are well
    silent             answered             after `misses` rounds in a row: the first one's path is dead
    silent             silent               nothing: the target is down, or both are, and a switch would help neither

A dead path stays dead until it answers, or the link goes down and comes back, or another device is plugged in. It does
not end when the other one stops answering, or a target that goes down would bring the traffic back to where it was
lost. A slave that has never answered while it did not carry may be one whose host drops foreign MACs
(netlink/probe.py); its silence proves nothing. Both paths are never dead, and where the other slave cannot carry, none
is.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from math import exp2, log2

from failoverd.config.spec import Damping as Rule
from failoverd.model.health import Damping, Path
from failoverd.policy.election import Standing

DEAD = "its link is up, but its path is dead: the targets of [path] answer through the other slave alone"
PATHS = ("not-probed", "unknown", "answers", "silent", "dead")
"""The words for the state of a path."""

FLAP = 1000.0
"""The penalty of one failure: RFC 2439's figure of merit."""


def penalty(damping: Damping, rule: Rule, now: float) -> float:
    """Return the penalty that is left at `now`."""
    return damping.penalty * exp2(-max(0.0, now - damping.at) / rule.half_life)


def flapped(damping: Damping, times: int, rule: Rule, now: float) -> Damping:
    """Add the penalty of this many failures of the VF."""
    most = rule.reuse * exp2(min(rule.max_suppress / rule.half_life, 64.0))
    left = min(penalty(damping, rule, now) + FLAP * times, most)
    return replace(damping, penalty=left, at=now, suppressed=damping.suppressed or left > rule.suppress)


def aged(damping: Damping, rule: Rule, now: float) -> Damping:
    """Return the damping at `now`: a suppression may be over."""
    until = suppressed_until(damping, rule)
    return damping if until is None or now < until else replace(damping, suppressed=False)


def suppressed_until(damping: Damping, rule: Rule) -> float | None:
    """Return when the VF may carry again if it does not fail before, None where it is not suppressed."""
    return damping.at + steady_for(damping, rule) if damping.suppressed else None


def steady_for(damping: Damping, rule: Rule) -> float:
    """Return how long it has to be without a failure, in seconds after the last one."""
    return rule.half_life * log2(max(damping.penalty, rule.reuse) / rule.reuse)


def suppressed_reason(damping: Damping, rule: Rule) -> str:
    """Return why this VF may not carry although it can, or "". The words stay the same from one failure to the next."""
    if not damping.suppressed:
        return ""
    return f"it flaps, and is suppressed until it has been steady for {steady_for(damping, rule):.0f} s"


def probed(
    paths: Mapping[int, Path], asked: AbstractSet[int], answered: AbstractSet[int], active: int, misses: int
) -> dict[int, Path]:
    """Return the paths after a round in which the slaves in `asked` were probed and those in `answered` answered."""
    found = dict(paths)
    for slave in asked:
        known = found.get(slave, Path())
        if slave in answered:
            found[slave] = Path(answered=True)
            continue
        missed = known.missed + bool(answered & asked)
        is_dead = missed >= misses and (known.answered or slave == active)
        found[slave] = replace(known, silent=True, missed=missed, dead=known.dead or is_dead)
    return found


def judged(standing: Standing, paths: Mapping[int, Path]) -> Standing:
    """Return the standing with the paths taken into account. A dead path counts only where both slaves have a link."""
    primary, standby = standing.primary, standing.standby
    if primary is None or standby is None or standing.bad_primary or standing.bad_standby:
        return standing
    if paths.get(primary.ifindex, Path()).dead:
        return replace(standing, bad_primary=DEAD)
    if paths.get(standby.ifindex, Path()).dead:
        return replace(standing, bad_standby=DEAD)
    return standing


def describe(path: Path | None, is_probed: bool) -> str:
    """Return the state of a path, one of PATHS."""
    if path is not None and path.dead:
        return "dead"
    if not is_probed:
        return "not-probed"
    if path is None or not path.answered:
        return "unknown"
    return "silent" if path.silent else "answers"
