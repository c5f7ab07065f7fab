"""A thread for what may have to wait for a disk, so that nobody else does.

A write to a disk can wait for ever: a host that takes a snapshot has the guest's filesystems frozen meanwhile
(fsfreeze), and a failover may happen right then. The thread may wait; the engine may not. What is to be done is done in
the order in which it was asked for. (What is kept under /run is written at once: that is memory.) What breaks there is
said and left, so that it costs no more than itself: nobody would miss the thread before the next boot.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable

log = logging.getLogger("failoverd")

WAITING = 1000
"""What may wait for the disk at a time."""
PATIENCE = 1.0
"""Seconds that an ending daemon waits for the disk."""

Work = Callable[[], None]
Failed = Callable[[OSError], None]


class Behind:
    """See the module."""

    def __init__(self) -> None:
        self._queue: queue.Queue[tuple[Work, Failed] | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._run, name="disk", daemon=True)
        self._thread.start()

    def do(self, work: Work, failed: Failed) -> bool:
        """Have something done; an OSError of it goes to `failed`, in the thread. False where too much waits already."""
        try:
            self._queue.put_nowait((work, failed))
        except queue.Full:
            return False
        return True

    def end(self) -> None:
        """Wait PATIENCE for what was asked for; what is not done by then is lost. Nothing may be asked for any more."""
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
