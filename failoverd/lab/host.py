"""What the lab needs of the machine it runs on: tools, a cache directory, and one builder at a time."""

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
"""Told in a few words what takes more than two seconds."""

PACKAGES = {
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "newuidmap": "uidmap",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "qemu-img": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",
}
"""Each tool the lab runs, and the Debian package it comes from."""


class LabError(Exception):
    """The lab itself failed, not what is being tested. The text says what was tried and what to do next."""


def silent(_: str) -> None:
    """The progress callback for those who want none."""


def tool(name: str) -> str:
    """The path of a tool from PACKAGES. Raises LabError naming the package to install."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise LabError(f"{name} is not installed; the lab needs it: apt-get install {PACKAGES.get(name, name)}")
    return found


def cache_dir() -> Path:
    """Where images and checkpoints are kept: $FAILOVERD_LAB_CACHE, or failoverd-lab in the user's cache."""
    chosen = os.environ.get("FAILOVERD_LAB_CACHE")
    if chosen:
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "failoverd-lab"


async def call(argv: Sequence[str], *, cwd: Path | None = None) -> str:
    """Run a tool of PACKAGES and return its standard output. Raises LabError with the end of what it said."""
    done = await trio.run_process(
        [tool(argv[0]), *argv[1:]], cwd=cwd, capture_stdout=True, capture_stderr=True, check=False
    )
    if done.returncode != 0:
        raise LabError(f"{argv[0]} failed (exit code {done.returncode}): {tail(done.stderr)}")
    return bytes(done.stdout).decode(errors="replace")


def tail(output: bytes, lines: int = 12) -> str:
    """The last lines of a tool's output, for an error message."""
    return "\n".join(output.decode(errors="replace").strip().splitlines()[-lines:])


async def cached(name: str, build: Callable[[Path], Awaitable[None]], progress: Progress = silent) -> Path:
    """The directory `name` of the cache, built first if it is not there.

    `build` fills a temporary directory beside it, which is renamed when complete: nobody sees half a build, and
    a builder that dies leaves nothing that could be taken for one. A lock keeps a second builder waiting.
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
    """Hold an flock on `path`. It is asked for again and again because a blocking flock cannot be cancelled."""
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
    """A nursery that raises an error which is alone as itself, not in a group of one.

    Newer trio wraps every error, also what the block raised; who opens a guest wants to catch LabError.
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
    """Start a process that dies with this one; `env` is its environment, this one's if there is none.

    Not trio's `open_process`: that forks in a worker thread, and PR_SET_PDEATHSIG (prctl(2)) fires when the
    *thread* that forked ends.
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
