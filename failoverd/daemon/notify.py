"""Report the state to systemd (sd_notify), and pet its watchdog.

sdnotify encodes a message as latin-1 and drops the whole message if that fails, READY=1 included; so a status is sent
in ASCII. Its socket blocks, and is made not to, as a manager that does not read must not hold up a failover. The
manager's queue is short (net.unix.max_dgram_qlen), so it gets no more than it needs. The first READY may wait a moment,
as the manager would end failoverd without it; the one of a reload comes while the engine has to work, and does not
wait. A message that was not taken goes with the next step.
"""

from __future__ import annotations

import logging
import math
import os
import time
from typing import Any

import sdnotify

from failoverd.core.document import Document
from failoverd.model.signals import Moment, Signal

log = logging.getLogger("failoverd")

READY = "READY=1\n"
READY_PATIENCE = 1.0
"""Seconds the manager may take to make room for the first READY=1."""

SHORTEST_PERIOD = 0.05
"""Seconds. A watchdog with a shorter period would cost too much of failoverd's time."""


class Notifier:
    """Messages to the service manager; without NOTIFY_SOCKET none of them does anything.

    `period` is how many seconds may pass between two signs of life, None without a watchdog.
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
        """A new configuration is being read; `reloaded` follows. A daemon that is not ready yet stays so."""
        if self._is_ready:
            self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def reloaded(self, status: str) -> None:
        """The new configuration has been taken, or refused."""
        if self._is_ready:
            self._owed = READY
        self._tell(status)

    def status(self, status: str) -> None:
        """Send one line for `systemctl status`, only if it has changed, or together with what is still unsent."""
        if self._owed or status != self._status:
            self._tell(status)

    def signalled(self, _signal: Signal, _moment: Moment) -> None:
        """As a receiver of daemon.fanout: ignore it, as the service manager gets states only."""

    def stepped(self, document: Document) -> None:
        """As a receiver of daemon.fanout: send the state in one line. No step waits for it, as it costs time per
        pair."""
        self.status(sentence(document))

    def pet(self) -> None:
        """A step was completed: the engine is alive. Sent no more often than the watchdog wants."""
        now = time.monotonic()
        if self._period is not None and now >= self._petted + self._period / 2:
            self._petted = now
            self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """failoverd is about to end, and traffic goes on."""
        self._send("STOPPING=1")

    def _tell(self, status: str, patience: float = 0.0) -> bool:
        self._status = status
        words = f"{self.trouble}; {status}" if self.trouble else status
        sent = self._send(f"{self._owed}STATUS={_ascii(words)}", patience)
        self._owed = "" if sent else self._owed
        return sent

    def _send(self, text: str, patience: float = 0.0) -> bool:
        """Return whether it was sent, or there is no manager to send it to."""
        if self._notifier.socket is None:
            return True
        try:
            self._notifier.socket.settimeout(patience)
            self._notifier.notify(text)
        except OSError:
            return False
        return True


def sentence(document: Document) -> str:
    """Return the state in one line for `systemctl status`."""
    joined = (master for master in document["masters"] if master["ifindex"])
    parts = [f"{master['name']} {master['state']} on {master['active'] or 'nothing'}" for master in joined]
    return ", ".join(parts) or "no pair found yet"


def watchdog_period(environ: dict[str, str] | None = None) -> float | None:
    """Return the seconds between two signs of life, a third of WATCHDOG_USEC; None if that is unset or invalid."""
    values = os.environ if environ is None else environ
    try:
        usec, pid = int(values["WATCHDOG_USEC"]), int(values.get("WATCHDOG_PID", os.getpid()))
        period = usec / 3e6
    except (KeyError, ValueError, OverflowError):
        return None
    return max(period, SHORTEST_PERIOD) if usec > 0 and pid == os.getpid() else None


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode("ascii").replace("\n", " ")
