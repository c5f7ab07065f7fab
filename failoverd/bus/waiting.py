"""The queue of calls: orders first, then root's questions, then those of other users, each user in turn.

A message bus has one queue to failoverd, so a call is taken out of it at once and waits here. A user with many calls
delays only their own: each user has one place in the round, however many calls and connections, and the number of
waiting calls is bounded.

A client whose user is not known yet counts as a user of its own, so a user with many connections may fill a level. Then
a client with no call there takes the last place of the one with the most: a single call is not kept out by a flood.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from enum import IntEnum
from typing import Generic, TypeVar

T = TypeVar("T")

EACH = 32
"""Most calls of one user that wait at a level."""
ALL = 512
"""Most calls that wait at a level. A call takes 8 KiB at most."""


class Level(IntEnum):
    """The order of answering. The bus's policy lets only those users give orders whom the administrator allows."""

    ORDER = 0
    ROOT = 1
    QUESTION = 2


class Waiting(Generic[T]):
    """The waiting calls, by level and user (see the module)."""

    def __init__(self) -> None:
        self._rounds: tuple[dict[Hashable, deque[T]], ...] = tuple({} for _ in Level)
        self._count = [0 for _ in Level]

    def put(self, level: Level, who: Hashable, call: T) -> T | None:
        """Queue a call. Returns the call that is turned away for lack of room, if any: this one, or the last of another
        user."""
        users = self._rounds[level]
        calls = users.get(who)
        turned_away = None
        if calls is not None and (len(calls) >= EACH or self._count[level] >= ALL):
            return call
        if self._count[level] >= ALL:
            longest = max(users.values(), key=len)
            if len(longest) == 1:
                return call
            turned_away = longest.pop()
            self._count[level] -= 1
        if calls is None:
            calls = users[who] = deque()
        calls.append(call)
        self._count[level] += 1
        return turned_away

    def take(self, levels: Iterable[Level] = Level) -> T | None:
        """Take the call of these levels whose turn it is; its user's next one comes when all others have had their
        turn."""
        for level in levels:
            users = self._rounds[level]
            if users:
                who = next(iter(users))
                calls = users.pop(who)
                call = calls.popleft()
                if calls:
                    users[who] = calls
                self._count[level] -= 1
                return call
        return None
