"""Who is waited for: udev, before a NIC that is new is brought up, and who managed a NIC before it became a standby.

    udev's monitor, the engine's turns -> look() -> UdevDone, LetGo -> engine

systemd-networkd is told by udev that a NIC has become a standby, and by the kernel that it is down, and takes in either
first. Where it hears of the standby first, it gives its lease back: by the standby, if that is up by then. Where it
hears of the standby last, its DHCP client starts anew as soon as that is up (252 then goes on with it for good). So it
is to have heard both: udev's record has the role, and networkd's own note of the device says that it does not manage
it any more (257 says so when it has heard of the role) or, for a while, that it is down (252 looks at the role when the
carrier comes; the while is for it to have read what udev has sent).

It tells nobody when it has written that note, so there is a look at every turn of the engine while one is waited for.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from failoverd.core.state import State
from failoverd.daemon.neighbours import INVOCATION
from failoverd.daemon.outside import Hold, Outside
from failoverd.model.actions import AskLetGo, AskUdev
from failoverd.model.events import LetGo, UdevDone
from failoverd.netlink.udev import Udev

RUNNING = f"{INVOCATION}systemd-networkd.service"
NOTES = "run/systemd/netif/links"
"""networkd's notes, by ifindex (its src/network/networkd-state-file.c). They outlive it, also the one of an initramfs.
It says that they are private; 252 and 257 agree in these two keys."""
DOWN_FOR = 0.5
"""Seconds for which a device that is noted as down may yet become unmanaged."""


def hold(udev: Udev, ifindex: int, root: Path = Path("/")) -> Hold:
    """What networkd's hold on a standby is. "down": it is noted as down, so that its DHCP client has ended.

    Where networkd or udev does not run, or networkd has no note of the device, there is none.
    """
    try:
        (root / RUNNING).readlink()
        lines = (root / NOTES / str(ifindex)).read_text("utf-8", "replace").splitlines()
    except OSError:
        return "none"
    if not udev.is_there():
        return "none"
    if (udev.recorded(ifindex) or {}).get("FAILOVERD_ROLE") != "standby":
        return "firm"
    return "none" if "ADMIN_STATE=unmanaged" in lines else "down" if "OPER_STATE=off" in lines else "firm"


class Patience:
    """What the engine waits for."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._new: set[int] = set()
        self._held: set[int] = set()
        self._down_since: dict[int, float] = {}

    def ask(self, action: AskUdev | AskLetGo) -> None:
        """Wait for this from now on."""
        (self._new if isinstance(action, AskUdev) else self._held).add(action.ifindex)
        self._down_since.pop(action.ifindex, None)

    @property
    def new(self) -> frozenset[int]:
        """The devices for which udev is waited for."""
        return frozenset(self._new)

    @property
    def is_worth_a_look(self) -> bool:
        """Whether something is waited for that nobody tells of."""
        return bool(self._held)

    def look(self, state: State, now: float) -> Iterator[UdevDone | LetGo]:
        """What has come true, each once: it is not waited for any more when the next one is asked for."""
        self._new &= state.links.keys()
        self._held = {i for i in self._held if now < state.held_on.get(i, now)}
        for ifindex in sorted(self._new):
            if self._outside.is_udev_done(ifindex):
                yield UdevDone(ifindex, self._outside.udev_name(ifindex, state.name(ifindex)))
                self._new.discard(ifindex)
        for ifindex in sorted(self._held):
            if self._is_let_go(ifindex, now):
                yield LetGo(ifindex)
                self._held.discard(ifindex)

    def _is_let_go(self, ifindex: int, now: float) -> bool:
        found = self._outside.hold(ifindex)
        if found != "down":
            self._down_since.pop(ifindex, None)
            return found == "none"
        return now >= self._down_since.setdefault(ifindex, now) + DOWN_FOR
