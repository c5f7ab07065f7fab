"""Who carries the traffic.

The VF does, once it has been fit for the whole hold-down; the standby does whenever the VF is not fit. Going to the
standby is never delayed, coming back always is: a link that has just come up tends to go down again, and every switch
costs the neighbours something. A VF that carries already needs no hold-down, whatever happened before: a restart must
not flap.

One unfitness is given a moment: an MTU unlike the master's. When somebody sets the master's MTU, bonding sets each
slave's first and its own last, each with a message of its own, and the VF must not be left for what is true between two
messages.
"""

from __future__ import annotations

from dataclasses import dataclass

from failoverd.model.links import Link

MTU_GRACE = 0.1
"""Seconds for which an MTU unlike the master's is taken for a change that is still going on."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Since when (the engine's clock, seconds) the primary has been fit, and its MTU unlike the master's."""

    fit_since: float | None = None
    unlike_since: float | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """`hold_down` in seconds; `automatic`: go back to the VF without being told."""

    hold_down: float
    automatic: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """Which slave shall carry (its ifindex, 0: leave it as it is) and why; `at` is when to ask again, if ever."""

    slave: int
    reason: str
    at: float | None = None


def why_unfit(slave: Link | None, master: Link) -> str:
    """Why this slave cannot carry the master's traffic now, whatever its MTU, or ""."""
    if slave is None:
        return "it is unplugged"
    if slave.master != master.ifindex:
        return "it is not enslaved"
    if not slave.up:
        return "it is down"
    if not slave.carrier:
        return "it has no carrier"
    return ""


def is_unlike(primary: Link | None, master: Link) -> bool:
    """Whether the primary's MTU is not the master's."""
    return primary is not None and primary.mtu != master.mtu


def elect(master: Link, primary: Link | None, standby: Link | None, seen: Seen, rule: Rule, now: float) -> Choice:
    """Choose the active slave."""
    bad_standby = why_unfit(standby, master)
    bad_primary = why_unfit(primary, master)
    if not bad_primary and is_unlike(primary, master):
        since = now if seen.unlike_since is None else seen.unlike_since
        if now < since + MTU_GRACE:
            return Choice(0, "the MTU is being changed", since + MTU_GRACE)
        if primary is not None and not bad_standby:
            bad_primary = f"its MTU is {primary.mtu} and the master's {master.mtu}"
    if primary is not None and not bad_primary:
        return _for_primary(master, primary, bad_standby, seen, rule, now)
    if standby is not None and not bad_standby:
        return _take(standby, master, f"the VF cannot carry: {bad_primary}")
    return Choice(0, f"nobody can carry: the VF: {bad_primary}; the standby: {bad_standby}")


def _for_primary(master: Link, primary: Link, bad_standby: str, seen: Seen, rule: Rule, now: float) -> Choice:
    """The primary is fit: does it carry, and if it does not yet, when shall it?"""
    if bad_standby:
        return _take(primary, master, f"the standby cannot carry: {bad_standby}")
    if _active(master) == primary.ifindex:
        return Choice(0, "the VF carries")
    if not rule.automatic:
        return Choice(0, "the VF is fit, and going back to it is left to the administrator")
    steady_at = (now if seen.fit_since is None else seen.fit_since) + rule.hold_down
    if now < steady_at:
        return Choice(0, f"the VF is held down until it has been steady for {rule.hold_down:g} s", steady_at)
    return _take(primary, master, "the VF has been steady")


def _take(slave: Link, master: Link, reason: str) -> Choice:
    if _active(master) == slave.ifindex:
        return Choice(0, reason)
    if not slave.mii_up:
        return Choice(0, f"{reason}; the bond has not yet seen the link of {slave.name}")
    return Choice(slave.ifindex, reason)


def _active(master: Link) -> int:
    return master.bond.active if master.bond else 0
