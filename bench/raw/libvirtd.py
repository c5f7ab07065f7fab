"""libvirt's own daemon, with the driver for interfaces alone, in this process's network namespace.

libvirtd (Debian: libvirt-daemon, also unpacked into a folder that FAILOVERD_LIBVIRTD names) reads /sys, which has to be
this namespace's: `own_sysfs` mounts that. The other drivers are not loaded; one of them would make a bridge.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DRIVER = "libvirt_driver_interface.so"
CONF = 'unix_sock_dir = "{}"\nauth_unix_ro = "none"\nauth_unix_rw = "none"\n'
PATIENCE = 60.0
"""Seconds until its socket is there."""
MOUNT = shutil.which("mount") or "/usr/bin/mount"


def own_sysfs() -> None:
    """Show this network namespace's devices below /sys. Only in a mount namespace of its own."""
    subprocess.run([MOUNT, "-t", "sysfs", "sysfs", "/sys"], check=True)


def root() -> Path | None:
    """Return the folder below which it stands, or None where there is none."""
    for folder in (os.environ.get("FAILOVERD_LIBVIRTD", ""), "/"):
        if folder and Path(folder, "usr/sbin/libvirtd").exists():
            return Path(folder)
    return None


@contextmanager
def running(where: Path) -> Iterator[Path | None]:
    """Run it with its files in this folder; its socket, or None where it is not installed."""
    found = root()
    if found is None:
        yield None
        return
    where.mkdir()
    libraries = next(found.glob("usr/lib/*/libvirt")).parent
    (where / "drivers").mkdir()
    shutil.copy(libraries / "libvirt" / "connection-driver" / DRIVER, where / "drivers")
    (where / "conf").write_text(CONF.format(where))
    environment = os.environ | {"LIBVIRT_DRIVER_DIR": f"{where}/drivers", "LD_LIBRARY_PATH": str(libraries)}
    command = [str(found / "usr/sbin/libvirtd"), "-f", f"{where}/conf", "-p", f"{where}/pid"]
    with (where / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        socket, end = where / "libvirt-sock", time.monotonic() + PATIENCE
        while not socket.exists():
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{command[0]} does not serve: {(where / 'log').read_text()[-500:]}")
            time.sleep(0.1)
        yield socket
    finally:
        process.terminate()
        process.wait(PATIENCE)
