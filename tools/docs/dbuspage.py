"""docs/reference/dbus.md, from the table of interfaces."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from failoverd.bus.interfaces import Arg, BusSignal, Interface, Method
from failoverd.daemon.dbus.errors import ERRORS
from failoverd.daemon.dbus.interfaces import ERROR, INTERFACES

WIDTH = 118

INTRODUCTION = """\
# D-Bus

<!-- Made by `make docs` from core/document.py, core/signal_table.py, daemon/dbus/interfaces.py; edit those. -->

failoverd is on the system bus ($DBUS_SYSTEM_BUS_ADDRESS, or `/run/dbus/system_bus_socket`) as `org.failoverd1`, unless
`[dbus]` has `enabled = false`. It needs no bus to do its work.

| object | interface |
|---|---|
| `/org/failoverd1` | `org.failoverd1.Manager`, `org.failoverd1.Inventory`, and ObjectManager for the others |
| `/org/failoverd1/master/<MAC with _ for :>` | `org.failoverd1.Master` |
| `/org/failoverd1/slave/<ifindex>` | `org.failoverd1.Slave` |
| `/org/failoverd1/link/<name, escaped>` | `org.failoverd1.Link` |

A fact has the same name and the same unit here as in `failoverctl --json`, in the journal, the history and the metrics:
`drain_ends` there is `DrainEnds` here. Times are seconds. A device is named by its object's path.

[How to listen and call](../how-to.md#listen-on-d-bus), with busctl and gdbus.

**Who may do what.** The bus's policy says it: `org.failoverd1.conf` in `/usr/share/dbus-1/system.d`. Reading is
free for all users, changing is root's; the file shows how to give it to a group as well. The bus denies everything else
(`org.freedesktop.DBus.Error.AccessDenied`). Who changed something stands in failoverd's log, with the uid.

**When there is no bus**, failoverd looks for it after 0.5 s, then after twice as long each time, up to every 10 s, and
takes its name when there is one; also when the bus was restarted. Where the bus denies it the name, because the policy
is not there, the log says so once, and it asks up to every 60 s. failoverd does not take the name from another owner.
Signals of what happened in between are not sent later; the objects are as things are. While failoverd does not run its
name has no owner (`org.freedesktop.DBus.Error.ServiceUnknown`), and no call starts it.

**Calls that wait.** Drain, SwitchTo, RenameLink and Reload answer when it is so, and after 8 s with TimedOut if it is
not: the kernel and the neighbours take what time they need. Other clients are served meanwhile.

**What clients are told.** PropertiesChanged bears the new values, InterfacesAdded and InterfacesRemoved come from
`/org/failoverd1`. Changes are collected for 0.1 s, or 0.02 s where a signal of ours is due, so that a failover itself
waits for nothing of this; a client that reads gets what is true at that moment. A signal comes after the
PropertiesChanged that belongs to it. Where the bus takes no more (256 KiB wait for it), changes of properties are put
together, and of other signals the newest are dropped beyond 1000.

**Who is answered first.** Orders (the methods that are root's, and whose the policy says), then root's questions, then
those of other users, who take turns, however many connections and calls each has. 32 calls of one user may
wait, 512 of all, at each of the three; a further one is refused (`org.freedesktop.DBus.Error.LimitsExceeded`).
Questions get a quarter of a CPU at most: after one, three times what it took goes by before the next (0.1 s at most).
A question that wants no reply (NO_REPLY_EXPECTED) is not computed, and signals to failoverd are not read.

**What a client may send.** 4096 bytes in a message, and 8 orders that are under way at once; all clients together 16
(LimitsExceeded). File descriptors are not taken. A
wrong call is answered with one of the usual errors, and the text names the member and the object: `UnknownObject`,
`UnknownInterface`, `UnknownMethod`, `UnknownProperty`, `InvalidArgs`, `PropertyReadOnly`. A call
over which failoverd made a mistake of its own is answered with `Failed`, and its log says more.
"""


def page() -> str:
    """The page: the introduction, a chapter for each interface, and the errors."""
    lines = [INTRODUCTION.rstrip("\n")]
    for interface in INTERFACES:
        lines += _interface(interface)
    lines += ["", "## Errors", "", "| error | when |", "|---|---|"]
    lines += [f"| `{ERROR}.{name}` | {text} |" for name, text in ERRORS.items()]
    return "\n".join(lines) + "\n"


def _interface(interface: Interface) -> Iterator[str]:
    yield from ("", f"## {interface.name}", "", *textwrap.wrap(interface.doc, WIDTH))
    if interface.properties:
        yield from ("", "| property | type | |", "|---|---|---|")
        for found in interface.properties:
            constant = " Does not change." if found.constant else ""
            yield f"| `{found.name}` | `{found.signature}` | {found.doc}{constant} |"
    for method in interface.methods:
        yield from _method(method)
    for signal in interface.signals:
        yield from _signal(signal)


def _method(method: Method) -> Iterator[str]:
    yield from ("", f"### {method.name}({_args(method.takes)}) → ({_args(method.gives)})", "")
    yield from textwrap.wrap(f"{method.doc} {method.whose}", WIDTH)
    yield from _described((*method.takes, *method.gives))
    if method.errors:
        yield from ("", "Errors: " + ", ".join(f"`{ERROR}.{name}`" for name in method.errors))


def _signal(signal: BusSignal) -> Iterator[str]:
    yield from ("", f"### Signal {signal.name}({_args(signal.args)})", "", *textwrap.wrap(signal.doc, WIDTH))
    yield from _described(signal.args)


def _args(args: tuple[Arg, ...]) -> str:
    return ", ".join(f"{arg.signature} {arg.name}" for arg in args)


def _described(args: tuple[Arg, ...]) -> Iterator[str]:
    if args:
        yield ""
    for arg in args:
        yield from textwrap.wrap(f"- `{arg.name}`: {arg.doc}", WIDTH, subsequent_indent="  ", break_on_hyphens=False)
