"""Find the user of each client of the bus, with one query for each."""

from __future__ import annotations

from collections.abc import Hashable

import trio

from failoverd.bus.connection import Connection
from failoverd.bus.envelope import Envelope
from failoverd.bus.interfaces import BusError
from failoverd.bus.waiting import Level

MOST = 4096
"""Most clients remembered. A bus has 2048 connections at most by default."""


class Callers:
    """The users behind the unique names on one connection to a bus; a bus never reuses a name."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._uids: dict[bytes, int | None] = {}
        self._asked: dict[bytes, trio.Event] = {}

    def place(self, call: Envelope, is_order: bool) -> tuple[Level, Hashable]:
        """Return where a call has to wait. A client whose user is not known yet counts as a user of its own."""
        if is_order:
            return Level.ORDER, call.sender
        uid = self._uids.get(call.sender)
        return Level.ROOT if uid == 0 else Level.QUESTION, call.sender if uid is None else uid

    def knows(self, sender: bytes) -> bool:
        """Return whether the bus has been asked about this client."""
        return sender in self._uids or sender in self._asked

    async def uid(self, sender: bytes) -> int | None:
        """Return the caller's uid; None where the client has disconnected, as one does that wants no reply. The bus has
        checked that it may call."""
        if sender not in self._uids:
            if sender in self._asked:
                await self._asked[sender].wait()
            else:
                await self._ask(sender)
        return self._uids.get(sender)

    async def _ask(self, sender: bytes) -> None:
        answered = self._asked[sender] = trio.Event()
        try:
            uid = await self._connection.ask("GetConnectionUnixUser", "s", sender.decode("ascii", "replace"))
        except BusError:
            uid = None
        finally:
            del self._asked[sender]
            answered.set()
        if len(self._uids) >= MOST:
            del self._uids[next(iter(self._uids))]
        self._uids[sender] = uid
