"""Wait for udev before a new NIC is brought up, and for the network manager to release a NIC that becomes a standby.

    udev's monitor, the engine's turns -> look() -> UdevDone, LetGo -> engine

systemd-networkd learns from udev that a NIC is a standby, and from the kernel that the NIC is down, in either order. If
it learns of the role first, it releases its DHCP lease, by the standby if that is up by then. If it learns of the role
last, its DHCP client starts again as soon as the NIC is up (252 then keeps it running). So failoverd waits until
networkd knows both: udev's database has the role, and networkd's state file of the device says that it no longer
manages it (257 writes that when it learns of the role) or, for DOWN_FOR seconds, that it is down (252 looks at the role
when the carrier comes, and needs that time to read what udev has sent).

networkd does not report that it has written that file, so every turn of the engine looks at it while failoverd waits
for one.

Signals, orders and repairs do not wait: the NIC is enslaved after the handover (plan/handover.py). Rejected: a fixed
wait, and ID_NET_MANAGED_BY in the marks (core/udev_marks.py says why).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from failoverd.core.state import State
from failoverd.daemon.configurers.units import INVOCATION
from failoverd.daemon.ports import Hold, Ports
from failoverd.model.actions import AskLetGo, AskUdev
from failoverd.model.events import LetGo, UdevDone
from failoverd.netlink.udev import Udev

RUNNING = f"{INVOCATION}systemd-networkd.service"
NOTES = "run/systemd/netif/links"
"""networkd's state files, by ifindex (its src/network/networkd-state-file.c). They outlive networkd, also the one of an
initramfs. Their header says that they are private; 252 and 257 agree in these two keys."""
DOWN_FOR = 0.5
"""Seconds for which a device that is recorded as down may yet become unmanaged."""


def hold(udev: Udev, ifindex: int, root: Path = Path("/")) -> Hold:
    """Return networkd's hold on a standby. "down": it is recorded as down, so that its DHCP client has ended.

    If networkd or udev does not run, or networkd has no state file of the device, the answer is "none".
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


class NicWaits:
    """The devices that the engine waits for."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._new: set[int] = set()
        self._held: set[int] = set()
        self._down_since: dict[int, float] = {}

    def ask(self, action: AskUdev | AskLetGo) -> None:
        """Wait for this from now on."""
        (self._new if isinstance(action, AskUdev) else self._held).add(action.ifindex)
        self._down_since.pop(action.ifindex, None)

    @property
    def new(self) -> frozenset[int]:
        """The devices that udev has not finished with yet."""
        return frozenset(self._new)

    @property
    def is_worth_a_look(self) -> bool:
        """Whether it waits for something that no message announces."""
        return bool(self._held)

    def look(self, state: State, now: float) -> Iterator[UdevDone | LetGo]:
        """Yield what has come true, each once: it is no longer waited for when the next one is requested."""
        self._new &= state.links.keys()
        self._held = {i for i in self._held if now < state.arrivals.held_on.get(i, now)}
        for ifindex in sorted(self._new):
            if self._ports.is_udev_done(ifindex):
                name = state.name(ifindex)
                yield UdevDone(ifindex, self._ports.udev_name(ifindex, name), self._ports.is_plain(name))
                self._new.discard(ifindex)
        for ifindex in sorted(self._held):
            if self._is_let_go(ifindex, now):
                yield LetGo(ifindex)
                self._held.discard(ifindex)

    def _is_let_go(self, ifindex: int, now: float) -> bool:
        found = self._ports.hold(ifindex)
        if found != "down":
            self._down_since.pop(ifindex, None)
            return found == "none"
        return now >= self._down_since.setdefault(ifindex, now) + DOWN_FOR
