"""A kernel of Debian's as a process, in User Mode Linux: it has bonds and VLANs, which not every machine's kernel has.

It boots in two seconds. Its root is this machine's file system, read-only; what it writes is in its own memory.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = "8021q bonding macvlan ipvlan veth bridge dummy sch_ingress act_mirred cls_matchall cls_flower"
MEMORY = "mem=1024M"
SECONDS = 600
ENDED = "the command has ended with "
INSERT = """
import ctypes, os, sys
libc, root, begun = ctypes.CDLL(None, use_errno=True), sys.argv[1], set()
needs = dict(line.split(":") for line in open(f"{root}/modules.dep"))
def insert(path):
    if path in begun:
        return
    begun.add(path)
    for one in reversed(needs[path].split()):
        insert(one)
    number = os.open(f"{root}/{path}", os.O_RDONLY)
    if libc.syscall(313, number, b"", 0):
        print(path, os.strerror(ctypes.get_errno()))
    os.close(number)
for path in list(needs):
    if os.path.basename(path).removesuffix(".ko") in sys.argv[2:]:
        insert(path)
"""
"""Loads modules with what they need. 313 is finit_module(2) on x86-64; kmod is not installed everywhere."""
INIT = """#!/bin/sh
export PATH={path}:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TMPDIR=/var/tmp PYTHONDONTWRITEBYTECODE=1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for place in /run /var/tmp /mnt; do mount -t tmpfs tmpfs $place; done
python3 -c {insert} {modules} {names}
ip link set lo up
cd {root}
{command}
echo "{ended}$?"
echo o >/proc/sysrq-trigger
sleep 60
"""


@dataclass(frozen=True)
class Ended:
    """What became of a command."""

    status: int
    """Its exit status; -1 where the kernel did not come to its end."""
    text: str
    """What it wrote, and the kernel's own messages."""


def kernel() -> Path | None:
    """Return the kernel, from FAILOVERD_UML or the package user-mode-linux; None where there is none."""
    found = os.environ.get("FAILOVERD_UML") or shutil.which("linux.uml")
    return Path(found).resolve() if found else None


def run(where: Path, *command: str) -> Ended:
    """Boot it, and run a command as root. `where` is for the script that boots it."""
    binary = kernel()
    assert binary is not None
    (modules,) = (binary.parents[1] / "lib" / "uml" / "modules").iterdir()
    init = where / "init"
    init.write_text(
        INIT.format(
            path=Path(sys.executable).parent,
            insert=shlex.quote(INSERT),
            modules=modules,
            names=MODULES,
            root=ROOT,
            command=shlex.join(command),
            ended=ENDED,
        )
    )
    init.chmod(0o755)
    words = [str(binary), MEMORY, "rootfstype=hostfs", "rootflags=/", "ro", "con=null", "con0=null,fd:1", "quiet"]
    output = where / "console"
    with output.open("wb") as console:
        process = subprocess.Popen(
            [*words, f"init={init}"], stdin=subprocess.DEVNULL, stdout=console, stderr=console, process_group=0
        )
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            # It has a process for each of its own.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    text = output.read_text(errors="replace").replace("\r\n", "\n")
    _, _, status = text.rpartition(ENDED)
    number = status.split("\n")[0]
    return Ended(int(number) if number.isdigit() else -1, text)
