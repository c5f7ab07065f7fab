"""failoverd-libvirt as systemd starts it: a real process with listening sockets as its file descriptors 3 and 4."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START = """
import fcntl, os, sys
os.environ["LISTEN_PID"] = str(os.getpid())
moved = [fcntl.fcntl(int(word), fcntl.F_DUPFD_CLOEXEC, 10) for word in sys.argv[1:3]]
for number, fd in enumerate(moved):
    os.dup2(fd, 3 + number)
code = "import sys; from failoverd.cli.libvirt import main; sys.exit(main())"
os.execv(sys.executable, [sys.executable, "-c", code, *sys.argv[3:]])
"""


@contextmanager
def libvirt_service(place: Path, control: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Its sockets are `sock` and `sock-ro` in that place; the daemon is asked at `control`."""
    with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as other:
        for sock, name in ((one, "sock"), (other, "sock-ro")):
            sock.bind(str(place / name))
            sock.listen(4096)
        files = [one.fileno(), other.fileno()]
        environment = os.environ | {"LISTEN_FDS": "2", "FAILOVERD_CONTROL": str(control)}
        command = [sys.executable, "-c", START, *map(str, files), *options]
        with subprocess.Popen(command, env=environment, pass_fds=files) as program:
            try:
                yield program
            finally:
                program.kill()
