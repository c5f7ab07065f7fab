"""Who carries while a pair is in another network namespace: the same election as at home, by what was seen there.

The bond fails over by itself. What this adds is what the administrator has ordered and configured: a drain, the
hold-down of a VF that is fit again, whether it goes back by itself, and the damping of a VF that flaps, as the engine
has counted (core/health.py). Paths are not probed there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from failoverd.config.spec import Failback
from failoverd.dataclass import dataclass
from failoverd.datapaths import bond
from failoverd.datapaths.base import standing
from failoverd.kinds import Bond
from failoverd.kinds.bond import HEARING
from failoverd.model.links import Link
from failoverd.model.orders import Drain
from failoverd.model.pairs import There
from failoverd.model.requests import Request
from failoverd.moves.items import Seen
from failoverd.policy.election import Elected, Rule, Standing, elect
from failoverd.policy.election import Seen as Timed
from failoverd.policy.stacking import bridge_of

ANNOUNCED = 0.2
"""Seconds after a switch, beside the bond's monitor interval, until its announcements are out: it sends them by its
monitor (drivers/net/bonding/bond_main.c, bond_mii_monitor)."""
MILLISECOND = 0.001
DRAINED = "it is drained, until undrain or the next VF"


@dataclass(frozen=True, slots=True)
class Orders:
    """What an administrator has ordered for the pair there."""

    drain: Drain | None = None
    wanted: int = 0
    """The ifindex of a VF that is to carry without having been steady."""
    suppressed: str = ""
    """Why the VF is not to carry for its flaps, or ""."""
    is_shunned: bool = False
    """Whether it has flapped since it began to carry for want of a standby."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The result of a look."""

    slave: int
    """The ifindex of the slave that is to be made active, 0 for none."""
    there: There
    at: float | None
    """When to look again in any case (seconds of the clock that was given)."""
    over: str = ""
    """Why a drain is over, "" while it is not."""
    hear: tuple[Request, ...] = ()
    """What has the bond take in frames on both slaves while it is drained, and no more after that (core/orders.py)."""


class Living:
    """See the module. `is_vf` says whether a NIC is the VF; `failback` is the configuration's, as it is now."""

    def __init__(self, is_vf: Callable[[Link], bool], failback: Callable[[], Failback]) -> None:
        self._is_vf, self._failback = is_vf, failback
        self._vf, self._losses = 0, 0
        self._fit_since: float | None = None
        self._mismatch_since: float | None = None
        self._active, self._active_since = 0, 0.0
        self._chosen, self._because = Elected(0, ""), ""

    def look(self, mac: str, master: Link, seen: Seen, orders: Orders, now: float) -> Chosen:
        """Look at the master and its NICs."""
        nics = sorted(seen.nics(mac), key=lambda nic: (nic.master != master.ifindex, nic.ifindex))
        vf = next((nic for nic in nics if self._is_vf(nic)), None)
        nic = next((nic for nic in nics if not self._is_vf(nic)), None)
        stands = standing(bond.DATAPATH, master, vf, nic)
        is_another = self._active not in (0, stands.active)
        self._note(stands, vf, now)
        over = _over(orders.drain, vf, now)
        is_told = vf is not None and orders.wanted == vf.ifindex
        bad = "" if over or stands.bad_standby or orders.drain is None else DRAINED
        if not (bad or is_told):
            bad = _damped(orders, stands)
        rule = self._failback()
        elected = elect(
            replace(stands, bad_primary=stands.bad_primary or bad),
            Timed(self._fit_since, self._mismatch_since),
            Rule(0 if is_told else rule.hold_down, rule.automatic or is_told),
            now,
        )
        if is_another:
            # The bond changes by itself, too.
            is_chosen = bool(stands.active) and stands.active == self._chosen.slave
            self._because = self._chosen.reason if is_chosen else elected.reason
            self._chosen = Elected(0, "")
        self._chosen = elected if elected.slave else self._chosen
        out_at = self._active_since + ANNOUNCED + _interval(master)
        there = There(
            *(master, nic, vf, stands.active, stands.bad_primary, stands.bad_standby),
            is_told=now >= out_at,
            text=_text(elected, stands, vf, nic),
            because=self._because,
            mtu_mismatch=stands.mtu_mismatch,
        )
        ends = orders.drain.until if orders.drain is not None and not over else None
        times = [at for at in (elected.at, ends, out_at if now < out_at else None) if at is not None]
        hear = _hear(master, seen, both=orders.drain is not None and not over)
        return Chosen(elected.slave, there, min(times, default=None), over, hear)

    def _note(self, stands: Standing, vf: Link | None, now: float) -> None:
        """Note since when what is so."""
        is_same = vf is not None and (vf.ifindex, vf.carrier_losses) == (self._vf, self._losses)
        self._vf, self._losses = (vf.ifindex, vf.carrier_losses) if vf is not None else (0, 0)
        is_fit = not stands.bad_primary and not stands.mtu_mismatch
        self._fit_since = None if not is_fit else self._fit_since if is_same and self._fit_since is not None else now
        since = self._mismatch_since
        self._mismatch_since = None if not stands.mtu_mismatch else now if since is None else since
        if stands.active != self._active:
            self._active, self._active_since = stands.active, now


def _damped(orders: Orders, stands: Standing) -> str:
    """Return why a VF that flaps is not to carry, or "", as at home (core/switch.py)."""
    carries = stands.primary is not None and stands.active == stands.primary.ifindex
    return "" if stands.bad_standby or (carries and not orders.is_shunned) else orders.suppressed


def _interval(master: Link) -> float:
    return master.info.miimon * MILLISECOND if isinstance(master.info, Bond) else 0.0


def _hear(master: Link, seen: Seen, *, both: bool) -> tuple[Request, ...]:
    info = master.info
    if not isinstance(info, Bond) or (both and bridge_of(master, seen.links)):
        return ()
    is_so = info.hears_both and info.lp_interval == HEARING
    return tuple(bond.DATAPATH.hear(master, both)) if both != is_so else ()


def _over(drain: Drain | None, vf: Link | None, now: float) -> str:
    """Return why a drain is over, or ""."""
    if drain is None:
        return ""
    if vf is not None and drain.vf != vf.ifindex:
        return "another VF was plugged in"
    return "its time is over" if drain.until is not None and now >= drain.until else ""


def _text(elected: Elected, stands: Standing, vf: Link | None, nic: Link | None) -> str:
    """Return in words which slave carries there, and why."""
    carrier = next((link.name for link in (vf, nic) if link is not None and link.ifindex == stands.active), "")
    others = [f"the standby cannot carry: {stands.bad_standby}"] if stands.bad_standby else []
    return "; ".join([f"{carrier} carries there" if carrier else "nothing carries there", elected.reason, *others])
