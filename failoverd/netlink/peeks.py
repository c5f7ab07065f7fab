"""Repeated queries about one device, whose answer is mostly the same as before.

They go over the socket of the events (conversation.py). An answer equal to the last one costs a comparison.
"""

from __future__ import annotations

from failoverd.netlink.frames import Message

LIMIT = 8
"""Most answers that may be under way. A query about a device that is gone has none."""


class Peeks:
    """Tells the answers to peeks from other messages, and those with nothing new."""

    def __init__(self) -> None:
        self._asked: set[int] = set()
        self._last: dict[int, bytes] = {}

    def ask(self, seq: int) -> None:
        """Note that a query was sent under this sequence number."""
        self._asked = {seq} if len(self._asked) > LIMIT else self._asked | {seq}

    def is_old_news(self, message: Message, ifindex: int) -> bool:
        """Return whether this equals the last answer about the device, with no other message about it since."""
        if message.seq not in self._asked:
            self._last.pop(ifindex, None)
            return False
        self._asked.discard(message.seq)
        same = self._last.get(ifindex) == message.payload
        self._last[ifindex] = message.payload
        return same

    def forget(self, ifindex: int) -> None:
        """Drop the last answer: the device is gone."""
        self._last.pop(ifindex, None)
