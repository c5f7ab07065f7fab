"""Send a bus calls to failoverd as fast as it takes them: run beside a test, and end it by its pid.

    python3 busflood.py SOCKET KIND      prints "begun" when the first of them are under way

quiet: Explain without a wish for an answer. signals: signals for failoverd alone. hungry: Explain with a wish for
answers, which are read when they come. many: the same from as many connections as fill the place for calls that wait.
"""

from __future__ import annotations

import contextlib
import itertools
import sys

from malformed import MANAGER, NAME, ROOT
from rawbus import CALL, SIGNAL, RawBus, build, fields, text

BATCH = 100


CONNECTIONS = 24


def many(path: str) -> None:
    """Each connection has calls waiting all the time. What they are answered is passed over."""
    header = fields(path=ROOT, interface=MANAGER, member=b"Explain", destination=NAME, signature=b"s")
    clients = [RawBus(path) for _ in range(CONNECTIONS)]
    for client in clients:
        client.sock.setblocking(False)
    serials = itertools.count(10)
    for number in itertools.count():
        for client in clients:
            batch = b"".join(build(header, text(b""), serial=next(serials)) for _ in range(BATCH // 2))
            with contextlib.suppress(BlockingIOError):
                client.sock.sendall(batch)
            with contextlib.suppress(BlockingIOError):
                while client.sock.recv(1 << 16):
                    pass
        if number == 3:
            print("begun", flush=True)


def main(path: str, kind: str) -> None:
    """See the module."""
    if kind == "many":
        many(path)
    header = fields(path=ROOT, interface=MANAGER, member=b"Explain", destination=NAME, signature=b"s")
    flags, form = {"quiet": (1, CALL), "signals": (0, SIGNAL), "hungry": (0, CALL)}[kind]
    serials = itertools.count(10)
    with RawBus(path) as client:
        batch = b""
        for number in itertools.count():
            if kind == "hungry" or not batch:
                made = (build(header, text(b""), flags=flags, kind=form, serial=next(serials)) for _ in range(BATCH))
                batch = b"".join(made)
            client.sock.sendall(batch)
            if kind == "hungry":
                client.reply()
            if number == 1:
                print("begun", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
