"""docs/reference/dbus.md: `python3 -m failoverd.daemon.dbusreference` prints it, `make docs` writes it."""

from __future__ import annotations

import sys

from failoverd.bus.reference import page
from failoverd.daemon.dbusfaces import ERROR, ERRORS, FACES

INTRODUCTION = """\
# D-Bus

<!-- Made by `make docs` from failoverd/daemon/dbusfaces.py and dbusreference.py; edit those. -->

With `enabled = true` in `[dbus]`, failoverd is on the system bus ($DBUS_SYSTEM_BUS_ADDRESS, or
`/run/dbus/system_bus_socket`) as `org.failoverd1`. Before that, `units/org.failoverd1.conf` has to be in
`/usr/share/dbus-1/system.d`.

| object | interface |
|---|---|
| `/org/failoverd1` | `org.failoverd1.Manager`, and ObjectManager for the others |
| `/org/failoverd1/master/<MAC with _ for :>` | `org.failoverd1.Master` |
| `/org/failoverd1/slave/<ifindex>` | `org.failoverd1.Slave` |

    busctl tree org.failoverd1
    busctl introspect org.failoverd1 /org/failoverd1/master/52_54_00_00_00_01
    busctl monitor --match "type='signal',sender='org.failoverd1'"
    gdbus call --system -d org.failoverd1 -o /org/failoverd1 -m org.failoverd1.Manager.Explain ''

**Who may do what.** The bus's policy says it: `org.failoverd1.conf` in `/usr/share/dbus-1/system.d`. Reading is
everybody's, changing is root's; the file shows how to give it to a group as well. The bus denies everything else
(`org.freedesktop.DBus.Error.AccessDenied`). Who changed something stands in failoverd's log, with the uid.

**When there is no bus**, failoverd does its work without it. It looks for the bus after 0.5 s, then after twice as long
each time, up to every 10 s, and takes its name when there is one; also when the bus was restarted. A name that somebody
else has is not taken from him. Signals of what happened in between are not sent later; the objects are as things are.

**What clients are told.** PropertiesChanged bears the new values, InterfacesAdded and InterfacesRemoved come from
`/org/failoverd1`. Changes are collected for 0.1 s, or 0.02 s where a signal of ours is due, so that a failover itself
waits for nothing of this; whoever reads gets what is true at that moment. A signal comes after the PropertiesChanged
that belongs to it. Where the bus takes no more (256 KiB wait for it), changes of properties are put together, and of
other signals the newest are dropped beyond 1000.

**What a client may send.** 4096 bytes in a message, 16 calls of our own methods at once
(`org.freedesktop.DBus.Error.LimitsExceeded`). A wrong call is answered with one of the usual errors, and the text names
the member and the object: `UnknownObject`, `UnknownInterface`, `UnknownMethod`, `UnknownProperty`, `InvalidArgs`,
`PropertyReadOnly`.
"""


def main() -> None:
    """Print the page."""
    sys.stdout.write(page(INTRODUCTION, FACES, ERROR, ERRORS))


if __name__ == "__main__":
    main()
