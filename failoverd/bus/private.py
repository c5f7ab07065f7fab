"""The private names of dbus-next that failoverd leans on, in one place.

dbus-next 0.2.3 is its last release, and the one that Debian 12 and 13 have; so it is pinned, and a test fails where
one of these names is not as it was. It is used for the codec, the checks of names, serials, the matching of replies.
Not used are its service classes and its connections: they need asyncio or GLib, answer a handler's error with a
traceback, log a client's mistake with one, send InterfacesAdded from the wrong path and keep no bound.
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
"""Where each name is, and the parameters it has."""

ATTRIBUTES = ("_bus_address", "_method_return_handlers")
"""What a BaseMessageBus has: a list of (transport, options), and the awaited replies by serial."""
