"""Evidence that a DHCP client has configured an interface's IPv4, where its routes do not say so.

systemd-networkd writes its leases into files. dhclient and udhcpc leave nothing in the kernel, but each names its pid
file after its interface (Debian's ifupdown starts them so), and counts while it lives.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

LEASES = Path("run/systemd/netif/leases")
"""systemd-networkd's leases, by ifindex."""
PID_FILE = re.compile(r"(dhclient|udhcpc)[.-](.+)\.pid", re.DOTALL)
"""The client, and the name of its interface. dhclient6 is another one's."""


def leased(root: Path) -> dict[int, str]:
    """Return the IPv4 addresses that systemd-networkd has leased, by ifindex. Unreadable files are skipped."""
    found: dict[int, str] = {}
    for path in _files(root / LEASES):
        if not (path.name.isascii() and path.name.isdigit()):
            continue
        for line in _text(path).splitlines():
            if line.startswith("ADDRESS="):
                found[int(path.name)] = line.partition("=")[2]
    return found


def with_client(root: Path) -> frozenset[str]:
    """Return the names of the interfaces for which dhclient or udhcpc runs."""
    files = ((path, PID_FILE.fullmatch(path.name)) for path in _files(root / "run"))
    return frozenset(match[2] for path, match in files if match and _is_alive(_text(path).strip(), root, match[1]))


def _is_alive(pid: str, root: Path, client: str) -> bool:
    """Return whether this process lives and, as far as this process may see it, is such a client.

    The service may not look into /proc (ProtectProc=invisible), so there a stale file counts if its number is another
    process's by now.
    """
    if not (pid.isascii() and pid.isdigit() and 0 < len(pid) < 10 and int(pid)):
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    command = _text(root / "proc" / pid / "comm").strip()
    return command in ("", client, "busybox")


def _files(folder: Path) -> Iterator[Path]:
    try:
        yield from folder.iterdir()
    except OSError:
        return


def _text(path: Path) -> str:
    """Return what a file has, "" if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
