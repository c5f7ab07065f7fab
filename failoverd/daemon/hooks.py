"""Tell failoverd-hooks which events administrators' hooks are to get, and which NICs have other marks than before.

    signal, status document --> a datagram of JSON --> /run/failoverd-hooks/socket --> failoverd-hooks (cli/hooks.py)

The daemon can neither run hooks nor make udev look again: it is not root, its sandbox keeps it from writing to /sys,
and it never blocks. So a second service does both, started by systemd when the first datagram comes. What does not fit
into the queue of its socket is dropped and counted.

udev's records have a NIC's marks from its next event on (core/udev_marks.py). If a role changes without an event, the
NIC gets a synthetic `change` event. The difference between two documents says which NICs need one, not a list of
occasions: a role that has changed in an unforeseen way gets its event too. At the start it is the difference to udev's
records.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from failoverd.core.document import Document
from failoverd.core.signal_facts import as_text, facts
from failoverd.core.udev_marks import plain
from failoverd.model.signals import Moment, Signal

log = logging.getLogger("failoverd")

Marks = tuple[str, str, str]
"""A NIC's role, "1" if it carries or "0" if not, and its master's name; "" for each that it does not have."""
UNMARKED: Marks = ("", "", "")

Recorded = Callable[[int], Mapping[str, str] | None]
"""Returns the properties in udev's record of a device; None while udev has not finished with it."""


class Hooks:
    """A receiver; see the module. `recorded` is netlink.udev.Udev.recorded."""

    def __init__(self, recorded: Recorded, path: Path) -> None:
        self._recorded = recorded
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        self._is_absent = False
        self._dropped = 0
        self._marked: dict[int, Marks] | None = None

    def signalled(self, signal: Signal, moment: Moment) -> None:
        """Have the hooks called. Raises OSError if the message cannot be sent; an absent failoverd-hooks is no
        error."""
        self._send({"hook": environment(signal, moment)})

    def stepped(self, document: Document) -> None:
        """Have udev look again at the NICs whose marks have changed. Raises OSError as `signalled` does."""
        wanted = _marks(document)
        rows = {row["ifindex"]: row for row in document["nics"] if row["bus"]}
        self._marked = self._before(rows)
        for ifindex, before in list(self._marked.items()):
            now = wanted.get(ifindex, UNMARKED)
            if before != now:
                self._send({"uevent": rows[ifindex]["name"], "ifindex": ifindex})
                self._marked[ifindex] = now

    def _before(self, rows: Mapping[int, Mapping[str, Any]]) -> dict[int, Marks]:
        """Return how these NICs were marked, as far as known. A NIC that udev has not finished with comes later."""
        known, is_first = self._marked or {}, self._marked is None
        found = {ifindex: marks for ifindex, marks in known.items() if ifindex in rows}
        for ifindex in rows.keys() - found.keys():
            if (properties := self._recorded(ifindex)) is not None:
                # A VF has the marks of its MAC before it has its role. A NIC that is turned away must lose them again.
                is_ours = rows[ifindex]["verdict"] in ("paired", "alone")
                found[ifindex] = UNMARKED if is_ours and not is_first else _on_record(properties)
        return found

    def _send(self, message: Mapping[str, Any]) -> None:
        try:
            self._socket.sendto(json.dumps(message).encode(), os.fspath(self._path))
        except (FileNotFoundError, ConnectionRefusedError):
            if not self._is_absent:
                log.debug("%s: failoverd-hooks does not listen; no hooks are called, no udev events made", self._path)
            self._is_absent = True
            return
        except BlockingIOError as error:
            self._dropped += 1
            text = "its queue is full, what follows is dropped; a hook takes too long (journalctl -u failoverd-hooks)"
            raise OSError(errno.EAGAIN, text, os.fspath(self._path)) from error
        except OSError as error:
            raise OSError(error.errno, f"no hooks, no udev events: {error.strerror}", os.fspath(self._path)) from error
        self._is_absent = False
        if self._dropped:
            log.warning("%s: %d messages were dropped while its queue was full", self._path, self._dropped)
            self._dropped = 0


def environment(signal: Signal, moment: Moment) -> Mapping[str, str]:
    """Return the environment of a hook (docs/reference/hooks.md)."""
    return {f"FAILOVERD_{key.upper()}": as_text(fact) for key, fact in facts(signal, moment).items()}


def _marks(document: Document) -> dict[int, Marks]:
    """Return the marks of every NIC that has a role, by ifindex, as core/udev_marks.py writes them."""
    found: dict[int, Marks] = {}
    for master in document["masters"]:
        if master["state"] == "released":
            continue
        name = plain(master["name"])
        if master["datapath"] == "net_failover":
            found[master["ifindex"]] = ("master", "", name)
        for role in ("primary", "standby"):
            if slave := master[role]:
                word = "master" if slave["ifindex"] == master["ifindex"] else role
                found[slave["ifindex"]] = (word, str(int(slave["name"] == master["active"])), name)
    return found


def _on_record(properties: Mapping[str, str]) -> Marks:
    role, active, master = (properties.get(f"FAILOVERD_{key}", "") for key in ("ROLE", "ACTIVE", "MASTER"))
    return role, active, master
