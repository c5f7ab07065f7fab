"""The election: which slave carries the traffic.

The VF carries once it has been fit for the whole hold-down; the standby carries whenever the VF is not fit. The switch
to the standby is never delayed, the switch back always is: a link that has just come up tends to go down again, and
every switch costs the neighbours something. A VF that carries already needs no hold-down, whatever happened before: a
restart must not flap.

An MTU that differs from the master's makes a VF unfit only after a moment. When the master's MTU is set, bonding sets
each slave's first and its own last, with a message for each, and a state between two messages must not cause a switch.
"""

from __future__ import annotations

from failoverd.dataclass import dataclass
from failoverd.model.links import Link

MTU_GRACE = 0.1
"""Seconds for which an MTU that differs from the master's is taken for a change in progress."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of a pair, as its datapath sees it.

    `active` is the ifindex of the slave that carries (0: none). `bad_primary` and `bad_standby` say why that slave
    cannot carry now, whatever its MTU, or "". `mtu_mismatch` says why the primary's MTU does not fit the master's, or
    "".
    """

    active: int
    primary: Link | None
    standby: Link | None
    bad_primary: str
    bad_standby: str
    mtu_mismatch: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """Since when (the engine's clock, seconds) the primary has been fit, and its MTU different from the master's."""

    fit_since: float | None = None
    mtu_mismatch_since: float | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """`hold_down` in seconds; `automatic`: go back to the VF without an order."""

    hold_down: float
    automatic: bool


@dataclass(frozen=True, slots=True)
class Elected:
    """The slave that shall carry (its ifindex, 0: no change) and the reason; `at` is when to ask again, if ever."""

    slave: int
    reason: str
    at: float | None = None


def unfit_reason(slave: Link | None, joined: bool) -> str:
    """Return why this NIC cannot carry its master's traffic now, whatever its MTU, or ""."""
    if slave is None:
        return "it is unplugged"
    if not joined:
        return "it is not enslaved"
    if not slave.up:
        return "it is down"
    if not slave.carrier:
        return "it has no carrier"
    return ""


def elect(standing: Standing, seen: Seen, rule: Rule, now: float) -> Elected:
    """Choose the active slave."""
    primary, standby = standing.primary, standing.standby
    bad_primary = standing.bad_primary
    if not bad_primary and standing.mtu_mismatch:
        since = now if seen.mtu_mismatch_since is None else seen.mtu_mismatch_since
        if now < since + MTU_GRACE:
            return Elected(0, "the MTU is being changed", since + MTU_GRACE)
        if not standing.bad_standby:
            bad_primary = standing.mtu_mismatch
    if primary is not None and not bad_primary:
        return _for_primary(standing, primary, seen, rule, now)
    if standby is not None and not standing.bad_standby:
        return _take(standby, standing, f"the VF cannot carry: {bad_primary}")
    return Elected(0, f"no slave can carry: the VF: {bad_primary}; the standby: {standing.bad_standby}")


def _for_primary(standing: Standing, primary: Link, seen: Seen, rule: Rule, now: float) -> Elected:
    """Decide for a primary that is fit: it carries already, or it shall carry now or later."""
    if standing.bad_standby:
        return _take(primary, standing, f"the standby cannot carry: {standing.bad_standby}")
    if standing.active == primary.ifindex:
        return Elected(0, "the VF carries")
    if not rule.automatic:
        return Elected(0, "the VF is fit, and going back to it is left to the administrator")
    steady_at = (now if seen.fit_since is None else seen.fit_since) + rule.hold_down
    if now < steady_at:
        return Elected(0, f"the VF is held down until it has been steady for {rule.hold_down:g} s", steady_at)
    return _take(primary, standing, "the VF has been steady")


def _take(slave: Link, standing: Standing, reason: str) -> Elected:
    if standing.active == slave.ifindex:
        return Elected(0, reason)
    if not slave.mii_up:
        return Elected(0, f"{reason}; the bond has not yet seen the link of {slave.name}")
    return Elected(slave.ifindex, reason)
