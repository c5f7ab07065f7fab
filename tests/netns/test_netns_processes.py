"""Namespaces by pid and by paths below /proc, with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
from doorkeeper import client, doorkeeper, own_run
from privatenet import container, private_net

from failoverd.daemon.open_namespace import NamespaceGoneError
from failoverd.model.declared import NamespaceRef

LATE = """
import ctypes, sys
print("there", flush=True)
sys.stdin.readline()
ctypes.CDLL(None).unshare(0x40000000)
print("in", flush=True)
sys.stdin.read()
"""

AGAIN = """
import ctypes, os, struct, sys, time
pid = ctypes.c_int(int(sys.argv[1]))
# struct clone_args (linux/sched.h); exit_signal is SIGCHLD, set_tid the pid that the child is to have.
words = [0, 0, 0, 0, 17, 0, 0, 0, ctypes.addressof(pid), 1, 0]
arguments = struct.pack("=11Q", *words)
CLONE3 = 435
child = ctypes.CDLL(None, use_errno=True).syscall(CLONE3, arguments, len(arguments))
if child == 0:
    ctypes.CDLL(None).unshare(0x40000000)
    os.write(1, b"in\\n")
    time.sleep(60)
    os._exit(0)
os.write(1, (f"{child}\\n" if child > 0 else os.strerror(ctypes.get_errno())).encode())
sys.stdin.read()
os.kill(child, 9)
os.waitpid(child, 0)
"""


@contextmanager
def with_the_pid(pid: int) -> Iterator[None]:
    """Another process, in another namespace, that has this pid."""
    command = [sys.executable, "-c", AGAIN, str(pid)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = {process.stdout.readline(), process.stdout.readline()}
        assert said == {"in\n", f"{pid}\n"}
        yield


def by_pid(pid: int) -> NamespaceRef:
    return NamespaceRef("pid", str(pid))


@private_net
def test_a_process_leads_to_its_namespace_until_it_ends(tmp_path: Path) -> None:
    own_run()

    async def told() -> None:
        with container() as pid:
            references = [by_pid(pid)]
            references += [NamespaceRef("path", f"/proc/{pid}{part}/ns/net") for part in ("", f"/task/{pid}")]
            async with client(tmp_path / "door", references) as one:
                places = {await one.place(reference) for reference in references}
                assert len(places) == 1
                with one.namespaces.open(places.pop()) as inside:
                    assert os.fstat(inside.fd).st_ino == Path(f"/proc/{pid}/ns/net").stat().st_ino
                os.kill(pid, signal.SIGKILL)
                for reference in references:
                    await one.absent(reference, "process-gone", within=1)

    with doorkeeper(tmp_path / "door"):
        trio.run(told)


@private_net
def test_a_process_that_leaves_our_namespace_later_is_seen(tmp_path: Path) -> None:
    own_run()

    async def told() -> None:
        late = subprocess.Popen([sys.executable, "-c", LATE], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with late as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.readline() == b"there\n"
            async with client(tmp_path / "door", [by_pid(process.pid)]) as one:
                await one.absent(by_pid(process.pid), "namespace-is-own")
                process.stdin.write(b"\n")
                process.stdin.flush()
                await one.place(by_pid(process.pid), within=1)
            process.kill()

    with doorkeeper(tmp_path / "door"):
        trio.run(told)


@private_net
def test_a_reused_pid_is_not_obeyed(tmp_path: Path) -> None:
    """Also by a doorkeeper that is started anew: the client tells it which process was meant."""
    own_run()
    door = tmp_path / "door"

    async def told() -> None:
        with container() as pid, doorkeeper(door) as first:
            async with client(door, [by_pid(pid)]) as one:
                place = await one.place(by_pid(pid))
                os.kill(pid, signal.SIGKILL)
                await one.absent(by_pid(pid), "process-gone", within=1)
                os.waitpid(pid, 0)
                with with_the_pid(pid):
                    await one.absent(by_pid(pid), "pid-reused", within=2)
                    door.unlink()
                    first.kill()
                    await one.absent(by_pid(pid), "door-closed", within=2)
                    with doorkeeper(door):
                        await one.absent(by_pid(pid), "pid-reused", within=5)
                        with pytest.raises(NamespaceGoneError):
                            one.namespaces.open(place)

    trio.run(told)


@private_net
def test_pids_that_cannot_be(tmp_path: Path) -> None:
    own_run()
    strange = [NamespaceRef("pid", text) for text in ("0", "-1", "x", "9999999999", "4194305", "1e3")]

    async def told() -> None:
        async with client(tmp_path / "door", strange) as one:
            for reference in strange:
                await one.absent(reference, "process-gone")

    with doorkeeper(tmp_path / "door"):
        trio.run(told)
