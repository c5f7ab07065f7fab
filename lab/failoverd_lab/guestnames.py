"""The guest's side of stories about names: run by the guest's Python, with the standard library only.

    python3 guestnames.py rename COUNT OUTPUT    rename both slaves in turn, by failoverd and by others, under traffic
    python3 guestnames.py alike COUNT SECONDS    as many renames of an unused device, spread over that time
    python3 guestnames.py open OUTPUT            bring every new device up the moment it appears, until SIGTERM

`rename` asks failoverd through its control socket, and waits until the VF carries before it renames it. Where the
kernel renames devices that are up (6.2 and later), half of the renames are another program's: `ip link set NAME name
OTHER`. OUTPUT is a list of {ifindex, old, new, named, how, began, ended, refused}, the times in seconds of
time.monotonic.

`open` is the program that makes udev's rename fail on older kernels. OUTPUT has a line for each device: its ifindex,
the name under which it was opened, and "opened", or the error where udev was faster.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from typing import Any

CONTROL = os.environ.get("FAILOVERD_CONTROL", "/run/failoverd/control")
IP = shutil.which("ip") or "/sbin/ip"
PATIENCE = 20.0
RTM_NEWLINK, RTMGRP_LINK, IFLA_IFNAME = 16, 1, 3
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
IFREQ = struct.Struct("16sh")


def call(name: str, *arguments: str) -> dict[str, Any]:
    """Make a call to failoverd, and return its answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(CONTROL)
        sock.sendall(json.dumps({"call": name, "arguments": arguments}).encode() + b"\n")
        with sock.makefile("rb") as stream:
            found: dict[str, Any] = json.loads(stream.readline())
    return found


def slaves() -> dict[str, int]:
    """Return the ifindexes of the one pair's slaves by their roles, once the VF carries."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        masters = call("status")["ok"]["masters"]
        if masters and masters[0]["state"] == "accelerated":
            return {role: masters[0][role]["ifindex"] for role in ("primary", "standby")}
        time.sleep(0.02)
    raise SystemExit(f"the VF does not carry: {masters}")


def alike(count: int, seconds: float) -> None:
    """See the module."""
    subprocess.run([IP, "link", "add", "alike0", "type", "dummy"], check=True)
    begun = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, begun + number * seconds / count - time.monotonic()))
        slaves()
        call("explain", f"alike{number}")
        rename = [IP, "link", "set", f"alike{number}", "name", f"alike{number + 1}"]
        subprocess.run(rename, check=True)
    subprocess.run([IP, "link", "delete", f"alike{count}"], check=True)


def renames(count: int) -> list[dict[str, Any]]:
    """See the module."""
    release = tuple(map(int, os.uname().release.split(".")[:2]))
    done = []
    for number in range(count):
        role = ("primary", "standby")[number % 2]
        ifindex = slaves()[role]
        old, new = socket.if_indextoname(ifindex), f"{role[0]}{number}"
        how = "others" if release >= (6, 2) and number // 2 % 2 else "order"
        began = time.monotonic()
        if how == "order":
            refused = call("rename", str(ifindex), new).get("error", "")
        else:
            rename = [IP, "link", "set", old, "name", new]
            refused = subprocess.run(rename, capture_output=True, text=True, check=False).stderr
        row = {"ifindex": ifindex, "old": old, "new": new, "how": how, "began": began, "ended": time.monotonic()}
        done.append(row | {"refused": refused, "named": socket.if_indextoname(ifindex)})
    slaves()
    return done


def links(datagram: bytes) -> dict[int, str]:
    """Return the devices in an rtnetlink datagram (linux/rtnetlink.h)."""
    found = {}
    while len(datagram) >= 32:
        size, kind = struct.unpack_from("=IH", datagram)
        ifindex, place = struct.unpack_from("=i", datagram, 20)[0], 32
        while kind == RTM_NEWLINK and place + 4 <= size:
            length, attribute = struct.unpack_from("=HH", datagram, place)
            if attribute == IFLA_IFNAME:
                found[ifindex] = datagram[place + 4 : place + length - 1].decode()
            place += max(length + 3 & ~3, 4)
        datagram = datagram[size + 3 & ~3 :]
    return found


def bring_up(control: socket.socket, name: str) -> str:
    """Bring a device up; return "opened", or the error."""
    try:
        raw = fcntl.ioctl(control, SIOCGIFFLAGS, IFREQ.pack(name.encode(), 0) + bytes(22))
        flags = IFREQ.unpack_from(raw)[1]
        fcntl.ioctl(control, SIOCSIFFLAGS, IFREQ.pack(name.encode(), flags | IFF_UP) + bytes(22))
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "opened"


def open_all(output: pathlib.Path) -> None:
    """See the module."""
    known = {index for index, _ in socket.if_nameindex()}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with (
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as events,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control,
        output.open("w") as log,
    ):
        events.bind((0, RTMGRP_LINK))
        while True:
            for ifindex, name in links(events.recv(1 << 16)).items():
                if ifindex not in known:
                    known.add(ifindex)
                    log.write(f"{ifindex} {name} {bring_up(control, name)}\n")
                    log.flush()


def main(mode: str, *arguments: str) -> None:
    """Run one of the modes."""
    if mode == "open":
        open_all(pathlib.Path(arguments[0]))
    elif mode == "alike":
        alike(int(arguments[0]), float(arguments[1]))
    else:
        path = pathlib.Path(arguments[1])
        pathlib.Path(f"{path}.new").write_text(json.dumps(renames(int(arguments[0]))))
        pathlib.Path(f"{path}.new").rename(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
