"""Telling systemd how we are (sd_notify), and being petted as its watchdog wants.

sdnotify sends what it is given as latin-1 and drops the whole message where that fails, READY=1 included; so a status
goes out in ASCII. Its socket blocks; a manager that does not read must not hold up a failover, so it is made not to.
The manager's queue is short (net.unix.max_dgram_qlen), so it gets no more than it needs. The first READY may wait a
moment, as the manager would end us without it; a reload's is said while the engine has to work, and does not wait. What
was not taken goes with the next step.
"""

from __future__ import annotations

import logging
import math
import os
import time
from typing import Any

import sdnotify

log = logging.getLogger("failoverd")

READY = "READY=1\n"
READY_PATIENCE = 1.0
"""Seconds the manager may take to make room for the first READY=1."""

SHORTEST_PERIOD = 0.05
"""Seconds. A watchdog that wants to hear of us more often keeps us from our work."""


class Notifier:
    """Messages to the service manager; none of them does anything where there is no NOTIFY_SOCKET.

    `period` is how many seconds may pass between two signs of life, None where nobody waits for them.
    """

    def __init__(self, period: float | None = None) -> None:
        self._notifier: Any = sdnotify.SystemdNotifier()
        self._notifier.debug = True  # Let errors out, to tell a full queue from a sent message.
        self._period = period
        self._petted = -math.inf
        self._status = ""
        self._owed = ""
        self._is_ready = False
        self.trouble = ""
        """What an administrator has to know beside the state, "" for nothing."""
        if self._notifier.socket is None and (path := os.environ.get("NOTIFY_SOCKET")):
            log.warning("NOTIFY_SOCKET=%s cannot be reached; the service manager will not hear of us", path)

    def ready(self, status: str) -> None:
        """All devices are known and the first step is done."""
        self._is_ready, self._owed = True, READY
        if not self._tell(status, READY_PATIENCE):
            log.warning("the service manager takes no messages and does not know that failoverd is ready")

    def reloading(self) -> None:
        """A new configuration is being read; `reloaded` follows. Who is not ready yet is not made so by that."""
        if self._is_ready:
            self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def reloaded(self, status: str) -> None:
        """It has been taken, or refused."""
        if self._is_ready:
            self._owed = READY
        self._tell(status)

    def status(self, status: str) -> None:
        """One line for `systemctl status`, sent only when it has changed, or with what is owed."""
        if self._owed or status != self._status:
            self._tell(status)

    def pet(self) -> None:
        """A step was completed: the engine is alive. Said no more often than the watchdog wants to hear it."""
        now = time.monotonic()
        if self._period is not None and now >= self._petted + self._period / 2:
            self._petted = now
            self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """We are about to end, and traffic goes on."""
        self._send("STOPPING=1")

    def _tell(self, status: str, patience: float = 0.0) -> bool:
        self._status = status
        words = f"{self.trouble}; {status}" if self.trouble else status
        sent = self._send(f"{self._owed}STATUS={_ascii(words)}", patience)
        self._owed = "" if sent else self._owed
        return sent

    def _send(self, text: str, patience: float = 0.0) -> bool:
        """Whether it was sent, or there is nobody to send it to."""
        if self._notifier.socket is None:
            return True
        try:
            self._notifier.socket.settimeout(patience)
            self._notifier.notify(text)
        except OSError:
            return False
        return True


def watchdog_period(environ: dict[str, str] | None = None) -> float | None:
    """Seconds between two signs of life: a third of WATCHDOG_USEC; None where nobody watches us, or says nonsense."""
    values = os.environ if environ is None else environ
    try:
        usec, pid = int(values["WATCHDOG_USEC"]), int(values.get("WATCHDOG_PID", os.getpid()))
        period = usec / 3e6
    except (KeyError, ValueError, OverflowError):
        return None
    return max(period, SHORTEST_PERIOD) if usec > 0 and pid == os.getpid() else None


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode("ascii").replace("\n", " ")
