"""Is a failover slower while clients ask for all interfaces? In a Debian 12 guest, the pair joined by a bond.

    idle    nothing
    quiet   the VF is unplugged, and plugged in again
    busy    the same while four clients ask for the documents of 5,000 links without pause
    loops   the same while four programs of the same user compute, and ask for nothing: what the CPU's share costs

By turns, several times. The clients are not root's, so failoverd gives them a quarter of a CPU at most (SECURITY.md).
What is promised: the median of the busy silences is within the spread of the quiet ones. bench/questions.py does the
same on this kernel, with datapath "tc".

    python bench/guestquestions.py [--links 5000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import trio
from storm import BUSY, NICS, Begin, Storms, in_a_guest, table

from failoverd_lab import install
from failoverd_lab.guest import Guest

LINKS, CLIENTS = 5000, 4
UNDER_WAY = 5.0
"""Seconds for which they have asked when the VF goes."""
PATIENCE = 900.0
"""Seconds that an emulated guest may take for so many links."""
VF = NICS[1]
MAKE = """
systemctl stop systemd-udevd systemd-udevd-kernel.socket systemd-udevd-control.socket
for i in $(seq "$1"); do echo "link add m${i}a type veth peer name m${i}b"; done | ip -batch -
systemctl start systemd-udevd-kernel.socket systemd-udevd-control.socket systemd-udevd
"""
"""udev does not look at them: it would take most of an hour."""
CLIENT = """
import socket
while True:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect("/run/failoverd/control")
        sock.sendall(b'{"call": "every-interface-xml", "arguments": []}\\n')
        while sock.recv(1 << 20):
            pass
"""
LOOP = "while True:\n    pass\n"
BEGIN = f'for i in $(seq {CLIENTS}); do systemd-run --quiet --unit="client$i" --uid=nobody python3 "$1"; done'
END = f"for i in $(seq {CLIENTS}); do systemctl is-active client$i; systemctl stop client$i; done"


class Questions(Storms):
    """Many links stand there; clients ask for them."""

    def __init__(self, links: int, guest: Guest) -> None:
        super().__init__(guest)
        self._links = links

    async def prepare(self) -> None:
        await self.guest.put("/run/client.py", CLIENT.encode())
        await self.guest.put("/run/loop.py", LOOP.encode())
        make = ["sh", "-ec", MAKE, "make", str(self._links // 2)]
        (await self.guest.run(make, timeout=PATIENCE)).check()

    def storms(self) -> Mapping[str, Begin]:
        return {BUSY: partial(self._begin, "/run/client.py"), "loops": partial(self._begin, "/run/loop.py")}

    async def _begin(self, program: str) -> Callable[[], Awaitable[None]]:
        (await self.guest.run(["sh", "-ec", BEGIN, "begin", program])).check()
        await trio.sleep(UNDER_WAY)

        async def ended() -> None:
            (await self.guest.run(["sh", "-ec", END], timeout=PATIENCE)).check()

        return ended

    async def cut(self, up: bool) -> None:
        if not up:
            await self.guest.unplug(VF.id)
            return
        await self.guest.plug(VF)
        with trio.fail_after(PATIENCE):
            while (await install.ask(self.guest, "status") or {"masters": []})["masters"][0]["state"] != "accelerated":
                await trio.sleep(1)


def main() -> int:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--links", type=int, default=LINKS, help="how many links they ask for (5000)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is done (5)")
    parser.add_argument("--rate", type=int, default=200, help="probes a second each way (200)")
    options = parser.parse_args()
    begun = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - begun:7.1f} s  {line}", file=sys.stderr, flush=True)

    gc.disable()  # a collection looks at every probe so far, and would be taken for silence
    kind = partial(Questions, options.links)
    found = trio.run(in_a_guest, "bond", options.rounds, options.rate, say, kind)
    print(table({f"bond, {CLIENTS} clients, {options.links} links": found}))
    quiet, busy = found["quiet"], statistics.median(found["busy"])
    held = busy <= max(quiet)
    words = (
        f"median of the busy ones {busy * 1000:.0f} ms, quiet ones {min(quiet) * 1000:.0f} to {max(quiet) * 1000:.0f}"
    )
    print(f"{words}, promised within that: {'held' if held else 'NOT HELD'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
