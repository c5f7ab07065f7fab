"""Marks for udev: who carries which, and that they are there before the event they are for."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from pairdriver import Driver
from test_core_adopted import machine as adopted
from test_core_histories import SHAPES, drive
from test_core_histories_tc import SHAPES as TC_SHAPES
from test_core_histories_tc import drive as drive_tc
from toykernel import MAC, ToyKernel

from failoverd.config.spec import Config, Master, Pairing
from failoverd.core.step import step
from failoverd.core.udev_marks import plain
from failoverd.model.actions import KeepMarks, SaveJournal, Say, Send, WakeAt
from failoverd.model.events import AdoptAsked, Event, LinkSeen, NotMarked, NotSaved, ReleaseAsked, Synced, TimePassed
from failoverd.model.links import Link
from failoverd.model.owners import PairOf
from failoverd.model.requests import Rename, SetActive
from failoverd.model.signals import Released

NIC, VF = 2, 3
UNMANAGED = ["NM_UNMANAGED=1"]
RULES = Path(__file__).parents[2] / "udev-rules" / "70-failoverd.rules"


def imported(files: dict[str, str], link: Link, sysfs_driver: str | None = None) -> list[str]:
    """What the rules would import for this NIC: the first file there is, in their order."""
    words = (link.parent, link.driver if sysfs_driver is None else sysfs_driver)
    names = ["-sby"] if link.standby_feature else []
    for name in (*names, *(f"-{word}" for word in words), ""):
        if (text := files.get(link.mac + name)) is not None:
            return text.splitlines()
    return []


def marks_of(driver: Driver, ifindex: int) -> list[str]:
    return imported(driver.marks, driver.kernel.links[ifindex])


def slave(role: str, active: int, master: str = "ens3") -> list[str]:
    return [*UNMANAGED, f"FAILOVERD_MASTER={master}", f"FAILOVERD_ROLE={role}", f"FAILOVERD_ACTIVE={active}"]


def distinct(driver: Driver) -> Driver:
    """As on a real machine, the drivers of the two are not the same."""
    for ifindex, link in driver.kernel.links.items():
        driver.kernel.links[ifindex] = replace(link, driver={"virtio": "virtio_net", "pci": "mlx5_core"}[link.bus])
    driver.start()
    return driver


# Who carries what


def test_the_slaves_of_a_bond_are_unmanaged_and_the_bond_is_no_hardware() -> None:
    driver = distinct(drive(SHAPES["vf"]))
    driver.settle()
    assert marks_of(driver, VF) == slave("primary", 1)
    assert marks_of(driver, NIC) == slave("standby", 0)
    assert set(driver.marks) == {MAC, f"{MAC}-virtio2", f"{MAC}-virtio_net"}
    driver.kernel.wire(VF, False)
    driver.tell()
    assert marks_of(driver, VF) == slave("primary", 0)
    assert marks_of(driver, NIC) == slave("standby", 1)


@pytest.mark.parametrize("create", ["always", "remembered"])
def test_a_vf_is_marked_before_it_is_there(create: str) -> None:
    """Whatever its driver; and a paravirtual NIC that is alone keeps its network manager."""
    driver = Driver(drive(SHAPES["no-vf"]).kernel, Config(master=Master(create=create)))
    distinct(driver).settle()
    coming = Link(99, "eth0", MAC, MAC, bus="pci", parent="0000:01:00.0", driver="vmxnet3")
    assert imported(driver.marks, coming)[:4] == slave("primary", 0)[:4]
    alone = marks_of(driver, NIC)
    assert alone == (slave("standby", 1) if create == "always" else [])


def test_a_paravirtual_nic_that_comes_again_is_not_taken_for_a_vf() -> None:
    """Its parent has another name then. Nobody may be there to write: what counts is what stands there already."""
    kernel = ToyKernel()
    kernel.plug("ens3", "virtio", up=True)
    driver = distinct(Driver(kernel))
    driver.settle()
    again = replace(kernel.links[NIC], ifindex=9, parent="virtio77")
    assert imported(driver.marks, again) == []
    assert imported(driver.marks, again, sysfs_driver="vmxnet3") == slave("primary", 0), "this one is no virtio NIC"


def test_a_vf_that_is_left_alone_in_its_bond_stays_marked() -> None:
    driver = distinct(drive(SHAPES["vf"]))
    driver.settle()
    driver.kernel.unplug(NIC)
    driver.settle(driver.now + 60)
    assert driver.marks == {MAC: "\n".join([*slave("primary", 1), ""])}


def test_a_nic_that_no_file_can_be_named_after_keeps_the_vf_unmarked() -> None:
    """Better an unmarked VF than a machine without its network."""
    kernel = ToyKernel()
    kernel.plug("ens3", "virtio", up=True)
    kernel.links[NIC] = replace(kernel.links[NIC], parent="a b", driver="")
    driver = Driver(kernel)
    driver.settle()
    assert driver.marks == {}


def test_others_with_the_same_mac_are_not_marked() -> None:
    driver = distinct(drive(SHAPES["vf"]))
    driver.config = replace(driver.config, pairing=Pairing(ignore=("ens9",)))
    driver.start()
    driver.settle()
    kernel = driver.kernel
    ignored, second = kernel.plug("ens9", "pci"), kernel.plug("ens8", "pci")
    vlan = Link(50, "ens3.7", MAC, kind="vlan", link=NIC)
    kernel.put(vlan)
    driver.settle()
    assert marks_of(driver, ignored) == []
    assert marks_of(driver, second) == []
    assert marks_of(driver, VF) == slave("primary", 1)
    assert f"{MAC}-" not in driver.marks


def test_under_tc_the_master_is_the_nic_itself_and_stays_managed() -> None:
    driver = drive_tc(TC_SHAPES["vf"])
    distinct(driver).settle()
    assert marks_of(driver, VF) == slave("primary", 1)
    assert marks_of(driver, NIC) == ["FAILOVERD_MASTER=ens3", "FAILOVERD_ROLE=master", "FAILOVERD_ACTIVE=0"]
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 60)
    assert marks_of(driver, NIC) == marks_of(driver, VF) == []


def test_under_net_failover_master_and_standby_are_told_apart() -> None:
    driver = adopted()
    links = driver.kernel.links
    links[2] = replace(links[2], parent="virtio0", bus="virtio")
    links[3] = replace(links[3], parent="virtio0", driver="virtio_net")
    links[4] = replace(links[4], parent="0000:02:00.0", driver="mlx5_core")
    driver.start()
    driver.settle()
    assert imported(driver.marks, links[2], "virtio_net") == ["FAILOVERD_MASTER=ens3", "FAILOVERD_ROLE=master"]
    assert marks_of(driver, 3) == slave("standby", 0)
    assert marks_of(driver, 4) == slave("primary", 1)


# When


def watched(driver: Driver) -> list[tuple[str, list[str]]]:
    """For every rename, what udev would have marked the device with at its event."""
    seen: list[tuple[str, list[str]]] = []
    do = driver.kernel.do

    def look(requests: tuple[object, ...]) -> object:
        renames = [request for request in requests if isinstance(request, Rename) and request.ifindex in (NIC, VF)]
        seen.extend((request.name, marks_of(driver, request.ifindex)) for request in renames)
        return do(requests)  # type: ignore[arg-type]

    driver.kernel.do = look  # type: ignore[method-assign, assignment]
    return seen


def test_the_standby_is_marked_before_its_rename_and_unmarked_before_it_is_renamed_back() -> None:
    driver = distinct(drive(SHAPES["vf"]))
    seen = watched(driver)
    driver.settle()
    assert seen == [("ens3nsby", slave("standby", 0))]
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 60)
    assert any(isinstance(signal, Released) for signal in driver.signals)
    assert seen[1:] == [("ens3", [])]
    assert marks_of(driver, VF) == []
    assert set(driver.marks) == {f"{MAC}-virtio2", f"{MAC}-virtio_net"}
    driver.tell(AdoptAsked(MAC))
    driver.settle(driver.now + 60)
    assert marks_of(driver, VF) == slave("primary", 1)


def test_a_journal_that_cannot_be_written_takes_the_marks_back() -> None:
    """Nothing is renamed then, so the NIC still is what the machine is reached by."""
    driver = distinct(drive(SHAPES["vf"]))
    kept: list[dict[str, str]] = []
    for _ in range(400):
        if not driver.events:
            break
        item = driver.events.popleft()
        actions = step(driver.state, item() if callable(item) else item, 0.0)
        if any(isinstance(action, SaveJournal) and action.journal.cut for action in actions):
            actions = [*actions, *step(driver.state, NotSaved(PairOf(MAC)), 0.0)]
            kept = [dict(action.files) for action in actions if isinstance(action, KeepMarks)]
            break
        for action in actions:
            driver._do(action)
        driver._take_news()
    before, after = ([*map(str.strip, files[f"{MAC}-virtio2"].splitlines())] for files in kept)
    assert before[:3] == slave("standby", 0)[:3]
    assert after == []


def test_a_switch_waits_for_no_file() -> None:
    """Here the VF goes and its marks change in the same step."""
    driver = distinct(drive(SHAPES["vf"]))
    driver.settle()
    link = replace(driver.kernel.links[VF], carrier=False)
    driver.state.pairs[MAC].marking.files = {}
    actions = step(driver.state, LinkSeen(link), driver.now)
    kinds = [type(action) for action in actions if isinstance(action, Send | KeepMarks)]
    assert kinds == [Send, KeepMarks]
    (send,) = (action for action in actions if isinstance(action, Send))
    assert isinstance(send.requests[0], SetActive)


def test_what_stands_there_of_pairs_that_are_gone_is_taken_away() -> None:
    driver = distinct(drive(SHAPES["vf"]))
    old = "52:54:00:00:00:77"
    driver.marks = {old: "FAILOVERD_ROLE=primary\n", f"{old}-virtio9": ""}
    driver.start()
    driver.settle()
    assert {name[:17] for name in driver.marks} == {MAC}
    actions = step(driver.state, Synced(()), driver.now)
    assert [action for action in actions if isinstance(action, KeepMarks)] == [KeepMarks(MAC, {})]


def test_nothing_is_written_again_that_has_not_changed() -> None:
    driver = distinct(drive(SHAPES["vf"]))
    driver.settle()
    actions = step(driver.state, LinkSeen(driver.kernel.links[VF]), driver.now)
    assert not [action for action in actions if isinstance(action, KeepMarks)]


# Names


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ens3", "ens3"),
        ("en#a+b-c.d:e=f@g_h", "en#a+b-c.d:e=f@g_h"),
        ('"quoted"', r"\x22quoted\x22"),
        ("50%", r"50\x25"),
        ("a\\b", r"a\x5cb"),
        ("ü", r"\xc3\xbc"),
        ("\udcff\x01", r"\xff\x01"),
        ("x\nNM_UNMANAGED=0", r"x\x0aNM_UNMANAGED=0"),
        ("", ""),
    ],
)
def test_no_name_breaks_out_of_its_line(name: str, value: str) -> None:
    assert plain(name) == value


def test_a_name_the_kernel_may_have_and_udev_has_to_unquote() -> None:
    kernel = ToyKernel()
    kernel.plug("'x\udcff", "virtio", up=True)
    driver = Driver(kernel)
    driver.settle()
    assert re.search(r"^FAILOVERD_MASTER=\\x27x\\xff$", driver.marks[MAC], re.MULTILINE)


def test_the_rules_name_the_files_that_are_written() -> None:
    paths = re.findall(r'IMPORT\{file\}="([^"]*)"', RULES.read_text())
    place = "/run/failoverd/udev/$attr{address}"
    assert paths == [f"{place}-sby", f"{place}-$id", f"{place}-$driver", place]


def test_marks_that_could_not_be_written_are_tried_again_and_not_for_ever_at_once() -> None:
    driver = distinct(drive(SHAPES["vf"]))
    driver.settle(30.0)
    driver.now = 100.0
    tries: list[float] = []
    said: list[object] = []
    event: Event = NotMarked(MAC, "[Errno 28] No space left on device")
    while driver.now < 1000.0:
        actions = step(driver.state, event, driver.now)
        said += [action for action in actions if isinstance(action, Say) and action.level == "error"]
        event = TimePassed()
        if any(isinstance(action, KeepMarks) for action in actions):
            tries.append(driver.now)
            event = NotMarked(MAC, "[Errno 28] No space left on device")
            continue
        (wake,) = [action.at for action in actions if isinstance(action, WakeAt)]
        driver.now = wake
    assert [later - sooner for sooner, later in pairwise([100.0, *tries])] == [10.0, 20.0, 40.0, 80.0, 160.0, 300.0]
    assert len(said) == 1


def test_marks_that_were_written_at_last_are_told_of_anew_when_they_fail() -> None:
    driver = distinct(drive(SHAPES["vf"]))
    driver.settle(30.0)
    now = 100.0
    assert any(isinstance(action, Say) for action in step(driver.state, NotMarked(MAC, "no"), now))
    assert any(isinstance(action, KeepMarks) for action in step(driver.state, TimePassed(), now + 10.0))
    driver.state.pairs[MAC].marking.files = {}
    driver.state.attention.concerned.add(PairOf(MAC))
    assert any(isinstance(action, KeepMarks) for action in step(driver.state, TimePassed(), now + 20.0))
    assert any(isinstance(action, Say) for action in step(driver.state, NotMarked(MAC, "no"), now + 20.0))
