"""A simulated kernel, at the level of datagrams: what goes into a NETLINK_ROUTE socket, and what comes out.

Nothing that failoverd does can tell it from Linux. It has devices (NICs that are plugged and unplugged, bonds, VLANs,
bridges, dummies), addresses and routes of both families, clsact and u32 with mirred, multicast groups, dumps, overruns.
It refuses the requests that the kernel refuses, with the same errno and text, and sends the kernel's messages in the
kernel's order. tests/contract/ holds it to that: the same assertions run on this and on the real kernel.

Rejected: real namespaces alone. They need a kernel with bonding, have no VF to unplug, and pass time at their own pace.
Here a story of a minute takes milliseconds, and a race can be run step by step. Rejected: a fake above netlink. The
errors worth finding are in messages, their order and their loss.

It has as many network namespaces as are created (namespaces.py): devices stand across them, move, and go with them.
IFLA_TARGET_NETNSID is not there: what is asked of a namespace is asked by a socket in it.

Replies are built with struct (wire.py), not with failoverd's codec: an error there must not cancel itself out.

Where it is less than the kernel: of the bond modes only active-backup has an active slave, its updelay, downdelay and
ARP monitor do nothing; a bridge forwards nothing; policy rules are kept, and no route is looked up by them; there are
no learned neighbours, no multicast addresses, no VRFs; sysctls are at their defaults unless written. Of tc, qdiscs
other than clsact and ingress, and filters other than u32, are only names: there are no classes, no chains but the
first, no hash tables but roots, no action but mirred.
"""

from __future__ import annotations

from failoverd_lab.simkernel.blocking import BlockingSocket
from failoverd_lab.simkernel.clockwork import run_timers
from failoverd_lab.simkernel.kernel import SimKernel
from failoverd_lab.simkernel.namespaces import Namespaces
from failoverd_lab.simkernel.seen import Seen
from failoverd_lab.simkernel.sockets import SimSocket
from failoverd_lab.simkernel.state import Refused

__all__ = ["BlockingSocket", "Namespaces", "Refused", "Seen", "SimKernel", "SimSocket", "run_timers"]
