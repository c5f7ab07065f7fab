"""NetworkManager, in this process's network namespace, on a bus of its own, managing nothing.

It (Debian: network-manager, also unpacked into a folder that FAILOVERD_NETWORKMANAGER names) keeps its files in /run
and /var/lib, which are new and empty here. Only in a mount namespace of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

CONF = "[main]\nplugins=keyfile\ndhcp=internal\nrc-manager=unmanaged\n[keyfile]\nunmanaged-devices=*\n"
PATIENCE = 120.0
"""Seconds until it answers."""
MOUNT = shutil.which("mount") or "/usr/bin/mount"


@dataclass(frozen=True)
class Client:
    """nmcli, and the environment in which it finds its libraries."""

    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)


def root() -> Path | None:
    """Return the folder below which it stands, or None where there is none."""
    for folder in (os.environ.get("FAILOVERD_NETWORKMANAGER", ""), "/"):
        if folder and Path(folder, "usr/sbin/NetworkManager").exists() and Path(folder, "usr/bin/nmcli").exists():
            return Path(folder)
    return None


@contextmanager
def running(where: Path, bus: Path) -> Iterator[Client | None]:
    """Run it with its files in this folder, on this bus; its client, or None where it is not installed. Raises
    RuntimeError where it does not answer."""
    found = root()
    if found is None:
        yield None
        return
    where.mkdir()
    (where / "conf").write_text(CONF)
    for name in ("conf.d", "intern"):
        (where / name).mkdir()
    for folder in ("/run", "/var/lib"):
        subprocess.run([MOUNT, "-t", "tmpfs", "tmpfs", folder], check=True)
    environment = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={bus}"}
    if found != Path("/"):
        environment["LD_LIBRARY_PATH"] = ":".join(map(str, found.glob("usr/lib/*-linux-gnu")))
    files = [f"--config={where}/conf", f"--config-dir={where}/conf.d", f"--intern-config={where}/state.conf"]
    files += [f"--system-config-dir={where}/intern", f"--pid-file={where}/pid", f"--state-file={where}/state"]
    command = [str(found / "usr/sbin/NetworkManager"), "--no-daemon", *files]
    client = Client([str(found / "usr/bin/nmcli"), "device"], environment)
    with (where / "log").open("w") as log:
        process = subprocess.Popen(command, env=os.environ | environment, stdout=log, stderr=log)
    try:
        end = time.monotonic() + PATIENCE
        while not answers(client):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{command[0]} does not answer: {(where / 'log').read_text()[-1000:]}")
            time.sleep(0.5)
        yield client
    finally:
        process.terminate()
        process.wait(PATIENCE)


def answers(client: Client) -> bool:
    """Whether it answers nmcli."""
    done = subprocess.run(client.command, env=os.environ | client.environment, capture_output=True, check=False)
    return done.returncode == 0
