"""Who is waited for, as files tell, and that the engine looks again where nobody tells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import trio
from test_daemon_engine import FIRST, Machine, joined, on_a_machine

from failoverd.config.spec import Config
from failoverd.core.arrivals import Arrivals
from failoverd.core.state import State
from failoverd.daemon.engine import RETIRING
from failoverd.daemon.nic_waits import DOWN_FOR, NOTES, RUNNING, NicWaits, hold
from failoverd.daemon.ports import Hold
from failoverd.model.actions import AskLetGo
from failoverd.model.events import LetGo
from failoverd.netlink.udev import Udev

MANAGED = "# This is private data. Do not parse.\nADMIN_STATE=configured\nOPER_STATE=routable\n"
NIC, VF = 2, 3
STANDBY = "I:1\nE:FAILOVERD_ROLE=standby\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine where networkd and udev run, with a standby."""
    (tmp_path / NOTES).mkdir(parents=True)
    (tmp_path / RUNNING).parent.mkdir(parents=True)
    (tmp_path / RUNNING).symlink_to("0123456789abcdef0123456789abcdef")
    (tmp_path / "udev" / "data").mkdir(parents=True)
    (tmp_path / "udev" / "control").touch()
    (tmp_path / "udev" / "data" / "n7").write_text(STANDBY)
    (tmp_path / NOTES / "7").write_text(MANAGED)
    return tmp_path


def held(root: Path) -> Hold:
    return hold(Udev(root / "udev"), 7, root)


@pytest.mark.parametrize(
    ("note", "found"),
    [
        (MANAGED.encode(), "firm"),
        (MANAGED.replace("configured", "unmanaged").encode(), "none"),
        (MANAGED.replace("routable", "off").encode(), "down"),
        (b"ADMIN_STATE=unmanaged\nOPER_STATE=off\n", "none"),
        (b"ADMIN_STATE=pending\n", "firm"),
        (b"OPER_STATE=offline\nIPV4_ADDRESS_STATE=off\nX=OPER_STATE=off\n", "firm"),
        (b"", "firm"),
        (b"DOMAINS=\xff\xfe\nOPER_STATE=off", "down"),
    ],
)
def test_what_networkd_notes(root: Path, note: bytes, found: Hold) -> None:
    (root / NOTES / "7").write_bytes(note)
    assert held(root) == found


@pytest.mark.parametrize("record", [None, "E:FAILOVERD_ROLE=standby\n", "I:1\n", "I:1\nE:FAILOVERD_ROLE=primary\n"])
def test_udev_has_to_know_the_role(root: Path, record: str | None) -> None:
    """Before that networkd cannot have heard of it, whatever it has noted."""
    (root / NOTES / "7").write_text("ADMIN_STATE=unmanaged\nOPER_STATE=off\n")
    (root / "udev" / "data" / "n7").unlink()
    if record is not None:
        (root / "udev" / "data" / "n7").write_text(record)
    assert held(root) == "firm"


@pytest.mark.parametrize("absent", [f"{NOTES}/7", RUNNING, "udev/control"])
def test_where_something_is_missing_nobody_holds_on(root: Path, absent: str) -> None:
    """networkd does not know the device; or it has ended, maybe with its initramfs, and left its notes; or there is no
    udev to tell it of a role."""
    assert held(root) == "firm"
    (root / absent).unlink()
    assert held(root) == "none"


def test_a_note_that_cannot_be_read_says_nothing(root: Path) -> None:
    (root / NOTES / "7").unlink()
    (root / NOTES / "7").mkdir()
    assert held(root) == "none"


def waits(machine: Machine, *found: Hold) -> NicWaits:
    """A patience whose NIC 7 is held like that, look by look."""
    holds = iter(found)
    nic_waits = NicWaits(replace(machine.engine._ports, hold=lambda _ifindex: next(holds)))
    nic_waits.ask(AskLetGo(7))
    return nic_waits


def test_one_that_is_noted_as_down_may_yet_become_unmanaged() -> None:
    """The while begins anew where it is seen in another way meanwhile."""
    state = State(Config(), arrivals=Arrivals(held_on={7: 10.0}))

    async def body(machine: Machine) -> None:
        nic_waits = waits(machine, "down", "down", "firm", "down", "down", "down")
        times = (1.0, 1.4, 1.45, 1.5, 1.5 + DOWN_FOR - 0.01)
        assert [list(nic_waits.look(state, now)) for now in times] == [[], [], [], [], []]
        assert list(nic_waits.look(state, 1.5 + DOWN_FOR)) == [LetGo(7)]
        assert not nic_waits.is_worth_a_look

    on_a_machine(body)


def test_nothing_is_looked_at_when_the_time_is_over() -> None:
    state = State(Config(), arrivals=Arrivals(held_on={7: 10.0}))

    async def body(machine: Machine) -> None:
        nic_waits = waits(machine, "firm")
        assert list(nic_waits.look(state, 9.9)) == []
        assert nic_waits.is_worth_a_look
        assert list(nic_waits.look(state, 10.0)) == []
        assert not nic_waits.is_worth_a_look

    on_a_machine(body)


def test_what_is_not_taken_is_found_again() -> None:
    """The engine's queue may be full."""
    state = State(Config(), arrivals=Arrivals(held_on={7: 10.0}))

    async def body(machine: Machine) -> None:
        nic_waits = waits(machine, "none", "none")
        assert next(nic_waits.look(state, 1.0)) == LetGo(7)
        assert list(nic_waits.look(state, 1.0)) == [LetGo(7)]

    on_a_machine(body)


def test_the_engine_looks_again_although_nobody_tells() -> None:
    """Long after its start, and no longer than it has to."""
    looks: list[float] = []

    def look(_ifindex: int) -> Hold:
        looks.append(trio.current_time())
        return "firm" if len(looks) < 5 else "none"

    def prepare(machine: Machine) -> None:
        machine.hold = look
        machine.kernel.unplug(VF)

    async def body(machine: Machine) -> None:
        await machine.ready.wait()
        await trio.sleep(60)
        machine.kernel.plug("ens13", FIRST, "pci", "vmxnet3", "0000:00")
        await machine.until(joined(FIRST))
        await machine.until(lambda state: not state.arrivals.held_on)
        await trio.sleep(60)

    machine = on_a_machine(body, prepare)
    assert len(looks) == 5
    assert looks[-1] - looks[0] < 1.0
    assert machine.states() == {FIRST: "accelerated"}


def test_a_daemon_that_ends_leaves_no_bond_without_its_standby() -> None:
    def prepare(machine: Machine) -> None:
        machine.hold = lambda _ifindex: "firm"

    async def body(machine: Machine) -> None:
        await machine.until(joined(FIRST))
        begun = trio.current_time()
        assert machine.engine.state.links[NIC].master == 0
        await machine.engine.retire()
        assert machine.engine.state.links[NIC].master
        assert trio.current_time() - begun < RETIRING

    on_a_machine(body, prepare)
