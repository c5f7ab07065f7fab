"""`failoverd-hooks`: run administrators' hooks as root, and make udev look at NICs again.

    failoverd --datagrams--> socket (systemd's) --> take in all there is --+--> `change` events, at once
                                                                           +--> queue --> hooks, one after the other

systemd starts it when the first datagram comes, and it ends when there has been nothing to do for a while. It is root,
as hooks and the kernel's `uevent` files need, and has no capability, so the hooks have none either.

It is one thread with one loop: it waits for the socket and for the end of the running hook, so that no `change` event
waits for a hook. Hooks run in the order of their names and of the events, each in a process group of its own that is
ended when its time is over. Their output goes where failoverd-hooks' own goes, to the journal, with no pipe that a
forgotten child could hold open. If the queue is full, the socket is left unread until there is room; then failoverd
drops messages, and logs it.

It starts during a failover, so it imports little: no trio, no subprocess.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from failoverd.cli.arguments import Option, Program
from failoverd.cli.hookfiles import HookFiles
from failoverd.cli.usage import begin
from failoverd.model.text import printable

FIRST_FD = 3
"""SD_LISTEN_FDS_START: the socket that systemd passes."""
LARGEST = 1 << 16
QUEUE = 500
"""Events that may wait here; some hundred more wait in the kernel (net.unix.max_dgram_qlen)."""
LONGEST = 1e6
"""Seconds. select(2) takes no time that is much longer."""
GRACE = 5.0
"""Seconds from SIGTERM to SIGKILL, and from that to giving up."""

KEY = re.compile("FAILOVERD_[A-Z_]+")
NOT_FOR_HOOKS = ("LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID", "NOTIFY_SOCKET")
IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)
"""Python ignores these signals, and its children would inherit that."""
NET = Path("/sys/class/net")

Environment = Mapping[str, str]


def read_seconds(text: str) -> float:
    """Parse seconds. Raises ValueError for a time that cannot be waited for."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    # Written like this, as any comparison with "nan" is false.
    if not 0 < seconds <= LONGEST:
        raise ValueError(f"{text!r} is no time; say seconds, more than 0 and at most {LONGEST:.0f}")
    return seconds


USUAL = {"--hooks": "/etc/failoverd/hooks.d", "--timeout": 30.0, "--idle": 10.0}
"""The values of options that are not given."""
PROGRAM = Program(
    "failoverd-hooks",
    "Run the hooks of /etc/failoverd/hooks.d for failoverd.",
    [
        Option("--hooks", f"Where the hooks are; {USUAL['--hooks']} without it.", value="DIRECTORY"),
        Option("--timeout", "What a hook gets; 30 without it.", value="SECONDS", read=read_seconds),
        Option("--idle", "How long to stay with nothing to do; 10 without it.", value="SECONDS", read=read_seconds),
    ],
    [("--timeout 60", "as an ExecStart= of failoverd-hooks.service: hooks that take longer")],
    {0: "there was nothing more to do", 2: "wrong usage, or no socket was handed over"},
    notes="""\
Started by failoverd-hooks.socket; there is nothing to be run by hand. A hook is an executable in the directory, owned
by root and writable by root alone, with a name of letters, digits, - and _. What it finds in its environment is
described in failoverd's docs/reference/hooks.md.""",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Work until there has been nothing to do for a while. Returns the exit code."""
    wanted = begin(PROGRAM, argv)
    if isinstance(wanted, int):
        return wanted
    options = {**USUAL, **wanted.options}
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        say("no socket was handed over; it is started by systemctl start failoverd-hooks.socket")
        return 2
    os.set_inheritable(FIRST_FD, False)
    with socket.socket(fileno=FIRST_FD) as sock:
        sock.setblocking(False)
        Worker(sock, HookFiles(Path(options["--hooks"]), say), options["--timeout"], options["--idle"]).run()
    return 0


def say(text: str) -> None:
    """Write one line to the journal, whatever is in the text: failoverd must not write lines in root's name."""
    sys.stderr.buffer.write(printable(text).encode("utf-8", "backslashreplace") + b"\n")
    sys.stderr.flush()


class Worker:
    """Takes in datagrams and works through them. `timeout` is the time a hook gets, in seconds, as is `idle`."""

    def __init__(self, sock: socket.socket, hooks: HookFiles, timeout: float, idle: float) -> None:
        self._socket = sock
        self._hooks = hooks
        self._timeout = timeout
        self._idle = idle
        self._waiting: deque[Environment] = deque()

    def run(self) -> None:
        """Work until nothing has come for `idle` seconds."""
        while self._take_in(self._idle) or self._waiting:
            if self._waiting:
                environment = self._waiting.popleft()
                for hook in self._hooks.found():
                    self._run(hook, environment)

    def _take_in(self, patience: float, ended: int | None = None) -> bool:
        """Wait so many seconds for datagrams or the end of a hook, and take in all datagrams. Returns whether there
        were any.

        It does not wait if no hook runs and an event is queued.
        """
        awaited = [] if ended is None else [ended]
        if len(self._waiting) < QUEUE:
            awaited.append(self._socket.fileno())
        select.select(awaited, [], [], 0 if self._waiting and ended is None else patience)
        has_come = False
        with contextlib.suppress(BlockingIOError):
            while len(self._waiting) < QUEUE:
                self._take(self._socket.recv(LARGEST))
                has_come = True
        return has_come

    def _take(self, data: bytes) -> None:
        try:
            message = json.loads(data)
            if "hook" in message:
                self._waiting.append(_checked(message["hook"]))
            else:
                change(message["uevent"], message["ifindex"])
        except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
            say(f"passed over a message that is none of failoverd's: {error!r}: {data[:60]!r}")

    def _run(self, hook: Path, environment: Environment) -> None:
        """Run a hook to its end, and take in what comes meanwhile."""
        what, start = f"{hook} ({environment.get('FAILOVERD_EVENT')})", time.monotonic()
        nothing = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
        inherited = {key: value for key, value in os.environ.items() if key not in NOT_FOR_HOOKS}
        try:
            pid = os.posix_spawn(
                hook, [str(hook)], {**inherited, **environment}, file_actions=nothing, setsid=True, setsigdef=IGNORED
            )
        except OSError as error:
            say(f"{what} cannot be run: {error.strerror}; its first line has to name an interpreter that is there")
            return
        outcome = self._outcome(pid)
        say(f"{what}: {outcome} after {time.monotonic() - start:.2f} s")

    def _outcome(self, pid: int) -> str:
        """Return how the hook ended, in words. If it had to be ended, the rest of its process group is killed."""
        late = ""
        ended = os.pidfd_open(pid)
        try:
            if not self._has_ended(ended, self._timeout):
                late = f", as {self._timeout:g} s were over"
                _signal(pid, signal.SIGTERM)
                is_over = self._has_ended(ended, GRACE)
                _signal(pid, signal.SIGKILL)
                if not is_over and not self._has_ended(ended, GRACE):
                    return f"not even SIGKILL ended process {pid}; left alone"
        finally:
            os.close(ended)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return (f"exit code {code}" if code >= 0 else f"ended by {signal.Signals(-code).name}") + late

    def _has_ended(self, ended: int, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not select.select([ended], [], [], 0)[0]:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._take_in(left, ended)
        return True


def change(name: str, ifindex: int, net: Path = NET) -> None:
    """Have the kernel make a `change` event for this device, which rules see as SYNTH_ARG_FAILOVERD=role.

    The kernel takes "<action> <uuid> KEY=value", letters and digits (Documentation/ABI/testing/sysfs-uevent). Another
    device may have the name by now; then nothing is done, as the event for the new name is on its way. Raises
    ValueError if it cannot be a name.
    """
    if not isinstance(name, str) or "/" in name or name in ("", ".", ".."):
        raise ValueError(f"{name!r} is no device")
    device = net / name
    try:
        if int((device / "ifindex").read_text()) == ifindex:
            uuid = Path("/proc/sys/kernel/random/uuid").read_text().strip()
            (device / "uevent").write_text(f"change {uuid} FAILOVERD=role")
    except FileNotFoundError:
        return
    except OSError as error:
        say(f"{device}/uevent: {error.strerror}; udev goes by the marks {name} had before")


def _checked(environment: Any) -> Environment:
    """Return the environment. Raises ValueError if failoverd does not make such a one, or no process can have it."""
    for key, value in environment.items():
        if not KEY.fullmatch(key) or b"\0" in os.fsencode(value):
            raise ValueError(f"{key}={value!r} is no variable of failoverd's")
    return dict(environment)


def _signal(pid: int, number: signal.Signals) -> None:
    """Signal the whole process group, which outlives the hook if it left children."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
