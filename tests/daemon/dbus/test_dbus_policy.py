"""Who may be failoverd on the bus, who may read and who may change: the policy of units/ in a real dbus-daemon."""

from __future__ import annotations

import grp
import os
import pwd
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import trio
from busmachine import DAEMON, MAC, MASTER, NO_MAC, POLICY, Machine, on_a_machine
from openfolder import open_to_all
from privatebus import CLOSED, PrivateBus
from rawbus import RawBus

from failoverd.bus import service
from failoverd.bus.connection import Connection
from failoverd.daemon.dbus.interfaces import INTERFACES, NAME, ROOT


def guarded(where: Path, monkeypatch: pytest.MonkeyPatch, policy: str) -> PrivateBus:
    """A bus that denies what no policy allows, and lets every user in."""
    made = PrivateBus(open_to_all(where), CLOSED + policy)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", made.address)
    return made


def test_a_bus_without_the_policy_is_told_of_once_and_asked_seldom(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(service, "LONGEST_WAIT", 0.02)
    monkeypatch.setattr(service, "LONGEST_DENIED", 0.3)
    caplog.set_level("INFO")
    asked: list[float] = []
    right = Connection.ask

    async def ask(self: Any, member: str, *rest: Any) -> Any:
        if member == "RequestName":
            asked.append(trio.current_time())
        return await right(self, member, *rest)

    monkeypatch.setattr(Connection, "ask", ask)

    async def body(machine: Machine) -> None:
        await machine.until(lambda: len(asked) >= 9, "the ninth try")
        assert asked[-1] - asked[-2] >= 0.3
        config = Path(made._config)
        config.write_text(config.read_text().replace("</busconfig>", f"<include>{POLICY}</include></busconfig>"))
        made.signal(signal.SIGHUP)
        await machine.ready()
        assert await machine.get("State") == "accelerated"

    with guarded(tmp_path, monkeypatch, '<policy context="default"><allow send_destination="*"/></policy>') as made:
        on_a_machine(made, body, is_ready=False)
    lines = [record.message for record in caplog.records if "bus" in record.message]
    assert len(lines) == 2, lines
    assert "the bus does not let uid" in lines[0]
    assert f"put {NAME}.conf into /usr/share/dbus-1/system.d" in lines[0]


async def as_nobody(made: PrivateBus, *words: str) -> subprocess.CompletedProcess[bytes]:
    """busctl as a user with no rights."""
    command = ["busctl", f"--address={made.address}", *words]
    how: dict[str, Any] = {"capture_stdout": True, "capture_stderr": True, "user": NO_MAC, "group": NO_MAC}
    done: subprocess.CompletedProcess[bytes] = await trio.run_process(command, check=False, **how)
    return done


CHANGES = (
    (MASTER, "Master", "Release"),
    (MASTER, "Master", "Drain", "u", "5"),
    (MASTER, "Master", "Undrain"),
    (MASTER, "Master", "ResetDamping"),
    (MASTER, "Master", "SwitchTo", "o", f"{ROOT}/slave/2"),
    (MASTER, "Master", "Move", "s", "web"),
    (MASTER, "Master", "PlanMove", "s", "web"),
    (ROOT, "Manager", "Adopt", "s", "ens3"),
    (ROOT, "Manager", "RenameLink", "ss", "ens13", "mine"),
    (ROOT, "Manager", "Reload"),
    (f"{ROOT}/link/web", "Link", "Resync"),
    (f"{ROOT}/link/web", "Link", "Release"),
)
"""The bus refuses them before it is known whether there is such an object."""


@pytest.mark.skipif(os.getuid() != 0, reason="needs two users")
def test_reading_is_everybodys_and_changing_is_roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changing = {(face.name, method.name) for face in INTERFACES for method in face.methods if method.changes}
    assert {(f"{NAME}.{interface}", member) for _, interface, member, *_ in CHANGES} == changing
    made = guarded(tmp_path, monkeypatch, f"<include>{POLICY}</include>")

    async def body(machine: Machine) -> None:
        read = await as_nobody(made, "get-property", NAME, MASTER, f"{NAME}.Master", "State")
        assert read.stdout.strip() == b's "accelerated"', read
        explained = await as_nobody(made, "call", NAME, ROOT, f"{NAME}.Manager", "Explain", "s", "")
        assert explained.returncode == 0, explained
        for path, interface, member, *rest in CHANGES:
            refused = await as_nobody(made, "call", NAME, path, f"{NAME}.{interface}", member, *rest)
            assert refused.returncode != 0, member
            assert b"denied" in refused.stderr.lower(), refused
        assert machine.engine.state.pairs[MAC].state == "accelerated"
        os.seteuid(NO_MAC)
        try:
            subscriber = RawBus(str(made.socket))
        finally:
            os.seteuid(0)
        with subscriber:
            subscriber.subscribe(f"type='signal',sender='{NAME}'".encode())
            machine.unplug()
            await trio.to_thread.run_sync(subscriber.count, b"FailedOver\0", 1)
        assert (await machine.call(MASTER, f"{NAME}.Master", "Release"))["error"] is None

    with made:
        on_a_machine(made, body)


@pytest.mark.skipif(os.getuid() != 0, reason="needs two users")
def test_a_group_may_change_things_where_the_policys_example_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = re.search(r"<busconfig>\s*(<policy group=.*?</policy>)\s*</busconfig>", POLICY.read_text(), re.DOTALL)
    assert example is not None
    group = example[1].replace("failoverd-admin", grp.getgrgid(NO_MAC).gr_name)
    made = guarded(tmp_path, monkeypatch, f"<include>{POLICY}</include>{group}")

    async def body(machine: Machine) -> None:
        done = await as_nobody(made, "call", NAME, MASTER, f"{NAME}.Master", "Drain", "u", "0")
        assert done.returncode == 0, done
        assert await machine.get("Drained")

    with made:
        on_a_machine(made, body)


@pytest.mark.skipif(os.getuid() != 0, reason="needs two users")
def test_the_services_own_user_may_have_the_name_and_nobody_else(tmp_path: Path) -> None:
    where = open_to_all(tmp_path)
    policy = where / "policy.conf"
    policy.write_text(POLICY.read_text().replace('user="failoverd"', f'user="{pwd.getpwuid(DAEMON).pw_name}"'))
    words = ["call", "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "RequestName", "su", NAME, "4"]
    with PrivateBus(where, f"{CLOSED}<include>{policy}</include>") as made:
        command = ["busctl", f"--address={made.address}", *words]
        for user, expected in ((NO_MAC, 1), (DAEMON, 0), (0, 0)):
            assert subprocess.run(command, user=user, capture_output=True, check=False).returncode == expected, user
