"""A thread for writes that may block on a disk, so that nothing else does.

A write to a disk can block for ever: a host that takes a snapshot freezes the guest's filesystems (fsfreeze), and a
failover may happen right then. The thread may block; the engine may not. Jobs run in the order in which they were
queued. (Files under /run are written at once: that is memory.) An exception in a job is logged and costs only that job:
a dead thread would go unnoticed until the next boot.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable

log = logging.getLogger("failoverd")

WAITING = 1000
"""Jobs that may wait for the disk at a time."""
PATIENCE = 1.0
"""Seconds that an ending daemon waits for the disk."""

Work = Callable[[], None]
Failed = Callable[[OSError], None]


class DiskWriter:
    """The thread and its queue; see the module."""

    def __init__(self) -> None:
        self._queue: queue.Queue[tuple[Work, Failed] | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._run, name="disk", daemon=True)
        self._thread.start()

    def do(self, work: Work, failed: Failed) -> bool:
        """Queue a job; `failed` gets its OSError, in the thread. Returns False if too many jobs wait already."""
        try:
            self._queue.put_nowait((work, failed))
        except queue.Full:
            return False
        return True

    def end(self) -> None:
        """Wait up to PATIENCE for the queued jobs; the rest is lost. No job may be queued afterwards."""
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(None)
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            try:
                _carry_out(*item)
            except Exception:
                log.exception("something that was to be kept on the disk is lost; please report this")


def _carry_out(work: Work, failed: Failed) -> None:
    try:
        work()
    except OSError as error:
        failed(error)
