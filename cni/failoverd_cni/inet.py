"""Addresses of IPAM results, and MAC addresses, to bytes."""

from __future__ import annotations

import _socket

AF_INET, AF_INET6 = 2, 10
BITS = {AF_INET: 32, AF_INET6: 128}


class Address:
    """An address, with the length of its prefix."""

    __slots__ = ("bits", "family", "raw")

    def __init__(self, text: str, *, prefixed: bool = True) -> None:
        """Read `192.0.2.1/24`, or without a prefix `192.0.2.1`. Raises ValueError."""
        plain, slash, bits = text.partition("/")
        self.family = AF_INET6 if ":" in plain else AF_INET
        """AF_INET or AF_INET6."""
        try:
            self.raw = _socket.inet_pton(self.family, plain)
            """4 or 16 bytes."""
        except (OSError, ValueError):
            raise ValueError(f"{text!r} is no address") from None
        if bool(slash) is not prefixed:
            raise ValueError(f"{text!r} is no address {'with' if prefixed else 'without'} a prefix length")
        most = BITS[self.family]
        if slash and not (bits.isascii() and bits.isdigit() and int(bits) <= most):
            raise ValueError(f"{text!r} has no prefix length of 0 to {most}")
        self.bits = int(bits) if slash else most
        """The length of its prefix."""

    def broadcast(self) -> bytes:
        """Return the broadcast address of an IPv4 network; empty where it has none."""
        if self.family != AF_INET or self.bits > 30:
            return b""
        return (int.from_bytes(self.raw) | (1 << (32 - self.bits)) - 1).to_bytes(4)

    def network(self) -> bytes:
        """Return the address with the bits beyond its prefix cleared."""
        most = BITS[self.family]
        return (int.from_bytes(self.raw) >> most - self.bits << most - self.bits).to_bytes(most // 8)


def mac_bytes(text: str) -> bytes:
    """Return the 6 bytes of a unicast MAC address. Raises ValueError."""
    parts = text.split(":")
    digits = "0123456789abcdefABCDEF"
    if len(parts) != 6 or any(len(part) != 2 or part.strip(digits) for part in parts):
        raise ValueError(f"{text!r} is no MAC address such as 02:00:00:00:00:01")
    raw = bytes.fromhex("".join(parts))
    if raw[0] & 1 or not any(raw):
        raise ValueError(f"{text!r} is no unicast MAC address")
    return raw


def mac_text(raw: bytes) -> str:
    """Write a MAC address."""
    return raw.hex(":")
