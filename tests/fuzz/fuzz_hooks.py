"""Datagrams to failoverd-hooks. It is root, and its socket is the service user's: what that user may send is not
trusted. No device is touched but one of that name and ifindex, no hook gets but variables of ours, and what is said is
one line.

What hooks print goes to the journal without passing through failoverd, which reads none of it.
"""

from __future__ import annotations

import io
import json
import socket
import sys
import tempfile
from pathlib import Path
from unittest import mock

from fuzzing import SCRATCH, Harness, is_one_line

from failoverd.cli import hooks
from failoverd.cli.hookfiles import HookFiles

ROOM = tempfile.TemporaryDirectory(prefix="failoverd-fuzz-", dir=SCRATCH)
NET = Path(ROOM.name, "net")
HOOK = Path(ROOM.name, "no-hook")
"""It is not there, so it cannot be run: what is said of that names the event."""


FOLDERS = (NET / "ens4", NET, Path(ROOM.name))
"""The device, and what is not one."""
for folder in FOLDERS:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ifindex").write_text("3\n")
    (folder / "uevent").write_text("")


def one(data: bytes) -> None:
    """See the module."""
    change = hooks.change
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with (
        ours,
        theirs,
        mock.patch.object(hooks, "change", lambda name, ifindex: change(name, ifindex, NET)),
        mock.patch.object(sys, "stderr", io.TextIOWrapper(io.BytesIO())) as stderr,
    ):
        worker = hooks.Worker(theirs, HookFiles(HOOK, hooks.say), 1.0, 1.0)
        worker._take(data)
        for environment in worker._waiting:
            worker._run(HOOK, environment)
        said = stderr.buffer.getvalue().decode()
    assert all(is_one_line(line) for line in said.split("\n")), said
    assert all((folder / "uevent").read_text() == "" for folder in FOLDERS[1:])
    for environment in worker._waiting:
        assert all(key.startswith("FAILOVERD_") and "\0" not in value for key, value in environment.items())


def seeds() -> list[bytes]:
    """What failoverd sends."""
    return [
        json.dumps(message).encode()
        for message in (
            {"uevent": "ens4", "ifindex": 3},
            {"uevent": "../ens4", "ifindex": 3},
            {"uevent": "..", "ifindex": 3},
            {"hook": {"FAILOVERD_EVENT": "failed-over", "FAILOVERD_MASTER": "ens3", "FAILOVERD_REASON": "no\ncarrier"}},
            {"hook": {"PATH": "/tmp", "LD_PRELOAD": "x"}},
        )
    ]


HARNESS = Harness(
    "hooks", one, seeds, (b'"uevent": ', b'"hook": ', b'"ens4"', b"\\u0000", b"\\ud800", b'"FAILOVERD_X": ', b"\\n")
)
