"""Report progress to a waiting user, once there is something to wait for."""

from __future__ import annotations

import threading
import time
from typing import TextIO

PATIENCE = 2.0
"""Seconds before progress is reported at all: a quick command needs no commentary."""


class Progress:
    """Reports progress after PATIENCE seconds; until then only the latest message is kept.

    The timer is a thread's, as a world's own clock may not be the user's. It starts with the first message: until then
    a world may still need the process to have one thread (`failoverd_lab.namespaces`).
    """

    def __init__(self, stream: TextIO, *, silent: bool = False, patience: float = PATIENCE) -> None:
        self._stream = stream
        self._silent = silent
        self._begin = time.monotonic()
        self._latest = ""
        self._patient = True
        self._lock = threading.Lock()
        self._timer = threading.Timer(patience, self._lose_patience)
        self._timer.daemon = True
        self._begun = silent

    def __call__(self, words: str) -> None:
        """Report what begins now."""
        with self._lock:
            self._latest = words
            if not self._begun:
                self._begun = True
                self._timer.start()
            if not self._silent and not self._patient:
                self._print()

    def close(self) -> None:
        """Stop reporting."""
        self._timer.cancel()
        with self._lock:
            self._silent = True

    def _lose_patience(self) -> None:
        with self._lock:
            self._patient = False
            if self._latest and not self._silent:
                self._print()

    def _print(self) -> None:
        print(f"{time.monotonic() - self._begin:7.1f} s  {self._latest}", file=self._stream, flush=True)
