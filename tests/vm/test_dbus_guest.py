"""failoverd on a real guest's system bus, seen and called by others' programs: busctl, gdbus, dbus-send, dbus-monitor.

One guest for each release, as a boot is long. What is heard is of a real rename and a real unplug.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from debguest import SUITES, deb_guest
from pairguest import MAC, VF, PairGuest, run

from failoverd.daemon.journald import BURST, WINDOW

pytestmark = [pytest.mark.vm, pytest.mark.more]

ROOT = Path(__file__).parents[2]
NAME, OBJECT = "org.failoverd1", "/org/failoverd1"
MASTER = f"{OBJECT}/master/{MAC.replace(':', '_')}"
NO_MAC = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
RULE = f"type='signal',sender='{NAME}'"
SUBSCRIBERS = {
    "busctl": ("root", "stdbuf", "--output=L", "busctl", "monitor", f"--match={RULE}"),
    "gdbus": ("nobody", "gdbus", "monitor", "--system", f"--dest={NAME}"),
    "dbus-monitor": ("nobody", "dbus-monitor", "--system", RULE),
}
HEARING = {"busctl": "Monitoring bus message stream", "gdbus": "is owned by", "dbus-monitor": "NameAcquired"}
"""What each says when it has begun to listen."""
DEAF = f"""
import sys, time
sys.path.insert(0, "/opt/tests")
from rawbus import RawBus
with RawBus("/run/dbus/system_bus_socket") as bus:
    bus.subscribe(b"{RULE}")
    print("subscribed", flush=True)
    time.sleep(3600)
"""
SIGNALS, ROUNDS = 10_000, 45
MOST_MEMORY = 60 << 10
MOST_LINES = 20
"""What all the mischief may cost in lines of the journal, beside one for each thing done."""
MEMORY = "awk '/VmHWM/ { print $2 }' /proc/$(systemctl show --property=MainPID --value failoverd.service)/status"
JOURNAL = "journalctl --sync; journalctl --unit=failoverd --unit=dbus --no-pager --output=cat"
SIGNALLED = re.compile("has this name now|traffic moved|: rename | carries: |RenameLink of|entries were left out")


@asynccontextmanager
async def service_guest(suite: str) -> AsyncIterator[PairGuest]:
    """A guest with failoverd from its package, and a pair that is joined."""
    async with deb_guest(suite) as pair:
        await pair.install()
        await pair.accelerated()
        yield pair


async def says(pair: PairGuest, *words: str) -> tuple[int, str]:
    """The exit code of a command in the guest, and all it said."""
    done = await pair.guest.run(list(words))
    return done.returncode, (done.stdout + done.stderr).decode()


async def until_it_says(pair: PairGuest, expected: str, *words: str) -> None:
    """Repeat a command until it says this."""
    said = ""
    with trio.move_on_after(60):
        while expected not in said:
            _, said = await says(pair, *words)
            await trio.sleep(0.2)
        return
    raise AssertionError(f"{' '.join(words)} says {said!r} and not {expected!r}")


def property_of_master(name: str) -> list[str]:
    return ["busctl", "get-property", NAME, MASTER, f"{NAME}.Master", name]


async def call(pair: PairGuest, path: str, interface: str, *words: str) -> None:
    """Call a method as root."""
    code, said = await says(pair, "busctl", "--timeout=60", "call", NAME, path, f"{NAME}.{interface}", *words)
    assert code == 0, said


async def everybody_may_read(pair: PairGuest) -> None:
    """Three programs, none of them ours, as a user with no rights."""
    get = ("org.freedesktop.DBus.Properties.Get", f"{NAME}.Master", "State")
    send = ("dbus-send", "--system", "--print-reply", f"--dest={NAME}", MASTER)
    there: dict[str, list[Sequence[str]]] = {
        "busctl": [("busctl", "introspect", NAME, MASTER), property_of_master("State")],
        "gdbus": [
            ("gdbus", "introspect", "--system", "-d", NAME, "-o", MASTER),
            ("gdbus", "call", "--system", "-d", NAME, "-o", MASTER, "-m", *get),
        ],
        "dbus-send": [
            (*send, "org.freedesktop.DBus.Introspectable.Introspect"),
            (*send, get[0], *(f"string:{word}" for word in get[1:])),
        ],
    }
    for program, (introspect, read) in there.items():
        code, said = await says(pair, *NO_MAC, *introspect)
        assert code == 0, (program, said)
        assert {"FailedOver", "LastFailover", "Drain"} <= set(re.findall(r"\w+", said)), (program, said)
        code, said = await says(pair, *NO_MAC, *read)
        assert code == 0, (program, said)
        assert "accelerated" in said, (program, said)


async def nobody_may_change(pair: PairGuest) -> None:
    """And with the same three programs."""
    busctl = (*NO_MAC, "busctl", "call", NAME)
    calls = [
        (*busctl, MASTER, f"{NAME}.Master", "Release"),
        (*busctl, MASTER, f"{NAME}.Master", "Drain", "u", "5"),
        (*busctl, OBJECT, f"{NAME}.Manager", "RenameLink", "ss", pair.name, "mine"),
        (*NO_MAC, "gdbus", "call", "--system", "-d", NAME, "-o", MASTER, "-m", f"{NAME}.Master.Drain", "5"),
        (*NO_MAC, "dbus-send", "--system", "--print-reply", f"--dest={NAME}", MASTER, f"{NAME}.Master.Release"),
    ]
    for words in calls:
        code, said = await says(pair, *words)
        assert code != 0, said
        assert re.search("access ?denied", said, re.IGNORECASE), said
    assert (await pair.master())["state"] == "accelerated"


async def until_it_has_heard(pair: PairGuest, name: str, failovers: int) -> None:
    """Wait until this subscriber has so many of the signal."""
    said = ""
    with trio.move_on_after(60):
        while said.count("FailedOver") < failovers:
            await trio.sleep(0.2)
            _, said = await says(pair, "cat", f"/run/{name}")
        return
    raise AssertionError(f"{name} has not heard of {failovers} failovers: {said}")


async def subscribers_hear_a_rename_and_an_unplug(pair: PairGuest) -> None:
    for name, (user, *words) in SUBSCRIBERS.items():
        unit = (f"--unit=hear-{name}", f"--uid={user}", f"--property=StandardOutput=file:/run/{name}")
        code, said = await says(pair, "systemd-run", "--quiet", *unit, *words)
        assert code == 0, said
    for name, begun in HEARING.items():
        await until_it_says(pair, begun, "cat", f"/run/{name}")
    before = await pair.master()
    await call(pair, OBJECT, "Manager", "RenameLink", "ss", before["primary"]["name"], "vf0")
    after = await pair.accelerated()
    assert after["primary"]["name"] == "vf0"
    # On 6.1 the VF is left for its name.
    for_its_name = after["failovers"] - before["failovers"]
    for name in SUBSCRIBERS:
        await until_it_has_heard(pair, name, for_its_name)
    await pair.guest.unplug("vf")
    await pair.on_standby()
    for name in SUBSCRIBERS:
        await until_it_has_heard(pair, name, for_its_name + 1)
        await until_it_says(pair, "InterfacesRemoved", "cat", f"/run/{name}")
        _, said = await says(pair, "cat", f"/run/{name}")
        heard = re.findall("LinkRenamed|PropertiesChanged|InterfacesRemoved|FailedOver", said)
        assert set(heard) == {"LinkRenamed", "PropertiesChanged", "InterfacesRemoved", "FailedOver"}, (name, said)
        assert '"vf0"' in said or "'vf0'" in said, (name, said)
        await pair.shell('systemctl stop "hear-$1"', name)


async def the_calls_that_wait(pair: PairGuest) -> None:
    await pair.guest.plug(VF)
    vf = (await pair.accelerated())["primary"]["ifindex"]
    await call(pair, MASTER, "Master", "Drain", "u", "60")
    master = await pair.master()
    assert master["active"] == master["standby"]["name"]
    assert await says(pair, *property_of_master("Drained")) == (0, "b true\n")
    await call(pair, MASTER, "Master", "SwitchTo", "o", f"{OBJECT}/slave/{vf}")
    assert await says(pair, *property_of_master("Drained")) == (0, "b false\n")
    master = await pair.accelerated()
    assert master["active"] == master["primary"]["name"]


async def the_bus_dies_in_the_middle_of_a_failover(pair: PairGuest) -> None:
    process = await pair.shell("systemctl show --property=MainPID --value failoverd.service")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.guest.unplug, "vf")
        await pair.shell("systemctl kill --signal=KILL dbus.service; systemctl stop dbus.socket dbus.service")
    # The control socket says so; there is no bus.
    moved = (await pair.on_standby())["last_failover"]["monotonic"]
    assert await pair.shell("systemctl is-active dbus.socket dbus.service || true") == "inactive\nfailed\n"
    await pair.shell("systemctl reset-failed dbus.service; systemctl start dbus.socket dbus.service")
    back = await pair.shell("systemctl show --property=ActiveEnterTimestampMonotonic --value dbus.service")
    assert moved < int(back) / 1e6
    await until_it_says(pair, "on-standby", *property_of_master("State"))
    assert await pair.shell("systemctl show --property=MainPID --value failoverd.service") == process


@asynccontextmanager
async def bounded(pair: PairGuest, doing: str) -> AsyncIterator[None]:
    """A subscriber that never reads is there meanwhile; and it costs neither memory nor lines of the journal."""
    for name in ("rawbus", "malformed", "storm"):
        await pair.guest.put(f"/opt/tests/{name}.py", (ROOT / "tests" / f"{name}.py").read_bytes())
    unit = ("--unit=deaf", "--uid=nobody", "--property=StandardOutput=file:/run/deaf")
    code, said = await says(pair, "systemd-run", "--quiet", *unit, "python3", "-c", DEAF)
    assert code == 0, said
    await until_it_says(pair, "subscribed", "cat", "/run/deaf")
    before, begun = (await pair.shell(JOURNAL)).splitlines(), time.monotonic()
    yield
    took = time.monotonic() - begun
    await until_it_says(pair, "accelerated", *property_of_master("State"))
    memory = int(await pair.shell(MEMORY))
    after = (await pair.shell(JOURNAL)).splitlines()
    others = [line for line in after[len(before) :] if not SIGNALLED.search(line)]
    lines = len(after) - len(before)
    print(f"{doing}: at most {memory} kB, {lines} lines in {took:.0f} s, {len(others)} of them not of signals")
    assert await says(pair, "systemctl", "is-active", "deaf.service") == (0, "active\n")
    assert memory < MOST_MEMORY
    assert len(others) <= MOST_LINES, others
    assert lines <= MOST_LINES + BURST * (1 + took / WINDOW)


async def a_thousand_calls_that_are_none(pair: PairGuest) -> None:
    async with bounded(pair, "malformed calls"):
        reached = await pair.shell("python3 /opt/tests/malformed.py /run/dbus/system_bus_socket $1", str(ROUNDS))
        assert int(reached) >= 1000
    await pair.shell("systemctl stop deaf")


@pytest.mark.parametrize("suite", SUITES)
def test_others_programs_on_the_system_bus(suite: str) -> None:
    async def test() -> None:
        async with service_guest(suite) as pair:
            try:
                await until_it_says(pair, "accelerated", *property_of_master("State"))
                await everybody_may_read(pair)
                await nobody_may_change(pair)
                await subscribers_hear_a_rename_and_an_unplug(pair)
                await the_calls_that_wait(pair)
                await the_bus_dies_in_the_middle_of_a_failover(pair)
                await pair.guest.plug(VF)
                await pair.accelerated()
                await a_thousand_calls_that_are_none(pair)
            finally:
                print(await pair.shell(f"{JOURNAL} | tail -60"))

    run(test)


@pytest.mark.parametrize("suite", SUITES)
def test_ten_thousand_signals_that_a_subscriber_does_not_read(suite: str) -> None:
    """Of real renames of the standby; another subscriber hears each."""

    async def test() -> None:
        async with service_guest(suite) as pair:
            standby = (await pair.until(lambda master: master["standby"] is not None))["standby"]
            words = ("/run/dbus/system_bus_socket", str(standby["ifindex"]), str(SIGNALS))
            async with bounded(pair, f"{suite}, {SIGNALS} signals"):
                said = (await pair.guest.run(["python3", "/opt/tests/storm.py", *words], timeout=900)).check().stdout
                heard, seconds = map(int, said.split())
                print(f"{heard} signals heard in {seconds} s")
                assert heard >= SIGNALS
            await pair.shell('ip link set dev "$1" up', standby["name"])
            await pair.until(lambda master: master["standby"]["up"] and master["standby"]["name"] == standby["name"])

    run(test)
