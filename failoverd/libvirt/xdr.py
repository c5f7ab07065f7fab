"""XDR (RFC 4506), as far as the calls about interfaces use it."""

from __future__ import annotations

import struct

UINT, INT, HYPER = struct.Struct(">I"), struct.Struct(">i"), struct.Struct(">Q")
PAD = (b"", b"\0\0\0", b"\0\0", b"\0")
"""What fills a string up to four bytes, by the remainder of its length."""


class BadPayloadError(Exception):
    """A payload is not what the call takes."""


class Reader:
    """Reads a payload from its beginning. Each method raises BadPayloadError if its value is not there."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def unsigned(self) -> int:
        """Read an unsigned int."""
        return self._number(UINT)

    def signed(self) -> int:
        """Read an int."""
        return self._number(INT)

    def string(self) -> str:
        """Read a string. Bytes that are not UTF-8 are kept as surrogates."""
        start = self._at + UINT.size
        end = start + self.unsigned()
        padded = end + len(PAD[end % 4])
        if padded > len(self._data):
            raise BadPayloadError("a string is longer than its message")
        self._at = padded
        return self._data[start:end].decode("utf-8", "surrogateescape")

    def optional_string(self) -> str | None:
        """Read a string that may be NULL."""
        number = self.unsigned()
        if number > 1:
            raise BadPayloadError(f"{number} is no boolean")
        return self.string() if number else None

    def end(self) -> None:
        """Check that the payload ends here."""
        if self._at != len(self._data):
            raise BadPayloadError(f"{len(self._data) - self._at} bytes are left over")

    def _number(self, kind: struct.Struct) -> int:
        try:
            (number,) = kind.unpack_from(self._data, self._at)
        except struct.error as error:
            raise BadPayloadError("it ends too early") from error
        self._at += kind.size
        return int(number)


def packed(data: bytes) -> bytes:
    """Return a string as XDR has it."""
    return UINT.pack(len(data)) + data + PAD[len(data) % 4]


def packed_optional(data: bytes) -> bytes:
    """Return a string that might have been NULL."""
    return UINT.pack(1) + packed(data)
