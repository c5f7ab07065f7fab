"""docs/reference/dbus.md: `python3 -m failoverd.daemon.dbusreference` prints it, `make docs` writes it."""

from __future__ import annotations

import sys

from failoverd.bus.reference import page
from failoverd.daemon.dbuserrors import ERRORS
from failoverd.daemon.dbusfaces import ERROR, FACES

INTRODUCTION = """\
# D-Bus

<!-- Made by `make docs` from failoverd/daemon/dbusfaces.py and dbusreference.py; edit those. -->

failoverd is on the system bus ($DBUS_SYSTEM_BUS_ADDRESS, or `/run/dbus/system_bus_socket`) as `org.failoverd1`, unless
`[dbus]` has `enabled = false`. It needs no bus to do its work.

| object | interface |
|---|---|
| `/org/failoverd1` | `org.failoverd1.Manager`, and ObjectManager for the others |
| `/org/failoverd1/master/<MAC with _ for :>` | `org.failoverd1.Master` |
| `/org/failoverd1/slave/<ifindex>` | `org.failoverd1.Slave` |

[How to listen and call](../how-to.md#listen-on-d-bus), with busctl and gdbus.

**Who may do what.** The bus's policy says it: `org.failoverd1.conf` in `/usr/share/dbus-1/system.d`. Reading is
everybody's, changing is root's; the file shows how to give it to a group as well. The bus denies everything else
(`org.freedesktop.DBus.Error.AccessDenied`). Who changed something stands in failoverd's log, with the uid.

**When there is no bus**, failoverd looks for it after 0.5 s, then after twice as long each time, up to every 10 s, and
takes its name when there is one; also when the bus was restarted. Where the bus denies it the name, because the policy
is not there, the log says so once, and it asks up to every 60 s. A name that somebody else has is not taken from him.
Signals of what happened in between are not sent later; the objects are as things are. While failoverd does not run its
name is nobody's (`org.freedesktop.DBus.Error.ServiceUnknown`), and no call starts it.

**Calls that wait.** Drain, SwitchTo, RenameLink and Reload answer when it is so, and after 8 s with TimedOut if it is
not: the kernel and the neighbours take what time they need. Everybody else is served meanwhile.

**What clients are told.** PropertiesChanged bears the new values, InterfacesAdded and InterfacesRemoved come from
`/org/failoverd1`. Changes are collected for 0.1 s, or 0.02 s where a signal of ours is due, so that a failover itself
waits for nothing of this; whoever reads gets what is true at that moment. A signal comes after the PropertiesChanged
that belongs to it. Where the bus takes no more (256 KiB wait for it), changes of properties are put together, and of
other signals the newest are dropped beyond 1000.

**What a client may send.** 4096 bytes in a message, and 8 calls of our own methods at once; all clients together 16
that change something and 16 others (`org.freedesktop.DBus.Error.LimitsExceeded`). File descriptors are not taken. A
wrong call is answered with one of the usual errors, and the text names the member and the object: `UnknownObject`,
`UnknownInterface`, `UnknownMethod`, `UnknownProperty`, `InvalidArgs`, `PropertyReadOnly`. A call
over which failoverd made a mistake of its own is answered with `Failed`, and its log says more.
"""


def main() -> None:
    """Print the page."""
    sys.stdout.write(page(INTRODUCTION, FACES, ERROR, ERRORS))


if __name__ == "__main__":
    main()
