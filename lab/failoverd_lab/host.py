"""What the lab needs of its machine: tools, a cache directory, and one builder at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

Progress = Callable[[str], None]
"""Receives a few words about an operation that takes more than two seconds."""

PACKAGES = {
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "newuidmap": "uidmap",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "qemu-img": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",
}
"""Each tool that the lab runs, and its Debian package."""


class LabError(Exception):
    """The lab itself failed, not the software under test. The text says what was tried and what to do next."""


def silent(_: str) -> None:
    """Discard the progress."""


def tool(name: str) -> str:
    """Return the path of a tool from PACKAGES. Raises LabError naming the package to install."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise LabError(f"{name} is not installed; the lab needs it: apt-get install {PACKAGES.get(name, name)}")
    return found


def cache_dir() -> Path:
    """Return the directory of images and checkpoints: $FAILOVERD_LAB_CACHE, or failoverd-lab in the user's cache."""
    chosen = os.environ.get("FAILOVERD_LAB_CACHE")
    if chosen:
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "failoverd-lab"


async def call(argv: Sequence[str], *, cwd: Path | None = None) -> str:
    """Run a tool of PACKAGES and return its standard output. Raises LabError with the end of its output."""
    done = await trio.run_process(
        [tool(argv[0]), *argv[1:]], cwd=cwd, capture_stdout=True, capture_stderr=True, check=False
    )
    if done.returncode != 0:
        raise LabError(f"{argv[0]} failed (exit code {done.returncode}): {tail(done.stderr)}")
    return bytes(done.stdout).decode(errors="replace")


def tail(output: bytes, lines: int = 12) -> str:
    """Return the last lines of a tool's output, for an error message."""
    return "\n".join(output.decode(errors="replace").strip().splitlines()[-lines:])


async def cached(name: str, build: Callable[[Path], Awaitable[None]], progress: Progress = silent) -> Path:
    """Return the directory `name` of the cache, built first if it does not exist.

    `build` fills a temporary directory beside it, which is renamed when complete: a half-built directory is never
    visible, and a builder that dies leaves nothing that could be taken for a complete one. A lock keeps a second
    builder waiting.
    """
    final = cache_dir() / name
    if final.is_dir():
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    async with _locked(final.with_name(f".{name}.lock"), progress):
        if not final.is_dir():
            with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=final.parent) as made:
                temporary = Path(made)
                inner = temporary / "new"
                inner.mkdir()
                await build(inner)
                inner.rename(final)
    return final


@asynccontextmanager
async def _locked(path: Path, progress: Progress) -> AsyncIterator[None]:
    """Hold an flock on `path`. The lock is tried again and again because a blocking flock cannot be cancelled."""
    with path.open("w") as file:
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    progress(f"another process is building {path.name[1:-5]}; waiting for it")
                told = True
                await trio.sleep(0.2)
        yield


@asynccontextmanager
async def open_nursery() -> AsyncIterator[trio.Nursery]:
    """Open a nursery that raises a single error as itself, not in a group of one.

    Newer trio wraps every error, also one that the block raised; a caller that opens a guest expects LabError.
    """
    try:
        async with trio.open_nursery() as nursery:
            yield nursery
    except BaseExceptionGroup as group:
        if len(group.exceptions) > 1:
            raise
        raise group.exceptions[0] from group.exceptions[0].__cause__


def spawn(
    argv: Sequence[str], *, pass_fds: Sequence[int] = (), stderr: Path, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a process that dies with this one; `env` is its environment, this process's if it is not given.

    Not trio's `open_process`: that forks in a worker thread, and PR_SET_PDEATHSIG (prctl(2)) fires when the *thread*
    that forked ends.
    """
    with stderr.open("wb") as log:
        return subprocess.Popen(
            [tool("setpriv"), "--pdeathsig", "KILL", tool(argv[0]), *argv[1:]],
            pass_fds=pass_fds,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
