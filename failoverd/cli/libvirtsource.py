"""What libvirt's clients are told comes from the daemon, by its control socket, and is kept for a moment.

A client asks for each interface by itself whether it is active, and thousands of such calls in a second shall not be as
many questions to the daemon. So its answer holds for FRESH seconds, and then it is asked whether anything has changed.
Documents come one by one, and all at once for a client that goes through them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import trio

from failoverd.cli.client import NoDaemonError, NotDoneError, plain_call
from failoverd.libvirt.documents import Documents
from failoverd.libvirt.errors import NO_INTERFACE, OPERATION_FAILED, LibvirtError
from failoverd.libvirt.rows import Rows

FRESH = 0.025
"""Seconds for which an answer of the daemon's is used."""
KEPT = 1.0
"""Seconds for which all documents are used, while nothing changes; also the time in which FEW is counted."""
FEW = 8
"""Documents that are asked for one by one."""
PAUSES = (0.1, 0.3)
"""Seconds until it is asked again if the daemon is not sure, or has too many clients."""

Ask = Callable[..., bytes]


class Source:
    """See the module. `ask` calls the daemon, as cli.client.plain_call does; it runs in a thread."""

    def __init__(self, ask: Ask = plain_call) -> None:
        self._ask = ask
        self._one_at_a_time = trio.Lock()
        self._rows = Rows(-1, ())
        self._rows_until = -math.inf
        self._documents = Documents(-1, ())
        self._documents_until = -math.inf
        self._singly, self._counted_until = 0, -math.inf

    async def rows(self) -> Rows:
        """Return the interfaces, at most FRESH seconds old. Raises LibvirtError."""
        if trio.current_time() >= self._rows_until:
            async with self._one_at_a_time:
                # Another client may have waited for the same.
                if trio.current_time() >= self._rows_until:
                    await self._look()
        return self._rows

    async def document(self, name: str) -> bytes:
        """Return the XML document of the interface of this name. Raises LibvirtError."""
        async with self._one_at_a_time:
            now = trio.current_time()
            is_current = self._documents.generation == self._rows.generation and now < self._documents_until
            if is_current and (document := self._documents.of(name)) is not None:
                return document
            if now >= self._counted_until:
                self._singly, self._counted_until = 0, now + KEPT
            self._singly += 1
            if self._singly <= FEW or is_current:
                return await self._document(name)
            answer = await self._call("every-interface-xml")
            self._documents = Documents(answer["generation"], answer["documents"])
            self._documents_until = now + KEPT
            return self._documents.of(name) or await self._document(name)

    async def _look(self) -> None:
        """Have the daemon say what interfaces there are, or that nothing has changed."""
        now = trio.current_time()
        answer = await self._call("interfaces", "table", "all", str(self._rows.generation))
        if "interfaces" in answer:
            self._rows = Rows(answer["generation"], answer["interfaces"])
        self._rows_until = now + FRESH

    async def _document(self, name: str) -> bytes:
        """Return one document. The daemon knows interfaces by other words, too: what is not the name's is not taken."""
        answer = await self._call("interface-xml", name)
        found = Documents(answer["generation"], answer["documents"]).of(name)
        if found is None:
            why = answer["refused"][0] if answer["refused"] else f"couldn't find interface named '{name}'"
            raise LibvirtError(NO_INTERFACE, f"Interface not found: {why}")
        return found

    async def _call(self, *words: str) -> dict[str, Any]:
        """Call the daemon. Raises LibvirtError, also if the daemon's answer may not be all there is."""
        why = ""
        for pause in (0.0, *PAUSES):
            await trio.sleep(pause)
            try:
                answer: dict[str, Any] = json.loads(await trio.to_thread.run_sync(lambda: self._ask(*words)))
            except NotDoneError as error:
                why = str(error)
            except (NoDaemonError, ValueError) as error:
                raise LibvirtError(OPERATION_FAILED, f"operation failed: {error}") from error
            else:
                if answer["sure"]:
                    return answer
                why = "the kernel told more than failoverd could take in; ask again in a moment"
        raise LibvirtError(OPERATION_FAILED, f"operation failed: {why}")
