"""A private dbus-daemon, and one method call on an open connection: from the first byte sent to the last byte received.

The reply is not taken apart here: what that costs is the client's, and this one's library is the slowest there is.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dbus_next import Message

from raw.build import CannotMeasureError

CONFIG = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy></busconfig>
"""
HEADER = struct.Struct("<BBBBIII")
"""Byte order, type, flags, version, length of the body, serial, length of the header's fields."""
METHOD_RETURN, ERROR = 2, 3
PATIENCE = 60.0


@contextmanager
def bus(path: Path) -> Iterator[None]:
    """Run a bus at this socket. Raises CannotMeasureError where there is no dbus-daemon."""
    program = shutil.which("dbus-daemon")
    if not program:
        raise CannotMeasureError("there is no dbus-daemon, over which a D-Bus call goes; apt install dbus-daemon")
    config = path.with_suffix(".conf")
    config.write_text(CONFIG.format(path=path), encoding="ascii")
    command = [program, f"--config-file={config}", "--nofork", "--nosyslog", "--nopidfile"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + PATIENCE
        while not path.exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)


class Connection:
    """An open connection to a bus."""

    def __init__(self, path: Path) -> None:
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.settimeout(PATIENCE)
        self._sock.connect(os.fspath(path))
        self._sock.sendall(b"\0AUTH EXTERNAL " + str(os.geteuid()).encode().hex().encode() + b"\r\n")
        answer = self._sock.recv(4096)
        if not answer.startswith(b"OK"):
            raise ConnectionError(f"the bus refuses this user: {answer!r}")
        self._sock.sendall(b"BEGIN\r\n")
        self._serial = 0
        self.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello")

    def call(self, name: str, path: str, interface: str, member: str, signature: str = "", *body: Any) -> int:
        """Call a method; return the length of the reply's body. Raises ConnectionError for an error's reply."""
        self._serial += 1
        words = Message(name, path, interface, member, signature=signature, body=list(body), serial=self._serial)
        self._sock.sendall(words._marshall())
        while True:
            head = HEADER.unpack(self._read(HEADER.size))
            kind, length, fields = head[1], int(head[4]), int(head[6])
            rest = self._read(-(-fields // 8) * 8 + length)
            if kind == ERROR:
                raise ConnectionError(f"{interface}.{member} failed: {rest!r}")
            if kind == METHOD_RETURN:
                return length

    def close(self) -> None:
        """Close it."""
        self._sock.close()

    def _read(self, size: int) -> bytes:
        found = bytearray(size)
        view = memoryview(found)
        while view:
            got = self._sock.recv_into(view)
            if not got:
                raise ConnectionError("the bus has closed the connection")
            view = view[got:]
        return bytes(found)
