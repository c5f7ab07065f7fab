"""Marks and hooks on a real udev and a real systemd: from a VF's first event to its release."""

from __future__ import annotations

import re

import pytest
import trio
from debguest import ONE_OF_THE_SUITES, DebGuest, deb_guest
from pairguest import MAC, STANDBY, VF, PairGuest, run

pytestmark = pytest.mark.vm

HOOK = b"""#!/bin/sh
env | grep ^FAILOVERD_ | sort | tr '\\n' '|' >>/run/events
echo "uid $(id -u) caps $(grep CapEff /proc/self/status | cut -f2)" >>/run/events
"""
RULE = (
    b'SUBSYSTEM=="net", ENV{FAILOVERD_ROLE}=="primary", ENV{SYNTH_ARG_FAILOVERD}=="role", '
    b"RUN+=\"/bin/sh -c 'echo $env{INTERFACE} active $env{FAILOVERD_ACTIVE} >>/run/rule'\"\n"
)
VERIFY = """
cd /usr/lib/udev/rules.d
if udevadm verify --help >/dev/null 2>&1; then
    udevadm verify 70-failoverd.rules 2>&1 | grep -v -e Success: -e Fail: -e "have been checked" -e "^$" || true
else
    udevadm test /sys/class/net/lo 2>&1 | grep 70-failoverd.rules: || true
fi
"""
"""What udev has to say about the rules: from systemd 254 on by a command for it, before in passing."""
LISTEN = """
systemd-run --quiet --unit=monitor sh -c 'exec udevadm monitor --udev --property --subsystem-match=net >/run/monitor'
"""


async def set_up(pair: DebGuest) -> None:
    """The package, and what an administrator has beside it."""
    await pair.guest.put("/etc/udev/rules.d/99-mine.rules", RULE)
    await pair.guest.put("/etc/failoverd/hooks.d/10-note", HOOK, 0o755)
    await pair.shell(LISTEN)
    await pair.install()


async def events(pair: PairGuest, name: str) -> list[dict[str, str]]:
    """What udev told of the device of this name, event by event."""
    text = await pair.shell("cat /run/monitor")
    blocks = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in text.split("\n\n")]
    return [block for block in blocks if block.get("INTERFACE") == name]


async def heard(pair: PairGuest, *words: str) -> list[dict[str, str]]:
    """The hook's events, once there is one of each of these kinds."""
    with trio.move_on_after(60):
        while True:
            # A hook that is at work has written part of its line.
            lines = (await pair.shell("grep caps /run/events 2>/dev/null || true")).splitlines()
            found = [dict(word.split("=", 1) for word in line.split("|") if "=" in word) for line in lines]
            if {event["FAILOVERD_EVENT"] for event in found} >= set(words):
                assert all(line.endswith("uid 0 caps 0000000000000000") for line in lines), lines
                return found
            await trio.sleep(0.5)
    raise AssertionError(f"the hook heard {found}; {await said(pair)}")


async def heard_of(pair: PairGuest, key: str, value: str) -> dict[str, str]:
    """The first event in which this is so, once there is one."""
    found: list[dict[str, str]] = []
    with trio.move_on_after(60):
        while True:
            found = await heard(pair)
            for event in found:
                if event.get(key) == value:
                    return event
            await trio.sleep(0.5)
    raise AssertionError(f"the hook heard {found}; {await said(pair)}")


def one(word: str, found: list[dict[str, str]]) -> dict[str, str]:
    """The one event of this kind."""
    (event,) = (event for event in found if event["FAILOVERD_EVENT"] == word)
    return event


async def said(pair: PairGuest) -> str:
    return await pair.shell("journalctl --no-pager --output=cat --unit='failoverd*'")


async def properties(pair: PairGuest, name: str) -> dict[str, str]:
    text = await pair.shell('udevadm settle; udevadm info --query=property "/sys/class/net/$1"', name)
    found = dict(line.split("=", 1) for line in text.splitlines())
    return {key: value for key, value in found.items() if key.startswith(("FAILOVERD_", "NM_", "ID_NET_MANAGED"))}


def marks(role: str, active: int, master: str) -> dict[str, str]:
    return {
        "NM_UNMANAGED": "1",
        "FAILOVERD_MASTER": master,
        "FAILOVERD_ROLE": role,
        "FAILOVERD_ACTIVE": str(active),
    }


async def marked(pair: PairGuest, name: str, wanted: dict[str, str]) -> None:
    """Wait until udev has exactly these on record."""
    found: dict[str, str] = {}
    with trio.move_on_after(30):
        while True:
            found = await properties(pair, name)
            if found == wanted:
                return
            await trio.sleep(0.3)
    raise AssertionError(f"{name} is marked {found}; {await said(pair)}")


@pytest.mark.parametrize("suite", ONE_OF_THE_SUITES)
def test_marks_are_there_from_the_first_event_and_hooks_hear_of_everything(suite: str) -> None:
    async def test() -> None:
        async with deb_guest(suite, nics=(STANDBY,)) as pair:
            name = pair.name
            await set_up(pair)
            assert await pair.shell(VERIFY) == ""
            assert await properties(pair, name) == {}, "a NIC that is alone keeps its network manager"
            await pair.guest.plug(VF)
            (vf,) = await pair.guest.netdevs("vf")
            await pair.accelerated()

            # From the first event on. The kernel's name is the VF's first.
            first = next(event for event in await events(pair, vf) if event["ACTION"] == "add")
            assert first.items() >= {**marks("primary", 0, name)}.items(), first
            await marked(pair, vf, marks("primary", 1, name))
            standby = f"{name}nsby"
            move = next(event for event in await events(pair, standby) if event["ACTION"] == "move")
            assert move.items() >= {"NM_UNMANAGED": "1", "FAILOVERD_ROLE": "standby"}.items(), move
            await marked(pair, standby, marks("standby", 0, name))
            assert await properties(pair, name) == {}, "the bond"

            # Hooks and a rule.
            up = one("joined", await heard(pair, "joined"))
            assert (up["FAILOVERD_MASTER"], up["FAILOVERD_MAC"]) == (name, MAC)
            await pair.shell('ip link set dev "$1" down; ip link set dev "$1" name fast0; ip link set dev fast0 up', vf)
            renamed = await heard_of(pair, "FAILOVERD_NEW_NAME", "fast0")
            words = ("OLD_NAME", "NEW_NAME", "ROLE", "WAS_UP", "MASTER")
            assert [renamed[f"FAILOVERD_{word}"] for word in words] == [vf, "fast0", "primary", "0", name]
            failover = await heard_of(pair, "FAILOVERD_TO", standby)
            assert failover["FAILOVERD_FROM"] == vf
            assert float(failover["FAILOVERD_SILENCE_SECONDS"]) >= 0
            move = next(event for event in await events(pair, "fast0") if event["ACTION"] == "move")
            assert move.items() >= {"NM_UNMANAGED": "1", "FAILOVERD_ROLE": "primary"}.items(), move
            await pair.accelerated()
            await marked(pair, "fast0", marks("primary", 1, name))
            assert f"{vf} active 1\n" in await pair.shell("cat /run/rule")

            # A hook that hangs.
            await pair.guest.put("/etc/failoverd/hooks.d/05-hangs", b"#!/bin/sh\nsleep 600\n", 0o755)
            await pair.guest.set_link("vf", False)
            await pair.until(lambda master: master["active"] == standby)
            await marked(pair, "fast0", marks("primary", 0, name))
            await pair.guest.set_link("vf", True)
            await pair.accelerated()
            await marked(pair, "fast0", marks("primary", 1, name))
            assert "05-hangs" not in await said(pair), "it hangs to this moment"
            await pair.shell("rm /etc/failoverd/hooks.d/05-hangs")

            # Back to what it was.
            await pair.shell('failoverctl release "$1"', name)
            await marked(pair, "fast0", {})
            await marked(pair, name, {})
            assert one("released", await heard(pair, "released"))["FAILOVERD_MASTER"] == name
            log = await said(pair)
            assert "05-hangs (failed-over): ended by SIGTERM, as 30 s were over" in log
            assert not re.search("ERROR|Traceback|passed over", log), log

    run(test)
