"""Write to etcd what has become of this machine's links, and how its failover masters are, under a lease.

The lease is the machine's sign of life: etcd deletes what is under it when nobody has kept it alive for TTL seconds.
The daemon is asked by its control socket, which any user may, and only what has changed is written.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from failoverd.cli.client import NoDaemonError, NotDoneError, call
from failoverd_etcd.client import PATIENCE, Etcd, LostError
from failoverd_etcd.follow import Follower
from failoverd_etcd.keys import Keys
from failoverd_etcd.messages import Messages as M  # noqa: N817
from failoverd_etcd.picture import Picture
from failoverd_etcd.report import changes, told

log = logging.getLogger("failoverd-etcd")

TTL = 60
"""Seconds."""
INTERVAL = 1.0
"""Seconds between two looks."""
KEEP = 20.0
"""Seconds between two signs of life."""
MOST = 100
"""Keys of one transaction; etcd takes 128."""
REFUSED_WAIT = 60.0
"""Seconds until what etcd has refused is tried again."""


class Publisher:
    """See the module."""

    def __init__(self, keys: Keys, picture: Picture, follower: Follower) -> None:
        self._keys, self._picture, self._follower = keys, picture, follower
        self._booted = time.time() - time.monotonic()
        self._generation = ""
        self._links: list[dict[str, Any]] = []
        self._said = ""

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            connection = await self._follower.connected()
            try:
                await self._write(connection)
            except LostError as error:
                if str(error) != self._said:
                    log.warning("the status cannot be written: %s", error)
                self._said = str(error)
                await asyncio.sleep(REFUSED_WAIT if error.is_answer else INTERVAL)

    async def _write(self, etcd: Etcd) -> None:
        """Write by this connection, until it is replaced. Raises LostError."""
        granted = await etcd.call("Lease/LeaseGrant", M.LeaseGrantRequest(TTL=TTL), M.LeaseGrantResponse)
        lease, known = granted.ID, await self._there(etcd)
        kept = time.monotonic()
        while self._follower.connection is etcd:
            status = await asyncio.to_thread(self._ask)
            todo = changes(known, told(status, self._links, self._picture, self._booted))
            for begin in range(0, len(todo), MOST):
                await self._txn(etcd, lease, dict(list(todo.items())[begin : begin + MOST]), known)
            self._said = ""
            if time.monotonic() > kept + KEEP:
                if not await keep_alive(etcd, lease):
                    log.warning("etcd has let the lease go; the status is written anew")
                    return
                kept = time.monotonic()
            await asyncio.sleep(INTERVAL)

    async def _there(self, etcd: Etcd) -> dict[str, str]:
        """Return which keys are there, so that old ones are deleted: under another lease, each is written anew."""
        _, _, found = await etcd.read(self._keys.status)
        return {kv.key.decode(errors="replace")[len(self._keys.status) :]: "" for kv in found}

    async def _txn(self, etcd: Etcd, lease: int, todo: dict[str, str | None], known: dict[str, str]) -> None:
        operations = []
        for name, text in todo.items():
            key = (self._keys.status + name).encode()
            if text is None:
                operations.append(M.RequestOp(request_delete_range=M.DeleteRangeRequest(key=key)))
            else:
                put = M.PutRequest(key=key, value=text.encode(), lease=lease)
                operations.append(M.RequestOp(request_put=put))
        await etcd.txn([], operations)
        for name, text in todo.items():
            if text is None:
                known.pop(name, None)
            else:
                known[name] = text

    def _ask(self) -> dict[str, Any] | None:
        """Ask the daemon; blocks. None if it does not answer: what it said of links last is told on."""
        try:
            status = call("status")
            answer = call("links", "", self._generation)
        except (NoDaemonError, NotDoneError):
            return None
        if "links" in answer:
            self._links, self._generation = answer["links"], str(answer["generation"])
        return status


async def keep_alive(etcd: Etcd, lease: int) -> bool:
    """Give the lease a sign of life. Returns whether it is still there. Raises LostError."""
    async with etcd.stream("Lease/LeaseKeepAlive", M.LeaseKeepAliveRequest, M.LeaseKeepAliveResponse) as stream:
        await stream.send(M.LeaseKeepAliveRequest(ID=lease))
        answer = await stream.receive(PATIENCE)
        if answer is None:
            raise LostError("it does not answer")
        return bool(answer.TTL)
