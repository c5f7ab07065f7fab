"""The network of all stories in which real frames are sent, and its addresses."""

from __future__ import annotations

ADDRESS = "10.111.0.2"
"""The guest's IPv4 address, to which the probes go."""

GUEST = (f"{ADDRESS}/24", "fd00:111::2/64")
PEER = ("10.111.0.1", "fd00:111::1")
"""The peer's addresses; the first one is the guest's default gateway, too."""

PEER_MAC = "52:54:00:fa:00:01"
LAST = 0.3
"""Seconds that probes under way get when the traffic ends."""
