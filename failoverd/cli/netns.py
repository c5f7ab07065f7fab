"""`failoverd-netns`: look after network namespaces for failoverd, which may enter none itself.

systemd starts it with the first client, and it ends when there has been none for a while: a machine on which nothing is
declared for a namespace never runs it.
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
from failoverd.cli.usage import begin
from failoverd.netns.runtimes import SOCKETS
from failoverd.netns.server import Server

IDLE = 30.0
USUAL = ",".join(SOCKETS)
PROGRAM = Program(
    "failoverd-netns",
    "Find network namespaces for failoverd, and open sockets in them.",
    [
        Option("--idle", "How long to stay without a client; 30 without it.", value="SECONDS", read=read_seconds),
        Option("--runtimes", f"Sockets of container runtimes; {USUAL} without it.", value="PATH,PATH"),
    ],
    [("--idle 600", "as an ExecStart= of failoverd-netns.service: stay for ten minutes")],
    {0: "there was no client any more", 2: "wrong usage, or no socket was handed over"},
    notes="""\
Started by failoverd-netns.socket when failoverd needs a network namespace; there is nothing to be run by hand.""",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until there has been no client for a while. Returns the exit code."""
    wanted = begin(PROGRAM, argv)
    if isinstance(wanted, int):
        return wanted
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        text = "no socket was handed over; it is started by systemctl start failoverd-netns.socket"
        print(f"failoverd-netns: {text}", file=sys.stderr)
        return 2
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    os.set_inheritable(FIRST_FD, False)
    with socket.socket(fileno=FIRST_FD) as listener:
        sockets = [path for path in wanted.options.get("--runtimes", USUAL).split(",") if path]
        trio.run(Server(wanted.options.get("--idle", IDLE), sockets).run, listener)
    return 0
