"""failoverd-netns as systemd starts it, in network and mount namespaces of the test's own.

A test that is a `private_net` calls `own_run()` first: then /run is its own, and names of namespaces are, too.
"""

from __future__ import annotations

import ctypes
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import IO

import trio

from failoverd.daemon.namespaces import Namespaces
from failoverd.model.declared import NamespaceRef
from failoverd.model.places import Absent, Place

THREADS = 2
"""Of a doorkeeper that watches names: the loop's, and the one that waits for mounts."""
CLONE_NEWNS = 0x20000
START = """
import ctypes, os, sys
# The unit's CapabilityBoundingSet=: CAP_NET_ADMIN, CAP_SYS_PTRACE, CAP_SYS_ADMIN. PR_CAPBSET_DROP is 24.
for capability in {*range(64)} - {12, 19, 21}:
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
os.environ["LISTEN_PID"], os.environ["LISTEN_FDS"] = str(os.getpid()), "1"
os.dup2(int(sys.argv[1]), 3)
code = "import sys; from failoverd.cli.netns import main; sys.exit(main())"
os.execv(sys.executable, [sys.executable, "-c", code, *sys.argv[2:]])
"""


def own_run() -> None:
    """Give this process, which must have one thread, a mount namespace with an empty /run."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "unshare")
    run("mount", "--make-rprivate", "/")
    run("mount", "-t", "tmpfs", "none", "/run")
    run("mount", "--make-shared", "/run")


def run(*command: str) -> str:
    """Run a command, which must succeed, and return its output."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextmanager
def doorkeeper(
    door: Path, *options: str, runtimes: str = "", said: IO[bytes] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A doorkeeper that listens there; what it says goes to `said`."""
    door.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(door))
        listener.listen(64)
        command = [sys.executable, "-c", START, str(listener.fileno()), "--runtimes", runtimes, *options]
        with subprocess.Popen(command, pass_fds=[listener.fileno()], stderr=said) as process:
            try:
                yield process
            finally:
                process.kill()


class Client:
    """The daemon's client, and all it has told so far."""

    def __init__(self, door: Path) -> None:
        self.namespaces = Namespaces(door)
        self.told: list[tuple[NamespaceRef, Place | Absent]] = []
        self._more = trio.Event()

    async def listen(self) -> None:
        async for reference, what in self.namespaces.changes():
            self.told.append((reference, what))
            self._more.set()
            self._more = trio.Event()

    def watch(self, *references: NamespaceRef) -> None:
        self.namespaces.watch(references)

    async def until(
        self, reference: NamespaceRef, is_so: Callable[[Place | Absent], bool], within: float = 5.0
    ) -> float:
        """Wait until it is so; the seconds that took."""
        start = trio.current_time()
        with trio.move_on_after(within):
            while not is_so(self.namespaces.now(reference)):
                await self._more.wait()
            return trio.current_time() - start
        raise AssertionError(f"{reference} after {within} s: {self.namespaces.now(reference)}")

    async def place(self, reference: NamespaceRef, within: float = 5.0) -> Place:
        """Wait until it leads somewhere."""
        await self.until(reference, lambda what: isinstance(what, Place), within)
        found = self.namespaces.now(reference)
        assert isinstance(found, Place)
        return found

    async def absent(self, reference: NamespaceRef, *reasons: str, within: float = 5.0) -> Absent:
        """Wait until it leads nowhere, for one of these reasons."""
        await self.until(reference, lambda what: isinstance(what, Absent) and what.reason in reasons, within)
        found = self.namespaces.now(reference)
        assert isinstance(found, Absent)
        return found


@asynccontextmanager
async def client(door: Path, references: Collection[NamespaceRef] = ()) -> AsyncIterator[Client]:
    """A client that watches these references."""
    one = Client(door)
    one.watch(*references)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.listen)
        nursery.start_soon(one.namespaces.run)
        yield one
        nursery.cancel_scope.cancel()


def open_files(pid: int) -> dict[str, str]:
    """The open files of a process: number and target."""
    found = {}
    for path in list(Path(f"/proc/{pid}/fd").iterdir()):
        with suppress(FileNotFoundError):
            found[path.name] = str(path.readlink())
    return found


def files_at_rest(pid: int) -> dict[str, str]:
    """The open files of a process once twenty looks in a row agree: what it opens to answer is closed by then."""
    seen: list[dict[str, str]] = []
    end = time.monotonic() + 5
    while seen.count(now := open_files(pid)) < 20:
        seen = [*seen, now] if now in seen else [now]
        assert time.monotonic() < end, seen
        time.sleep(0.01)
    return now


def comes_to_rest(pid: int, files: dict[str, str]) -> None:
    """A doorkeeper has these files and its threads again. An answer may be read before it has closed what it sent, and
    a thread that ends is in the kernel's list for a moment longer."""
    end = time.monotonic() + 5
    while (open_files(pid), len(list(Path(f"/proc/{pid}/task").iterdir()))) != (files, THREADS):
        assert time.monotonic() < end, open_files(pid)
        time.sleep(0.01)
