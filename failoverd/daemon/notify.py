"""Telling systemd how we are (sd_notify), and being petted as its watchdog wants.

sdnotify sends what it is given as latin-1 and drops the whole message where that fails, READY=1 included; so a status goes out in
ASCII. Its socket blocks; a manager that does not read must not hold up a failover, so it is made not to.
"""

from __future__ import annotations

import os
import time
from typing import Any

import sdnotify


class Notifier:
    """Messages to the service manager; none of them does anything where there is no NOTIFY_SOCKET."""

    def __init__(self) -> None:
        self._notifier: Any = sdnotify.SystemdNotifier()
        if self._notifier.socket is not None:
            self._notifier.socket.setblocking(False)
        self._status = ""

    def ready(self, status: str) -> None:
        """All devices are known and the first step is done."""
        self._status = status
        self._notifier.notify(f"READY=1\nSTATUS={_ascii(status)}")

    def reloading(self) -> None:
        """A new configuration is being read; `ready` follows."""
        self._notifier.notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def status(self, status: str) -> None:
        """One line for `systemctl status`, sent only when it has changed."""
        if status != self._status:
            self._status = status
            self._notifier.notify(f"STATUS={_ascii(status)}")

    def pet(self) -> None:
        """A step was completed: the engine is alive."""
        self._notifier.notify("WATCHDOG=1")

    def stopping(self) -> None:
        """We are about to end, and traffic goes on."""
        self._notifier.notify("STOPPING=1")


def watchdog_period(environ: dict[str, str] | None = None) -> float | None:
    """Seconds between two signs of life: a third of WATCHDOG_USEC; None where nobody watches us."""
    values = os.environ if environ is None else environ
    try:
        usec, pid = int(values["WATCHDOG_USEC"]), int(values.get("WATCHDOG_PID", os.getpid()))
    except (KeyError, ValueError):
        return None
    return usec / 3e6 if usec > 0 and pid == os.getpid() else None


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode("ascii").replace("\n", " ")
