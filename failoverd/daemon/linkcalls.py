"""Carry out the calls about declared links: what is there, look again, let go, count; attach and detach a pod's.

A machine may have two thousand ends, so rows are made in slices, and a client that follows them gives the generation it
knows: if nothing has changed, that is the whole answer.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import trio

from failoverd.core.call_answers import CallError, words_for_master
from failoverd.core.calls import check
from failoverd.core.document import Document
from failoverd.core.link_facts import ETCD, LINK
from failoverd.core.state import State
from failoverd.daemon.calls import BROKEN
from failoverd.model.etcdcontact import EtcdContact
from failoverd.model.linkstatus import LinkStatus

log = logging.getLogger("failoverd")

SLICE = 100
"""Rows that are made at a stretch."""
MOST_TOLD = 8
"""Most pods that a refusal names."""


class LinksPort(Protocol):
    """The links engine, as far as clients have to do with it."""

    def rows(self) -> Sequence[LinkStatus]:
        """Return the status of every end, in the order of their names."""

    def etcd(self) -> EtcdContact | None:
        """Return how it stands with etcd; None where that is not enabled."""

    def resync(self, name: str = "") -> None:
        """Look at everything again, or at one end; forget refusals and waits."""

    def release(self, name: str) -> None:
        """Take an end out of failoverd's care; its device stays. Raises KeyError for one that is not declared."""

    async def statistics(self) -> Mapping[str, Mapping[str, int]]:
        """Return the counters of the devices that are there (core/link_facts.py, COUNTERS), by the ends' names."""

    async def attach(self, name: str, document: str) -> None:
        """Have a link made for a pod, by a document of JSON. Raises CallError."""

    async def detach(self, *names: str) -> None:
        """Have links of pods removed. Raises CallError."""

    async def read_attachments(self) -> None:
        """Make sure that `rows` and `pods_on` know of all attachments."""

    def pods_on(self, masters: Collection[str]) -> list[str]:
        """Return the pods that have something on a master, which goes by any of these words."""


class LinkCalls:
    """`links` returns the engine's port."""

    def __init__(self, links: Callable[[], LinksPort]) -> None:
        self._links = links
        self._known: tuple[LinkStatus, ...] = ()
        self._etcd: EtcdContact | None = None
        # A client may have followed an earlier daemon.
        self._generation = time.time_ns() // 1000

    async def serve(self, call: str, *arguments: str) -> Document:
        """Return the call's document. Raises CallError, also for an exception that is a fault of failoverd's: a caller
        cannot end the daemon.
        """
        check(call, arguments)
        try:
            return await CALLED[call](self, *arguments)
        except CallError:
            raise
        except Exception as error:
            log.exception("the call %s %r failed; please report this", call, arguments)
            raise CallError(BROKEN) from error

    def rows(self) -> tuple[LinkStatus, ...]:
        """Return the status of every end."""
        rows = tuple(self._links().rows())
        if rows != self._known:
            self._known = rows
            self._generation += 1
        return self._known

    def names(self) -> list[str]:
        """Return the name of every end."""
        return [row.name for row in self.rows()]

    async def list(self, name: str = "", generation: str = "") -> Document:
        """Return the rows, or only the generation where it is the one given."""
        await self._links().read_attachments()
        rows = self.rows()
        if (etcd := self._links().etcd()) != self._etcd:
            self._etcd = etcd
            self._generation += 1
        told: Document = {"generation": self._generation}
        if generation == str(self._generation):
            return told
        if name:
            rows = (self._row(name),)
        told |= {"etcd": ETCD.of(etcd)} if etcd is not None else {}
        found: list[dict[str, Any]] = []
        for begin in range(0, len(rows), SLICE):
            found += map(LINK.of, rows[begin : begin + SLICE])
            await trio.lowlevel.checkpoint()
        return told | {"links": found}

    async def resync(self, name: str = "") -> Document:
        """Have the engine look again at one end, or at all."""
        names = [self._row(name).name] if name else [row.name for row in self.rows()]
        self._links().resync(name)
        return {"names": names}

    async def release(self, name: str) -> Document:
        """Have the engine let go of an end."""
        row = self._row(name)
        try:
            self._links().release(name)
        except KeyError:
            raise _no_such(name) from None
        return {"name": name, "device": row.device, "namespace": row.namespace, "owner": row.owner}

    async def statistics(self, name: str = "") -> Document:
        """Return the counters of one end, or of all; of those alone whose device is there."""
        rows = (self._row(name),) if name else self.rows()
        counted = await self._links().statistics()
        return {
            "statistics": [
                {"name": row.name, "device": row.device, "namespace": row.namespace, **counted[row.name]}
                for row in rows
                if row.name in counted
            ]
        }

    async def attach(self, name: str, document: str) -> Document:
        """Have a link made for a pod. It is kept then; how far it is, its row says, then and later."""
        await self._links().attach(name, document)
        return LINK.of(self._row(name))

    async def detach(self, name: str) -> Document:
        """Have a pod's link removed. One that is not there is no error."""
        await self._links().detach(name)
        return {"name": name}

    async def objection(self, call: str, arguments: Sequence[str]) -> Callable[[State], None]:
        """Return what raises CallError if pods are in the way of a call: a release takes the master from under their
        links, and so does a move. A pod that has the master itself gives it back by its own end."""
        if call not in ("release", "move"):
            return lambda _state: None
        await self._links().read_attachments()
        return partial(self._refuse, arguments[0])

    def _refuse(self, nic: str, state: State) -> None:
        if not state.synced:
            # Only a call that waits for that is asked about again.
            return
        if pods := self._links().pods_on(words_for_master(state, nic)):
            told = ", ".join(pods[:MOST_TOLD]) + (f" and {len(pods) - MOST_TOLD} more" if len(pods) > MOST_TOLD else "")
            text = f"pods are attached to {nic}, and would lose their links with it: {told}; remove these pods first"
            raise CallError(text, "InUse")

    def _row(self, name: str) -> LinkStatus:
        """Raises CallError."""
        row = next((row for row in self.rows() if row.name == name), None)
        if row is None:
            raise _no_such(name)
        return row


CALLED: Mapping[str, Callable[..., Awaitable[Document]]] = {
    "links": LinkCalls.list,
    "links-resync": LinkCalls.resync,
    "links-release": LinkCalls.release,
    "links-stats": LinkCalls.statistics,
    "attach": LinkCalls.attach,
    "detach": LinkCalls.detach,
}


def _no_such(name: str) -> CallError:
    text = f"no link {name!r} is declared; failoverctl links lists them, and [link.{name}] would declare it"
    return CallError(text, "NoSuchLink")
