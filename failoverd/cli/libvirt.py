"""`failoverd-libvirt`: answer libvirt's clients about interfaces, on a machine without a libvirt daemon.

    virsh, libvirt-python --> sockets of libvirt's names (systemd's) --> this process --> control socket --> failoverd

It is a process of its own, so that no client of it can delay a failover: the daemon gets its questions one at a time,
as from any local user. systemd starts it with the first client, as a user that has nothing; it ends when there has been
no client for a while.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Sequence

import trio

from failoverd.cli.arguments import Option, Program
from failoverd.cli.hooks import FIRST_FD, read_seconds
from failoverd.cli.libvirtserver import Server
from failoverd.cli.libvirtsource import Source
from failoverd.cli.usage import begin

IDLE = 30.0
PROGRAM = Program(
    "failoverd-libvirt",
    "Answer libvirt's clients about interfaces, from failoverd's inventory.",
    [Option("--idle", "How long to stay without a client; 30 without it.", value="SECONDS", read=read_seconds)],
    [("--idle 600", "as an ExecStart= of failoverd-libvirt.service: stay for ten minutes")],
    {0: "there was no client any more", 2: "wrong usage, or no socket was handed over"},
    notes="""\
Started by failoverd-libvirt.socket and failoverd-libvirt-ro.socket, which are off until an administrator turns them on;
there is nothing to be run by hand. FAILOVERD_CONTROL in its environment is where the daemon's control socket is.""",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until there has been no client for a while. Returns the exit code."""
    wanted = begin(PROGRAM, argv)
    if isinstance(wanted, int):
        return wanted
    number = os.environ.get("LISTEN_FDS", "")
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or number not in ("1", "2"):
        text = "no socket was handed over; it is started by systemctl start failoverd-libvirt.socket"
        print(f"failoverd-libvirt: {text}", file=sys.stderr)
        return 2
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    trio.run(_serve, range(FIRST_FD, FIRST_FD + int(number)), wanted.options.get("--idle", IDLE))
    return 0


async def _serve(files: Sequence[int], idle: float) -> None:
    listeners = [socket.socket(fileno=file) for file in files]
    for listener in listeners:
        listener.set_inheritable(False)
        listener.setblocking(False)
    await Server(Source(), idle).run(listeners)
