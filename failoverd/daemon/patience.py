"""Who is waited for: udev, before a NIC that is new is brought up, and who managed a NIC before it became a slave.

    udev's monitor -> look() -> UdevDone, LetGo -> engine

systemd-networkd is told by udev that a NIC has become a slave, and by the kernel that it is down, and takes in either
first. Where it hears of the slave first, it gives its lease back: by the slave, if that is up by then. Where it hears
of the slave last, its DHCP client starts anew as soon as the slave is up (252 then goes on with it for good). So it is
to have heard both: udev's word has been sent, and networkd's own note of the device says that it is down or nobody's.
Then all that is left in networkd's queues is older than the news that the NIC is up again.

It tells nobody when it has written that note, so there is a look at every turn of the engine while one is waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from failoverd.core.state import State
from failoverd.daemon.outside import Outside
from failoverd.model.actions import AskLetGo, AskUdev
from failoverd.model.events import LetGo, UdevDone

RUNNING = "run/systemd/units/invocation:systemd-networkd.service"
"""A link that systemd keeps while the unit runs (its src/core/unit.c, unit_export_invocation_id)."""
NOTES = "run/systemd/netif/links"
"""networkd's notes, by ifindex (its src/network/networkd-state-file.c). They outlive it, also the one of an initramfs.
It says that they are private; 252 and 257 agree in these two keys."""
FREE = frozenset({"ADMIN_STATE=unmanaged", "OPER_STATE=off"})


def is_let_go(has_told: Callable[[int, str], bool], ifindex: int, name: str, root: Path = Path("/")) -> bool:
    """Whether nobody will go on managing this device, which has just got this name. `has_told` is Udev.has_told.

    Where networkd does not run, or has no note of the device, there is nobody to wait for.
    """
    try:
        (root / RUNNING).readlink()
        lines = (root / NOTES / str(ifindex)).read_text("utf-8", "replace").splitlines()
    except OSError:
        return True
    return has_told(ifindex, name) and not FREE.isdisjoint(lines)


class Patience:
    """What the engine waits for. `is_waiting_for_notes`: somebody has to look again, as nobody tells."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._new: set[int] = set()
        self._renamed: dict[int, str] = {}

    def ask(self, action: AskUdev | AskLetGo) -> None:
        """Wait for this from now on."""
        if isinstance(action, AskUdev):
            self._new.add(action.ifindex)
        else:
            self._renamed[action.ifindex] = action.name

    @property
    def new(self) -> frozenset[int]:
        """The devices for which udev is waited for."""
        return frozenset(self._new)

    @property
    def is_waiting_for_notes(self) -> bool:
        """Whether a look is worth while although nobody has told anything."""
        return bool(self._renamed)

    def look(self, state: State) -> Iterator[UdevDone | LetGo]:
        """What has come true, each once: it is not waited for any more when the next one is asked for."""
        self._new &= state.links.keys()
        self._renamed = {i: name for i, name in self._renamed.items() if i in state.held_on}
        for ifindex in sorted(self._new):
            if self._outside.is_udev_done(ifindex):
                yield UdevDone(ifindex, self._outside.udev_name(ifindex, state.name(ifindex)))
                self._new.discard(ifindex)
        for ifindex, name in list(self._renamed.items()):
            if self._outside.is_let_go(ifindex, name):
                yield LetGo(ifindex)
                self._renamed.pop(ifindex, None)
