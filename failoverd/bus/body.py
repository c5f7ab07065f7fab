"""The body of a long answer, built piece by piece.

dbus-next takes 80 ms for 5,000 rows of four values, at a stretch (docs/measured.md). Here a caller builds some rows,
lets other tasks run, and goes on. Types and their alignment are those of the D-Bus specification, "Type system"; bytes
are little-endian.
"""

from __future__ import annotations

import struct

U32 = struct.Struct("<I")
STRUCT = 8
"""The alignment of structures and dictionary entries, in bytes."""
PADDING = bytes(8)


class Body:
    """A body that grows. Every method appends; texts must be UTF-8 without NUL, or the bus ends the connection."""

    def __init__(self) -> None:
        self._data = bytearray()

    def whole(self) -> bytes:
        """Return what has been built."""
        return bytes(self._data)

    def align(self, to: int) -> None:
        """Pad to a multiple of `to` bytes: before each structure, and each dictionary entry."""
        self._data += PADDING[: -len(self._data) % to]

    def number(self, value: int) -> None:
        """Append a `u`, or a `b`."""
        self.align(U32.size)
        self._data += U32.pack(value)

    def text(self, value: str) -> None:
        """Append an `s`, or an `o`."""
        raw = value.encode()
        self.number(len(raw))
        self._data += raw + b"\0"

    def signature(self, value: str) -> None:
        """Append a `g`, or the beginning of a `v` with a value of this type."""
        raw = value.encode()
        self._data += bytes([len(raw)]) + raw + b"\0"

    def begin_array(self, alignment: int) -> tuple[int, int]:
        """Begin an array whose elements have this alignment. Returns what `end_array` takes."""
        self.number(0)
        place = len(self._data) - U32.size
        self.align(alignment)
        return place, len(self._data)

    def end_array(self, begun: tuple[int, int]) -> None:
        """End the array; its elements have been appended since."""
        place, start = begun
        U32.pack_into(self._data, place, len(self._data) - start)
