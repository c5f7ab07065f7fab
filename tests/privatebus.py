"""A real dbus-daemon on a socket in a directory of the test, ended by its pid."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

PATIENCE = 20.0
OPEN = (
    '<policy context="default"><allow own="*"/><allow send_destination="*" eavesdrop="true"/>'
    '<allow eavesdrop="true"/></policy>'
)
CLOSED = """
  <policy context="default">
    <allow user="*"/><deny own="*"/><deny send_type="method_call"/>
    <allow send_type="signal"/><allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/><allow receive_type="method_call"/>
    <allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
  </policy>
"""
"""As Debian's system.conf: what no file allows is denied."""


class PrivateBus:
    """See the module. `policy` goes into its configuration."""

    def __init__(self, where: Path, policy: str = OPEN) -> None:
        self.socket = where / "bus"
        self.address = f"unix:path={self.socket}"
        self._config = where / "bus.conf"
        self.process: subprocess.Popen[bytes] | None = None
        self._write(policy)

    def allow(self, policy: str) -> None:
        """Have it take another policy, as it does when a package brings one."""
        self._write(policy)
        self.signal(signal.SIGHUP)

    def _write(self, policy: str) -> None:
        self._config.write_text(
            '<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"\n'
            ' "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">\n'
            f"<busconfig><type>session</type><listen>{self.address}</listen><auth>EXTERNAL</auth>{policy}</busconfig>"
        )

    def start(self) -> None:
        """Start it and wait until it listens."""
        self.socket.unlink(missing_ok=True)
        command = ["dbus-daemon", f"--config-file={self._config}", "--nofork", "--nosyslog", "--nopidfile"]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        end = time.monotonic() + PATIENCE
        while not self.socket.exists():
            assert self.process.poll() is None, "dbus-daemon did not start"
            assert time.monotonic() < end, "dbus-daemon does not listen"
            time.sleep(0.01)
        self.socket.chmod(0o666)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """End it at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def __enter__(self) -> PrivateBus:
        self.start()
        return self

    def __exit__(self, _kind: type | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.kill()


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something another process does."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"{what} has not come"
        time.sleep(0.01)
