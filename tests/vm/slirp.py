"""QEMU's user-space TCP (slirp) on the lab's switch, in a QEMU of its own that has no machine.

To the guest it is the host 10.111.0.254: what connects there comes out on this machine's loopback, and the other way
round where a port is forwarded.
"""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from failoverd_lab.host import tool
from failoverd_lab.nics import sockets
from failoverd_lab.switch import Switch

HOST = "10.111.0.254"


@asynccontextmanager
async def slirp(switch: Switch, directory: Path, options: str = "") -> AsyncIterator[None]:
    """It, as long as this is open; `options` are more of `-netdev user`."""
    mine, theirs = sockets(directory, "slirp")
    wire = f"local.type=unix,local.path={theirs},remote.type=unix,remote.path={mine}"
    argv = [
        *(tool("qemu-system-x86_64"), "-M", "none", "-nodefaults", "-display", "none", "-monitor", "none"),
        *("-netdev", f"user,id=u,net=10.111.0.0/24,host={HOST}{options}"),
        *("-netdev", "hubport,hubid=0,id=h0,netdev=u"),
        *("-netdev", f"dgram,id=d,{wire}", "-netdev", "hubport,hubid=0,id=h1,netdev=d"),
    ]
    port = switch.attach_socket("slirp", mine, theirs)
    process = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        port.close()
        process.kill()
        process.wait()
