"""Tells when something comes to or goes from a directory (inotify), and when anything is mounted or unmounted.

The second is a poll of /proc/self/mountinfo: `ip netns add` first makes a plain file, and mounts the namespace on it
afterwards, of which inotify tells nothing. The poll is for POLLPRI, and to be polled is what resets it (fs/namespace.c,
mounts_poll): epoll, which polls a file once more than it tells, can lose one. So a thread waits with poll(2).
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import trio

from failoverd.netns.kernel import call

IN_NONBLOCK, IN_CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC
IN_ATTRIB, IN_MOVED, IN_CREATE, IN_DELETE, IN_DELETE_SELF, IN_MOVE_SELF = 0x4, 0xC0, 0x100, 0x200, 0x400, 0x800
IN_ONLYDIR = 0x1000000
WATCHED = IN_MOVED | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR
MOUNTS = "/proc/self/mountinfo"
PAUSE = 0.02
"""Seconds between two times that a change is told: a machine that starts containers mounts a lot."""
Tell = Callable[[], None]


class Folders:
    """Watches directories; one that is not there is watched for by the nearest one above it. `close` ends it."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._fd = call("inotify_init1", IN_NONBLOCK | IN_CLOEXEC)
        self._wanted: frozenset[Path] = frozenset()
        self._watched: set[int] = set()

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def want(self, folders: Iterable[Path]) -> None:
        """Watch these, and no others."""
        self._wanted = frozenset(folders)
        self._watch()

    async def run(self) -> None:
        """Tell of changes until cancelled."""
        while True:
            await trio.lowlevel.wait_readable(self._fd)
            with contextlib.suppress(BlockingIOError):
                while os.read(self._fd, 65536):
                    pass
            # Before it is told, so that nothing that comes after the look is missed.
            self._watch()
            self._tell()
            await trio.sleep(PAUSE)

    def _watch(self) -> None:
        watched = {number for folder in self._wanted for number in self._one(folder)}
        for number in self._watched - watched:
            # The kernel may have forgotten it already.
            with contextlib.suppress(OSError):
                call("inotify_rm_watch", self._fd, number)
        self._watched = watched

    def _one(self, folder: Path) -> Iterator[int]:
        """Yield the number of the watch for this directory, or for those above it that are there."""
        for there in (folder, *folder.parents):
            try:
                yield call("inotify_add_watch", self._fd, os.fsencode(there), WATCHED)
            except OSError:
                continue
            return


class Mounts:
    """Tells of mounts and their ends, from a thread of its own."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    async def run(self) -> None:
        """Tell of changes until cancelled."""
        token = trio.lowlevel.current_trio_token()
        stop, stopped = os.pipe2(os.O_CLOEXEC)
        thread = threading.Thread(target=self._wait, args=(token, stop), daemon=True)
        thread.start()
        try:
            await trio.sleep_forever()
        finally:
            os.close(stopped)
            thread.join()
            os.close(stop)

    def _wait(self, token: trio.lowlevel.TrioToken, stop: int) -> None:
        with Path(MOUNTS).open("rb") as mounts:
            poll = select.poll()
            poll.register(mounts, select.POLLPRI)
            poll.register(stop, select.POLLIN)
            # What was mounted before the file was open is not told.
            token.run_sync_soon(self._tell, idempotent=True)
            while stop not in dict(poll.poll()):
                token.run_sync_soon(self._tell, idempotent=True)
                # A pause that also ends with the pipe.
                if select.select([stop], [], [], PAUSE)[0]:
                    return
