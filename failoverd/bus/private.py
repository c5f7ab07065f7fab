"""The private names of dbus-next that failoverd depends on, in one place.

dbus-next 0.2.3 is its last release, and the one in Debian 12 and 13. So it is pinned, and a test fails where one of
these names has changed. It is used for the codec, the checks of names, serials, and the matching of replies. Its
service classes and its connections are not used: they need asyncio or GLib, answer a handler's error with a traceback,
log a client's mistake with one, send InterfacesAdded from the wrong path and have no bound.

Rejected: libdbus and sd-bus by ctypes (a second loop), Jeepney (no introspection), a codec of failoverd's own (400
lines that dbus-next has).
"""

from __future__ import annotations

VERSION = "0.2.3"

PRIVATE: dict[str, tuple[str, ...]] = {
    "dbus_next._private.unmarshaller:Unmarshaller.__init__": ("self", "stream", "sock"),
    "dbus_next._private.unmarshaller:Unmarshaller.unmarshall": ("self",),
    "dbus_next.message:Message._marshall": ("self", "negotiate_unix_fd"),
    "dbus_next.message_bus:BaseMessageBus._setup_socket": ("self",),
    "dbus_next.message_bus:BaseMessageBus._call": ("self", "msg", "callback"),
    "dbus_next.message_bus:BaseMessageBus._process_message": ("self", "msg"),
}
"""Each name's place, and its parameters."""

ATTRIBUTES = ("_bus_address", "_method_return_handlers")
"""Attributes of a BaseMessageBus: a list of (transport, options), and the awaited replies by serial."""
