"""A thread that reads files. The thread may block on the disk; the caller does not, and can be cancelled at any time.

Trio's own threads would do but for the end: cancelling one that waits for a disk waits for the disk too, unless a
parameter says otherwise whose name differs between releases.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

import trio

from failoverd.model.links import Link

NoBond = Callable[[Link, str], str]
"""Returns why the configurer of this NIC could not follow to a bond of this name, or ""."""

Found = TypeVar("Found")


async def read_in_thread(read: Callable[[], Found], /) -> Found:
    """Return the result of `read`, or raise its exception."""
    token, done = trio.lowlevel.current_trio_token(), trio.Event()
    found: list[Found] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            found.append(read())
        except Exception as error:
            failed.append(error)
        with contextlib.suppress(trio.RunFinishedError):
            token.run_sync_soon(done.set)

    threading.Thread(target=run, name="files", daemon=True).start()
    await done.wait()
    if failed:
        raise failed[0]
    return found[0]


class Reading:
    """Asks for the configurer of NICs, one question at a time: a disk that hangs costs one thread."""

    def __init__(self, no_bond: NoBond) -> None:
        self._no_bond = no_bond
        self._turn = trio.Lock()

    async def ask(self, nic: Link, name: str) -> str:
        """Return the answer, or raise its exception."""
        async with self._turn:
            return await read_in_thread(lambda: self._no_bond(nic, name))
