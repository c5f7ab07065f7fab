"""The interfaces as the protocol has them: a name and a MAC each, and whether it is active.

A name that XML cannot have is left out, as one that is no UTF-8 makes libvirt's clients fail over the whole list.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from failoverd.inventory.naming import xml_obstacle
from failoverd.libvirt.errors import INTERNAL_ERROR, INVALID_ARG, MULTIPLE_INTERFACES, NO_INTERFACE, LibvirtError
from failoverd.libvirt.xdr import INT, UINT, packed

MOST = 16384
"""REMOTE_INTERFACE_LIST_MAX: clients refuse a longer list."""
INACTIVE, ACTIVE = 1, 2
"""The flags of a list. With none of the two, or both, all are listed."""


class Row(NamedTuple):
    """An interface."""

    name: str
    is_active: bool
    mac: str
    """With colons, "" for none."""

    def packed(self) -> bytes:
        """Return it as the protocol has it (struct remote_nonnull_interface)."""
        return packed(self.name.encode()) + packed(self.mac.encode())


class Rows:
    """All interfaces, as of one generation of the inventory. Its lists are made once."""

    def __init__(self, generation: int, rows: Iterable[Sequence[object]]) -> None:
        """`rows` are those of the daemon's table: name, active, MAC."""
        self.generation = generation
        found = [Row(str(name), bool(is_active), str(mac or "")) for name, is_active, mac in rows]
        self._rows = {row.name: row for row in found if not xml_obstacle(row.name)}
        self._lists: dict[tuple[object, ...], bytes] = {}

    def named(self, name: str) -> Row:
        """Return the interface of this name. Raises LibvirtError."""
        if (row := self._rows.get(name)) is None:
            text = f"couldn't find interface named '{name}'"
            raise LibvirtError(NO_INTERFACE, f"Interface not found: {text}")
        return row

    def with_mac(self, mac: str) -> Row:
        """Return the interface of this MAC, if there is one only. Raises LibvirtError."""
        rows = [row for row in self._rows.values() if mac and row.mac == mac.lower()]
        if not rows:
            text = f"couldn't find interface with MAC address '{mac}'"
            raise LibvirtError(NO_INTERFACE, f"Interface not found: {text}")
        if len(rows) > 1:
            names = ", ".join(row.name for row in rows[:8]) + (", ..." if len(rows) > 8 else "")
            text = f"multiple interfaces with matching MAC address: {len(rows)} have '{mac}': {names}; use a name"
            raise LibvirtError(MULTIPLE_INTERFACES, text)
        return rows[0]

    def number(self, is_active: bool) -> bytes:
        """Return how many are active, or are not."""
        return INT.pack(len(self._chosen(ACTIVE if is_active else INACTIVE)))

    def names(self, is_active: bool, most: int) -> bytes:
        """Return the names of those that are active, or are not, so many at most. Raises LibvirtError."""
        if not 0 <= most <= MOST:
            raise LibvirtError(INVALID_ARG, f"too many interfaces: '{most}' for limit '{MOST}'")
        key = ("names", is_active, most)
        if key not in self._lists:
            chosen = self._chosen(ACTIVE if is_active else INACTIVE)[:most]
            self._lists[key] = UINT.pack(len(chosen)) + b"".join(packed(row.name.encode()) for row in chosen)
        return self._lists[key]

    def all(self, wants_rows: bool, flags: int) -> bytes:
        """Return the interfaces that these flags choose, and their number. Raises LibvirtError."""
        if flags & ~(ACTIVE | INACTIVE):
            raise LibvirtError(INVALID_ARG, f"unsupported flags (0x{flags:x}) in a list of interfaces")
        key = ("all", wants_rows, flags)
        if key not in self._lists:
            chosen = self._chosen(flags)
            if wants_rows and len(chosen) > MOST:
                raise LibvirtError(INTERNAL_ERROR, f"too many interfaces: '{len(chosen)}' for limit '{MOST}'")
            rows = [row.packed() for row in chosen] if wants_rows else []
            self._lists[key] = UINT.pack(len(rows)) + b"".join(rows) + UINT.pack(len(chosen))
        return self._lists[key]

    def _chosen(self, flags: int) -> list[Row]:
        if flags in (ACTIVE, INACTIVE):
            return [row for row in self._rows.values() if row.is_active == (flags == ACTIVE)]
        return list(self._rows.values())
