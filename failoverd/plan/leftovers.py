"""Leftovers: configuration that a move could not put in its place.

It is kept, reported, rarely tried again, and part of the next move. Another program may have removed it again and
again, or the kernel may have refused it on either device. So a configuration on its way is somewhere at any time: on a
device, in the journal of its move, or here.
"""

from __future__ import annotations

from failoverd.model.links import Link
from failoverd.model.pairs import Inet
from failoverd.plan import inet_sets, transfer
from failoverd.plan.situation import Do, Keep, Next, Situation


def regain(s: Situation, device: Link | None) -> Next | None:
    """Try to put the leftovers on the device that should have them. The core sets the waits between two tries."""
    if s.lost == Inet() or device is None:
        return None
    wanted = transfer.to_device(s.lost, device.ifindex)
    due = tuple(request for request in transfer.additions(wanted) if request not in s.blocked)
    if not due or not device.up:
        return None
    if look := s.look_at(device):
        return look
    left = inet_sets.missing(wanted, s.seen(device))
    if left != wanted:
        return Keep(left)
    return Do(due, f"try again what {device.name} has lost")
