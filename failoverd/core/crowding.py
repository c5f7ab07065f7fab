"""Devices in other network namespaces that are stacked on a paravirtual NIC which is the master itself.

A container starts after failoverd, at each boot, and its macvlan is visible in this namespace for a moment or never.
The NIC takes in frames for it, and the VF has to as well, since they come by it from then on. When a device is linked
to the NIC or unlinked, in whichever namespace, the kernel sends a message about the NIC in which nothing is new
(net/core/rtnetlink.c, rtnetlink_event, NETDEV_CHANGEUPPER). When a device that was made in this namespace leaves it,
the kernel reports it as gone.

So after each of these messages the NIC is looked at closely, and more than once: a macvlan that was made in its own
namespace is found by the MAC that it requests from the NIC when it is brought up, and the kernel does not report that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from failoverd.dataclass import dataclass
from failoverd.model.actions import Action, FetchInet
from failoverd.model.pairs import Inet, Pair
from failoverd.model.requests import Request

if TYPE_CHECKING:
    from failoverd.core.state import PairState, State

LOOKS = (0.5, 2.0, 10.0, 60.0)
"""Seconds after such a message at which the NIC is looked at again. The first look is immediate, unless another one was
just before: then it is the first of these. Devices are made by the hundred.
"""


@dataclass(slots=True)
class Obstacles:
    """The obstacles to making a paravirtual NIC a slave."""

    crowded: set[int] = field(default_factory=set)
    """NICs with a device in another network namespace stacked on them."""
    checks: tuple[float, ...] = ()
    """When a NIC that is the master itself is checked next, and later (the engine's clock, seconds)."""
    checking: bool = False
    """Whether such a check is under way."""
    checked: set[int] = field(default_factory=set)
    """NICs that were checked, after such a message or before a join."""
    unbondable: dict[int, str] = field(default_factory=dict)
    """Why a NIC cannot be a bond's slave, by its ifindex, as far as known."""
    hanging: Mapping[int, str] = field(default_factory=dict)
    """The things just seen to be stacked on a NIC, by its ifindex. Valid for one step, like Move.inet."""
    could: set[Request] = field(default_factory=set)
    """The trial requests (TryMaster) that found a NIC free."""

    def forget(self, ifindex: int) -> None:
        """Forget a device that is gone."""
        self.could = {request for request in self.could if ifindex not in request.devices}
        self.unbondable.pop(ifindex, None)
        self.checked.discard(ifindex)
        self.crowded.discard(ifindex)

    def seen(self, hanging: Mapping[int, str]) -> None:
        """Take in what was just seen to hang on NICs."""
        self.hanging = hanging

    def refuse(self, nic: int, why: str) -> None:
        """Note that no bond can stand for this NIC."""
        self.unbondable[nic] = why

    def tried(self, attempt: Request, nic: int, is_free: bool) -> None:
        """Take in the kernel's answer on whether it would enslave a NIC."""
        if is_free:
            self.could.add(attempt)
        else:
            self.crowded.add(nic)

    def ask_anew(self) -> None:
        """Forget the findings against NICs, so that they count no more."""
        self.unbondable.clear()
        self.crowded.clear()


def check_soon(state: State, ifindex: int, now: float) -> None:
    """Schedule checks of this device: something may have been stacked on it, or taken off."""
    found = state.pair_with(ifindex)
    if found is None or not found.nic == ifindex == found.master:
        return
    pair = state.pairs[found.mac]
    if pair.datapath.sets_filter(found.vf) and ifindex not in pair.obstacles.crowded:
        due = (at for at in pair.obstacles.checks[:1] if at <= now + LOOKS[0])
        is_looking = pair.obstacles.checking or pair.work.looking
        pair.obstacles.checks = (now + LOOKS[0] if is_looking else next(due, now), *(now + later for later in LOOKS))
        state.attention.concern(pair.work.owner)


def is_crowded(pair: PairState, nic: int) -> bool | None:
    """Whether something unseen hangs on the NIC; None before the first look at it."""
    if nic in pair.obstacles.crowded:
        return True
    return False if nic in pair.obstacles.checked and len(pair.obstacles.checks) <= len(LOOKS) else None


def seen(pair: PairState, hanging: Mapping[int, str], now: float) -> None:
    """Take in a close look at the NIC, made for this or before a join."""
    pair.obstacles.checked |= hanging.keys()
    pair.obstacles.crowded |= {i for i, thing in hanging.items() if thing}
    pair.obstacles.unbondable |= pair.datapath.bond_obstacles(hanging)
    pair.obstacles.checks = tuple(at for at in pair.obstacles.checks if at > now or not hanging)


def was_a_check(pair: PairState, inet: Mapping[int, Inet]) -> bool:
    """Whether this look was a check that no plan asked for. The check is over then."""
    is_check = pair.obstacles.checking and not inet
    pair.obstacles.checking = pair.obstacles.checking and not is_check
    return is_check


def look(state: State, pair: PairState, found: Pair, now: float) -> list[Action]:
    """Look at the NIC closely if it is time. The plan rests, and does not wait for it.

    A pair that was joined before failoverd started has not been looked at yet.
    """
    if not pair.datapath.sets_filter(found.vf) or found.nic in pair.obstacles.crowded:
        pair.obstacles.checks = ()
    elif found.nic not in pair.obstacles.checked and not pair.obstacles.checks:
        check_soon(state, found.nic, now)
    if not pair.obstacles.checks or now < pair.obstacles.checks[0] or pair.obstacles.checking:
        return []
    pair.obstacles.checking = True
    return [FetchInet(pair.work.owner, (), (found.nic,))]


def next_look(pair: PairState, now: float) -> float | None:
    """Return the time of the next look."""
    return next((at for at in pair.obstacles.checks if at > now), None)
