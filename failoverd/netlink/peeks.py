"""Questions about one device, asked again and again, whose answer is mostly the one before."""

from __future__ import annotations

from failoverd.netlink.frames import Message

LIMIT = 8
"""Answers that may be under way. A question about a device that is gone has none."""


class Peeks:
    """Knows the answers to peeks from other messages, and those that say nothing new."""

    def __init__(self) -> None:
        self._asked: set[int] = set()
        self._last: dict[int, bytes] = {}

    def ask(self, seq: int) -> None:
        """A question was sent under this number."""
        self._asked = {seq} if len(self._asked) > LIMIT else self._asked | {seq}

    def is_old_news(self, message: Message, ifindex: int) -> bool:
        """Whether this says what the last answer about the device said, and nothing else was said of it since."""
        if message.seq not in self._asked:
            self._last.pop(ifindex, None)
            return False
        self._asked.discard(message.seq)
        same = self._last.get(ifindex) == message.payload
        self._last[ifindex] = message.payload
        return same

    def forget(self, ifindex: int) -> None:
        """The device is gone."""
        self._last.pop(ifindex, None)
