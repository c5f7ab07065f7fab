"""The machine on which a benchmark runs: what a reader needs to compare its numbers with others."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import time
from pathlib import Path

QUIET = 0.5
"""Runnable tasks for each core, beside the benchmark, up to which the machine counts as quiet."""
PACKAGES = ("trio", "pyroute2", "dbus-next")
TOOLS = {"iproute2": ("ip", "-V"), "gcc": ("gcc", "-dumpfullversion"), "nmcli": ("nmcli", "--version")}
"""What failoverd is measured beside: the words that make it print its version."""


def machine() -> str:
    """Return the processor, the number of cores, and the kernel, in one line."""
    cores = len(os.sched_getaffinity(0))
    return f"{_processor()}, {cores} cores, Linux {platform.release()} {platform.machine()}"


def versions() -> dict[str, str]:
    """Return the versions of Python, of the libraries, and of the tools that are installed."""
    found = {"python": platform.python_version()}
    found |= {name: importlib.metadata.version(name) for name in PACKAGES}
    for name, command in TOOLS.items():
        path = shutil.which(command[0], path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if path:
            done = subprocess.run([path, *command[1:]], capture_output=True, text=True, check=False)
            numbers = re.findall(r"\d+\.[\d.]*\d", done.stdout)
            found[name] = numbers[0] if numbers else done.stdout.strip()
    return found


def load() -> float:
    """Return the load average of the last minute: tasks that run or wait for a core."""
    return os.getloadavg()[0]


def is_quiet(before: float) -> bool:
    """Whether a load average, read before a benchmark began, leaves the cores to it."""
    return before <= QUIET * len(os.sched_getaffinity(0))


def today() -> str:
    """Return the date and the time, to the minute, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return " ".join(value.split())
    return platform.processor() or "unknown processor"
