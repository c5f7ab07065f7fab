"""A simulated kernel, at the datagram seam: what goes into a NETLINK_ROUTE socket, and what comes out.

A daemon that talks to it cannot tell it from Linux by anything failoverd does. It knows devices (NICs that are plugged
and unplugged, bonds, VLANs, bridges, dummies), addresses and routes of both families, clsact and u32 with mirred,
multicast groups, dumps, overruns; it refuses what the kernel refuses, with the same errno and text, and tells what the
kernel tells, in the same order.
tests/contract/ holds it to that: the same assertions run on this and on the real kernel.

Why not real namespaces alone: they need a kernel with bonding, have no VF to unplug, and pass time at its own pace.
Here a story of a minute takes milliseconds, and a race can be told step by step. Why not a fake above netlink: the
errors worth finding are in messages, their order and their loss.

Replies are built with struct (wire.py), not with the project's codec: an error there must not cancel itself out.

Where it is less than the kernel: of the bond modes only active-backup has an active slave, its updelay, downdelay and
ARP monitor do nothing; a bridge forwards nothing; there are no rules, no neighbours, no multicast addresses, no VRFs,
no other namespaces; sysctls are at their defaults. Of tc, qdiscs other than clsact and ingress, and filters other
than u32, are only names: there are no classes, no chains but the first, no hash tables but roots, no action but mirred.
"""

from __future__ import annotations

from failoverd.lab.simkernel.clockwork import run_timers
from failoverd.lab.simkernel.kernel import SimKernel
from failoverd.lab.simkernel.seen import Seen
from failoverd.lab.simkernel.sockets import SimSocket
from failoverd.lab.simkernel.state import Refused

__all__ = ["Refused", "Seen", "SimKernel", "SimSocket", "run_timers"]
