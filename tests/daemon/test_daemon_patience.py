"""Who is waited for, as files and udev's messages tell, and that the engine looks again where nobody tells."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_daemon_engine import FIRST, Machine, joined, on_a_machine

from failoverd.daemon.patience import NOTES, RUNNING, is_let_go

MANAGED = "# This is private data. Do not parse.\nADMIN_STATE=configured\nOPER_STATE=routable\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine where networkd runs."""
    (tmp_path / NOTES).mkdir(parents=True)
    (tmp_path / RUNNING).parent.mkdir(parents=True)
    (tmp_path / RUNNING).symlink_to("0123456789abcdef0123456789abcdef")
    return tmp_path


@pytest.mark.parametrize(
    ("note", "free"),
    [
        (MANAGED.encode(), False),
        (MANAGED.replace("configured", "unmanaged").encode(), True),
        (MANAGED.replace("routable", "off").encode(), True),
        (b"ADMIN_STATE=pending\n", False),
        (b"OPER_STATE=offline\nIPV4_ADDRESS_STATE=off\nX=OPER_STATE=off\n", False),
        (b"", False),
        (b"DOMAINS=\xff\xfe\nOPER_STATE=off", True),
    ],
)
def test_networkd_has_let_go_when_it_has_seen_the_device_down_or_left_it(root: Path, note: bytes, free: bool) -> None:
    (root / NOTES / "7").write_bytes(note)
    assert is_let_go(lambda _ifindex, _name: True, 7, "ens3nsby", root) is free
    assert not is_let_go(lambda _ifindex, _name: False, 7, "ens3nsby", root), "udev has to have told it of the role"


def test_udevs_word_is_asked_for_by_ifindex_and_name(root: Path) -> None:
    (root / NOTES / "7").write_text("ADMIN_STATE=unmanaged\n")
    asked: list[tuple[int, str]] = []
    assert not is_let_go(lambda ifindex, name: asked.append((ifindex, name)) is not None, 7, "ens3nsby", root)
    assert asked == [(7, "ens3nsby")]


def test_without_networkds_note_nobody_is_waited_for(root: Path) -> None:
    """It does not know the device, or the note cannot be read."""
    (root / NOTES / "8").mkdir()
    for ifindex in (7, 8):
        assert is_let_go(lambda _ifindex, _name: False, ifindex, "ens3nsby", root)


def test_the_notes_of_a_networkd_that_has_ended_say_nothing(root: Path) -> None:
    """An initramfs may have had one; its notes are there for the whole boot."""
    (root / NOTES / "7").write_text(MANAGED)
    assert not is_let_go(lambda _ifindex, _name: True, 7, "ens3nsby", root)
    (root / RUNNING).unlink()
    assert is_let_go(lambda _ifindex, _name: False, 7, "ens3nsby", root)


def test_the_engine_looks_again_although_nobody_tells() -> None:
    looks: list[tuple[int, str]] = []

    def is_let_go_at_the_third_look(ifindex: int, name: str) -> bool:
        looks.append((ifindex, name))
        return len(looks) >= 3

    def prepare(machine: Machine) -> None:
        machine.is_let_go = is_let_go_at_the_third_look

    async def body(machine: Machine) -> None:
        await machine.until(joined(FIRST))

    machine = on_a_machine(body, prepare)
    assert set(looks) == {(looks[0][0], "ens3nsby")}
    assert len(looks) == 3, "it is asked for no longer than it is waited for"
    assert machine.states() == {FIRST: "accelerated"}
