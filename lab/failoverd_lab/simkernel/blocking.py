"""A socket of the simulated kernel for code that blocks: the thread in which declared links are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import trio

from failoverd_lab.simkernel.sockets import SimSocket

T = TypeVar("T")


class BlockingSocket:
    """The same socket without a loop. The kernel has answered when `send` returns, so nothing is ever waited for.

    In a thread beside a trio loop, the kernel's work is done in the loop's own thread: the kernel belongs to that.
    """

    def __init__(self, sock: SimSocket) -> None:
        self._sock = sock
        try:
            self._token: trio.lowlevel.TrioToken | None = trio.lowlevel.current_trio_token()
        except RuntimeError:
            self._token = None

    def send(self, datagram: bytes) -> int:
        """Process a datagram's messages one by one; returns its length. Raises OSError on a closed socket."""
        self._do(lambda: self._sock.send_nowait(datagram))
        return len(datagram)

    def recv(self, _size: int = 0, /) -> bytes:
        """Return the next datagram. Raises TimeoutError where none would come, else as SimSocket does."""
        datagram = self._do(self._sock.recv_nowait)
        if datagram is None:
            raise TimeoutError("the simulated kernel has nothing to say")
        return datagram

    def close(self) -> None:
        """Close it. It no longer keeps its namespace alive."""
        self._do(self._sock.close)

    def _do(self, call: Callable[[], T]) -> T:
        if self._token is None or _is_in_loop():
            return call()
        return trio.from_thread.run_sync(call, trio_token=self._token)


def _is_in_loop() -> bool:
    try:
        trio.lowlevel.current_trio_token()
    except RuntimeError:
        return False
    return True
