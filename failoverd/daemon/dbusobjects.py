"""From the status document to D-Bus objects: the same facts under the names and types of the table of faces.

Names come from the kernel, which lets a device be called by any bytes; D-Bus takes UTF-8 only. The rest is replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from dbus_next import Variant

from failoverd import __version__
from failoverd.bus.faces import Objects, Values
from failoverd.core.choice import DATAPATHS
from failoverd.core.status import Document
from failoverd.daemon.dbusfaces import MANAGER, MASTER, ROOT, SLAVE

NOTHING = "/"
"""The path that stands for none."""

Speed = Callable[[int], int]
"""The speed of the device with this ifindex, in Mb/s."""


def master_path(mac: str) -> str:
    """The object of the pair with this MAC."""
    return f"{ROOT}/master/{mac.replace(':', '_')}"


def mac_of(path: str) -> str:
    """The MAC of the pair that has this object."""
    return path.rpartition("/")[2].replace("_", ":")


def slave_path(ifindex: int) -> str:
    """The object of this slave, or of none."""
    return f"{ROOT}/slave/{ifindex}" if ifindex else NOTHING


def slave_of(path: str) -> str:
    """The ifindex of the slave that has this object, as text; empty where it is no slave's path."""
    prefix, _, number = path.rpartition("/")
    return number if prefix == f"{ROOT}/slave" and number.isascii() and number.isdigit() else ""


def words(raw: str) -> str:
    """The text as D-Bus can carry it."""
    return raw.encode("utf-8", "replace").decode().replace("\0", "?")


def objects(document: Document, speed: Speed) -> Objects:
    """All objects for this status document."""
    found: dict[str, dict[str, Values]] = {ROOT: {MANAGER.name: _manager()}}
    for master in document["masters"]:
        found[master_path(master["mac"])] = {MASTER.name: _master(master)}
        for role in ("primary", "standby"):
            if slave := master[role]:
                found[slave_path(slave["ifindex"])] = {SLAVE.name: _slave(slave, role, master["mac"], speed)}
    return found


def explained(rows: list[Document]) -> list[Any]:
    """Rows of the call "explain" in the shape of Explain's answer."""
    columns = ("name", "ifindex", "mac", "driver", "bus", "verdict", "reason")
    return [[words(row[column]) if isinstance(row[column], str) else row[column] for column in columns] for row in rows]


def _manager() -> Values:
    return {"Version": __version__, "Datapaths": list(DATAPATHS)}


def _master(master: Document) -> Values:
    slaves = {slave["name"]: slave["ifindex"] for slave in _slaves(master)}
    return {
        "Name": words(master["name"]),
        "Ifindex": master["ifindex"],
        "Mac": master["mac"],
        "Datapath": master["datapath"],
        "State": master["state"],
        "Reason": words(master["reason"]),
        "Active": slave_path(slaves.get(master["active"], 0)),
        "Primary": slave_path(master["primary"]["ifindex"] if master["primary"] else 0),
        "Standby": slave_path(master["standby"]["ifindex"] if master["standby"] else 0),
        "Drained": master["drain"] is not None,
        "DrainEnds": usec((master["drain"] or {}).get("until") or 0.0),
        "Mtu": master["mtu"],
        "Failovers": master["failovers"],
        "LastFailover": _last(master["last_failover"]),
    }


def _slaves(master: Document) -> Iterator[Document]:
    return (master[role] for role in ("primary", "standby") if master[role])


def _last(last: Document | None) -> dict[str, Variant]:
    if last is None:
        return {}
    return {
        "From": Variant("s", words(last["from"])),
        "To": Variant("s", words(last["to"])),
        "Reason": Variant("s", words(last["reason"])),
        "MonotonicUsec": Variant("t", usec(last["monotonic"])),
        "SilenceEstimateUsec": Variant("t", usec(last["silence"])),
    }


def usec(seconds: float) -> int:
    """Seconds in microseconds, no less than none; so a moment of the daemon's clock is one of CLOCK_MONOTONIC."""
    return max(0, round(seconds * 1e6))


def _slave(slave: Document, role: str, mac: str, speed: Speed) -> Values:
    return {
        "Name": words(slave["name"]),
        "Ifindex": slave["ifindex"],
        "Master": master_path(mac),
        "Role": role,
        "Driver": words(slave["driver"]),
        "ParentDevice": words(slave["parent"]),
        "Up": slave["up"],
        "Carrier": slave["carrier"],
        "Fit": slave["fit"],
        "PermanentMac": mac,
        "Mtu": slave["mtu"],
        "CarrierLosses": slave["carrier_losses"],
        "Speed": speed(slave["ifindex"]),
    }
