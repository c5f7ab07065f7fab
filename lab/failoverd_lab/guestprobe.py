"""The guest's side of the probes: run by the guest's Python, with the standard library only.

    python3 guestprobe.py PEER-ADDRESS RATE OUTPUT

It sends RATE probes a second to the peer by absolute deadlines, and receives the peer's, until SIGTERM. Then it writes
{"sent": [[number, time]...], "heard": [[number, time]...], "errors": {errno name: count}} to OUTPUT, the times in
seconds of time.monotonic. It is bound to no device and no address, and a send that fails is a lost probe: there may be
no network for a while, and that is what is measured.

The time of arrival is the kernel's (SO_TIMESTAMPNS, socket(7)), not the time at which this process came to run.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import json
import pathlib
import select
import signal
import socket
import struct
import sys
import time

PORT = 7009
PROBE = struct.Struct("!4sQ")
MAGIC = b"fovr"
SO_TIMESTAMPNS = 35
SO_RCVBUFFORCE = 33
BUFFER = 1 << 22
"""Size of the receive buffer: a busy guest may not run this process for a second, and still receives the probes."""


def main(address: str, rate: float, output: str) -> None:
    """Send and receive until SIGTERM, then write the record."""
    sent: list[tuple[int, float]] = []
    heard: list[tuple[int, float]] = []
    errors: dict[str, int] = {}
    ended: list[int] = []
    # A collection visits every probe so far, and nothing is sent meanwhile. There are no cycles here.
    gc.disable()
    signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    sock = _socket(address)
    start = time.monotonic()
    while not ended:
        wait = start + len(sent) / rate - time.monotonic()
        if wait <= 0:
            sent.append((len(sent) + 1, time.monotonic()))
            try:
                sock.sendto(PROBE.pack(MAGIC, len(sent)), (address, PORT))
            except OSError as error:
                name = errno.errorcode.get(error.errno or 0, str(error))
                errors[name] = errors.get(name, 0) + 1
        elif select.select([sock], [], [], wait)[0]:
            heard += _hear(sock)
    heard += _hear(sock)
    temporary = pathlib.Path(f"{output}.new")
    temporary.write_text(json.dumps({"sent": sent, "heard": heard, "errors": errors}))
    temporary.rename(output)


def _socket(address: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    with contextlib.suppress(PermissionError):
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
    sock.bind(("", PORT))
    return sock


def _hear(sock: socket.socket) -> list[tuple[int, float]]:
    """Receive the probes that have arrived."""
    heard: list[tuple[int, float]] = []
    # Errors are pending ICMP messages, or "nothing more": neither matters.
    with contextlib.suppress(OSError):
        while True:
            payload, ancillary, _, _ = sock.recvmsg(2048, 64)
            if len(payload) == PROBE.size and payload.startswith(MAGIC):
                heard.append((PROBE.unpack(payload)[1], _arrival(ancillary)))
    return heard


def _arrival(ancillary: list[tuple[int, int, bytes]]) -> float:
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, nanoseconds = struct.unpack("qq", data[:16])
            age: float = time.time() - (seconds + nanoseconds / 1e9)
            return time.monotonic() - age
    return time.monotonic()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), sys.argv[3])
