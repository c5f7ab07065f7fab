"""Telling failoverd-hooks: what administrators' hooks are to hear of, and which NICs have other marks than before.

    signal, status document --> a datagram of JSON --> /run/failoverd-hooks/socket --> failoverd-hooks (cli/hooks.py)

The daemon can do neither by itself: it is not root, its sandbox keeps it from writing to /sys, and it waits for nobody.
So a second service does both, started by systemd when the first datagram comes. What does not fit into the queue of its
socket is dropped and counted.

Marks are in udev's records from the next event on (core/marks.py). Where a role changes without one, the NIC gets a
synthetic `change` event. Which NICs need one is the difference between two documents, not a list of occasions: a role
that has changed in a way nobody foresaw gets its event too. At the start it is what udev's records say.

Rejected: running hooks from here (they would have to be forked with the daemon's capabilities, and waited for), D-Bus
StartTransientUnit (no bus early in the boot, and polkit in the way of who is not root), a socket with Accept=yes or a
template unit for each event (hooks would run side by side, and in no order).
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

from failoverd.core.marks import plain
from failoverd.core.status import Document
from failoverd.daemon.tellers import Moment
from failoverd.model.signals import FailedOver, Joined, LinkRenamed, Released, Signal

log = logging.getLogger("failoverd")

Marks = tuple[str, str, str]
"""A NIC's role, "1" where it carries, "0" where not, and its master's name; "" for what it has not."""
UNMARKED: Marks = ("", "", "")

Recorded = Callable[[int], Mapping[str, str] | None]
"""The properties udev has on record for a device; None while it is not done with it."""


class Hooks:
    """A teller. `recorded` is netlink.udev.Udev.recorded."""

    def __init__(self, recorded: Recorded, path: Path) -> None:
        self._recorded = recorded
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        self._is_absent = False
        self._dropped = 0
        self._marked: dict[int, Marks] | None = None

    def signalled(self, signal: Signal, moment: Moment) -> None:
        """Have the hooks called. Raises OSError where they cannot be told."""
        self._send({"hook": environment(signal, moment)})

    def stepped(self, document: Document) -> None:
        """Have udev look again at the NICs that are marked in another way. Raises OSError where nobody can be told."""
        wanted = _marks(document)
        rows = {row["ifindex"]: row for row in document["nics"] if row["bus"]}
        self._marked = self._before(rows)
        for ifindex, before in list(self._marked.items()):
            now = wanted.get(ifindex, UNMARKED)
            if before != now:
                self._send({"uevent": rows[ifindex]["name"], "ifindex": ifindex})
                self._marked[ifindex] = now

    def _before(self, rows: Mapping[int, Mapping[str, Any]]) -> dict[int, Marks]:
        """How these NICs are marked as far as is known. One that udev is not done with is left for when it is."""
        known, is_first = self._marked or {}, self._marked is None
        found = {ifindex: marks for ifindex, marks in known.items() if ifindex in rows}
        for ifindex in rows.keys() - found.keys():
            if (properties := self._recorded(ifindex)) is not None:
                # A VF has the marks of its MAC before it has its role. Who is turned away must lose them again.
                is_ours = rows[ifindex]["verdict"] in ("paired", "alone")
                found[ifindex] = UNMARKED if is_ours and not is_first else _on_record(properties)
        return found

    def _send(self, message: Mapping[str, Any]) -> None:
        try:
            self._socket.sendto(json.dumps(message).encode(), os.fspath(self._path))
        except (FileNotFoundError, ConnectionRefusedError):
            if not self._is_absent:
                log.debug("%s: nobody listens; no hooks are called, no udev events made", self._path)
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
    """What a hook finds in its environment; docs/reference/hooks.md."""
    match signal:
        case FailedOver():
            found = {
                "EVENT": "failover",
                "MASTER": signal.master,
                "MAC": signal.mac,
                "FROM": signal.old,
                "FROM_IFINDEX": _ifindex(signal.old_ifindex),
                "TO": signal.new,
                "TO_IFINDEX": _ifindex(signal.new_ifindex),
                "REASON": signal.reason,
                "SILENCE_USEC": str(round(signal.silence * 1e6)),
            }
        case LinkRenamed():
            found = {
                "EVENT": "rename",
                "MASTER": signal.master,
                "IFINDEX": str(signal.ifindex),
                "OLD_NAME": signal.old,
                "NEW_NAME": signal.new,
                "ROLE": signal.role,
                "WAS_UP": str(int(signal.was_up)),
            }
        case Joined():
            found = {"EVENT": "pair-up", "MASTER": signal.master, "MAC": signal.mac}
        case Released():
            found = {"EVENT": "pair-down", "MASTER": signal.name, "MAC": signal.mac}
    found["TIME_USEC"] = str(round(moment.wall * 1e6))
    return {f"FAILOVERD_{key}": value for key, value in found.items()}


def _ifindex(ifindex: int) -> str:
    return str(ifindex) if ifindex else ""


def _marks(document: Document) -> dict[int, Marks]:
    """The marks of every NIC that has a role, by ifindex, as core/marks.py writes them."""
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
