"""Names of our own accord, on the toy kernel: the policy's and udev's, given once, given back, and never fought for.

The histories are those of test_core_histories: killed after any action, answers lost, anything refused once.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from everycut import cuts
from pairdriver import Driver
from test_core_adopted import machine as adopted
from test_core_histories import SHAPES, Shape, machine, refusing_but
from test_core_histories_tc import SHAPES as TC_SHAPES
from test_core_histories_tc import drive as drive_shape_by_tc
from test_core_orders import HOLD_DOWN, NIC, VF, active, ask, names, wait
from test_core_tc import joined as joined_by_tc
from toykernel import MAC

from failoverd.config.spec import Config, Master, Naming
from failoverd.core.status import nics
from failoverd.model.events import AdoptAsked, LinkSeen, ReleaseAsked, Synced, UdevDone
from failoverd.model.requests import AddAltname, DeleteLink, DropAltname, Rename, SetActive, SetMaster, SetUp
from failoverd.model.signals import FailedOver, LinkRenamed, Released
from failoverd.policy.naming import was

NAMING = Naming(master="lan0", primary="{master}vf", altnames=True)
LONG = "averylongname12"
SPARE = "fs525400fa1101"


def drive(naming: Naming, shape: Shape = SHAPES["vf"], **accidents: Any) -> Driver:
    return Driver(machine(shape), Config(master=Master(create="always", datapath="bond"), naming=naming), **accidents)


def joined(naming: Naming, live: bool = True) -> Driver:
    driver = drive(naming, replace(SHAPES["vf"], live_renames=live))
    driver.settle()
    driver.signals.clear()
    driver.sent.clear()
    return driver


def named(driver: Driver) -> dict[int, str]:
    return {i: link.name for i, link in sorted(driver.kernel.links.items())}


def altnames(driver: Driver, ifindex: int) -> set[str]:
    return set(driver.kernel.links[ifindex].altnames)


def reason(driver: Driver, ifindex: int) -> str:
    return next(str(row["reason"]) for row in nics(driver.state) if row["ifindex"] == ifindex)


def rename_by_others(driver: Driver, *pairs: tuple[int, str]) -> None:
    """Somebody renames while the daemon hears of each only afterwards."""
    driver.kernel.by_others(*(Rename(ifindex, name) for ifindex, name in pairs))
    driver.tell()
    wait(driver, 1)


# The policy: given at the join, given back at the release


def assert_named(driver: Driver, with_vf: bool = True) -> None:
    master = driver.kernel.named("lan0")
    assert master is not None
    assert master.kind == "bond"
    assert "enp1s0" in master.altnames
    assert driver.on("lan0") >= driver.precious
    assert driver.kernel.links[NIC].name == "lan0nsby"
    assert altnames(driver, NIC) == {was(NIC, "ens3"), "lan0-standby"}
    if with_vf:
        assert driver.kernel.links[VF].name == "lan0vf"
        assert altnames(driver, VF) == {was(VF, "ens4"), "lan0-primary"}


def assert_restored(driver: Driver, with_vf: bool = True) -> None:
    assert named(driver) == ({NIC: "ens3", VF: "ens4"} if with_vf else {NIC: "ens3"})
    assert altnames(driver, NIC) == {"enp1s0"}
    assert not with_vf or altnames(driver, VF) == set()
    assert driver.on("ens3") >= driver.precious
    assert not driver.journals


def there_and_back(driver: Driver, check: Callable[[Driver, bool], None] = assert_named) -> None:
    driver.settle()
    with_vf = driver.kernel.links[VF].bus == "pci"
    check(driver, with_vf)
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 1000)
    assert_restored(driver, with_vf)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_names_are_given_and_given_back(shape: Shape) -> None:
    driver = drive(NAMING, shape)
    there_and_back(driver)
    last = driver.signals[-1]
    assert isinstance(last, Released)
    assert (last.name, last.mac) == ("ens3", MAC)
    driver.tell(AdoptAsked(MAC))
    driver.settle(driver.now + 1000)
    assert_named(driver, with_vf=shape.vf)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("accident", ["kill_at", "lose_at", "full_at"])
def test_names_are_right_after_an_accident_anywhere(shape: Shape, accident: str) -> None:
    whole = drive(NAMING, shape)
    there_and_back(whole)
    for number in cuts(whole.done):
        there_and_back(drive(NAMING, shape, **{accident: frozenset({number})}))


@pytest.mark.parametrize("shape", [SHAPES["vf"], SHAPES["new-kernel"], SHAPES["vf-own"]])
@pytest.mark.parametrize("number", [errno.EBUSY, errno.EINVAL, errno.EEXIST])
def test_whatever_is_refused_once_no_name_is_lost(shape: Shape, number: int) -> None:
    """The names of the policy may not come about then; those from before are there in the end."""
    whole = drive(NAMING, shape)
    there_and_back(whole)
    for victim in cuts(sum(map(len, whole.sent))):
        driver = drive(NAMING, shape)
        driver.kernel.refuse = refusing_but(frozenset({victim}), number, SetActive)
        there_and_back(driver, lambda driver, _: None)


def test_the_master_gets_the_nics_name_where_its_own_is_taken() -> None:
    driver = drive(NAMING)
    other = driver.kernel.plug("lan0", "usb", mac="52:54:00:fa:11:09")
    driver.start()
    driver.settle()
    master = driver.kernel.named("ens3")
    assert master is not None
    assert master.kind == "bond"
    assert driver.kernel.links[NIC].name == "ens3nsby"
    assert was(NIC, "ens3") not in altnames(driver, NIC)
    assert reason(driver, NIC).endswith("; ens3 is not called lan0: it is a name of lan0")
    assert driver.kernel.links[other].name == "lan0"


def test_a_name_that_cannot_be_remembered_is_not_given_away() -> None:
    driver = drive(NAMING)
    driver.kernel.refuse = lambda request: errno.EEXIST if request == AddAltname(NIC, was(NIC, "ens3")) else 0
    driver.settle()
    assert driver.kernel.links[NIC].name == "ens3nsby"


def test_a_vf_whose_name_cannot_be_remembered_keeps_it() -> None:
    driver = drive(NAMING)
    driver.kernel.refuse = lambda request: errno.EEXIST if request == AddAltname(VF, was(VF, "ens4")) else 0
    driver.settle()
    assert driver.kernel.links[VF].name == "ens4"
    assert driver.state.pairs[MAC].joined


def test_a_name_that_is_taken_at_the_release_is_owed() -> None:
    driver = joined(NAMING)
    other = driver.kernel.plug("ens4", "usb", mac="52:54:00:fa:11:09")
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 100)
    assert driver.kernel.links[VF].name == "lan0vf"
    assert reason(driver, VF).endswith("it was ens4: it is a name of ens4")
    driver.kernel.unplug(other)
    driver.tell()
    assert driver.kernel.links[VF].name == "ens4"
    assert altnames(driver, VF) == set()


def test_a_nic_whose_name_is_taken_at_the_release_is_called_as_its_master_was() -> None:
    driver = joined(NAMING)
    other = driver.kernel.plug("ens3", "usb", mac="52:54:00:fa:11:09")
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 100)
    assert driver.kernel.links[NIC].name == "lan0"
    assert driver.on("lan0") >= driver.precious
    driver.kernel.by_others(Rename(other, "eth9"))
    driver.tell()
    assert driver.kernel.links[NIC].name == "ens3"
    assert altnames(driver, NIC) == {"enp1s0"}


def test_a_name_the_kernel_will_not_give_back_is_said_to_be_owed() -> None:
    driver = joined(NAMING, live=False)
    driver.kernel.refuse = lambda request: errno.EINVAL if request == Rename(VF, "ens4") else 0
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 1000)
    assert driver.kernel.links[VF].name == "lan0vf"
    assert was(VF, "ens4") in altnames(driver, VF)
    assert "it was ens4: it gets that name back" in reason(driver, VF)
    assert sum((Rename(VF, "ens4"),) == batch for batch in driver.sent) == 3


def test_a_released_nic_that_is_somebody_elses_slave_is_left_alone() -> None:
    driver = joined(NAMING)
    driver.kernel.refuse = lambda request: errno.EBUSY if request == Rename(VF, "ens4") else 0
    driver.tell(ReleaseAsked(MAC))
    driver.tell()
    driver.kernel.links[VF] = replace(driver.kernel.links[VF], master=77)
    driver.kernel.refuse = lambda _request: 0
    driver.tell(Synced(tuple(driver.kernel.links.values())))
    wait(driver, 100)
    assert driver.kernel.links[VF].name == "lan0vf"


# Where udev lost the race


@pytest.mark.parametrize("shape", [Shape(), Shape(vf=False), Shape(vf_up=True), Shape(live_renames=True)])
@pytest.mark.parametrize("naming", [Naming(), NAMING])
def test_a_rename_udev_could_not_make_is_completed(shape: Shape, naming: Naming) -> None:
    def lost() -> Driver:
        driver = drive(naming, shape)
        driver.kernel.by_others(SetUp(NIC, up=False), Rename(NIC, "eth0"), SetUp(NIC, up=True))
        driver.lost_races = {"eth0": "ens3", "eth1": "ens4"}
        if shape.vf:
            driver.kernel.links[VF] = replace(driver.kernel.links[VF], name="eth1", up=True)
        driver.precious = driver.configured()
        driver.start()
        return driver

    def check(driver: Driver, with_vf: bool) -> None:
        master = "ens3" if naming == Naming() else "lan0"
        assert driver.kernel.links[NIC].name == f"{master}nsby"
        assert driver.kernel.named(master).kind == "bond"  # type: ignore[union-attr]
        assert not with_vf or driver.kernel.links[VF].name == ("ens4" if naming == Naming() else "lan0vf")

    whole = lost()
    there_and_back(whole, check)
    for number in cuts(whole.done):
        driver = lost()
        driver.kill_at = frozenset({number})
        there_and_back(driver, check)


@pytest.mark.parametrize("came", ["before", "long before", "now"])
@pytest.mark.parametrize("up", [True, False])
def test_a_name_of_udevs_that_a_rule_overrides_is_none(came: str, up: bool) -> None:
    """With `NAME="eth1"` in a rule udev renames nothing, and its record has what it would have chosen all the same."""
    driver = drive(Naming())
    if came == "now":
        driver.settle()
        driver.kernel.unplug(VF)
        driver.settle(driver.now + 10)
    driver.now += 0 if came == "before" else 1000
    driver.lost_races = {"eth1": "enp9s0", "ens3": "enp9s1"}
    if came == "now":
        driver.kernel.plug("eth1", "pci", up=up)
    else:
        driver.kernel.links[VF] = replace(driver.kernel.links[VF], name="eth1", up=up)
        driver.start()
    driver.settle(driver.now + 100)
    names_now = set(named(driver).values())
    assert ("eth1" in names_now) == (not up), "nobody refuses to rename what is down"
    assert ("ens3" in names_now) == (came != "before")


def test_udevs_name_may_be_an_alternative_one_already() -> None:
    """Newer udevs add the name they wanted as an alternative one, too; the kernel refuses a rename to that."""
    driver = drive(Naming())
    driver.kernel.links[VF] = replace(driver.kernel.links[VF], name="eth1", up=True, altnames=frozenset({"ens4"}))
    driver.lost_races = {"eth1": "ens4"}
    driver.start()
    driver.settle()
    assert driver.kernel.links[VF].name == "ens4"
    assert altnames(driver, VF) == set()
    assert not driver.state.pairs[MAC].work.refusals


@pytest.mark.parametrize("live", [True, False])
def test_udev_that_is_done_late(live: bool) -> None:
    """The VF is joined by then, as its time was over."""
    driver = joined(Naming(), live)
    driver.kernel.by_others(SetUp(VF, up=False), Rename(VF, "eth1"), SetUp(VF, up=True))
    driver.start()
    driver.settle(driver.now + 10)
    driver.signals.clear()
    driver.tell(UdevDone(VF, "ens4"))
    wait(driver, HOLD_DOWN)
    assert names(driver) == [("eth1", "ens4", "primary")]
    assert active(driver) == "ens4"


def test_a_name_somebody_has_given_since_is_not_udevs_to_choose() -> None:
    driver = joined(Naming())
    driver.state.arrivals.udev_names[VF] = "ens9"
    rename_by_others(driver, (VF, "fast0"))
    wait(driver, 100)
    assert named(driver)[VF] == "fast0"


def test_udevs_name_is_forgotten_with_its_device() -> None:
    driver = joined(Naming())
    driver.state.arrivals.udev_names[VF] = "ens9"
    driver.kernel.unplug(VF)
    driver.tell()
    assert driver.state.arrivals.udev_names == {}


# Wishes at rest


def test_a_vf_plugged_later_gets_its_name_before_it_is_enslaved() -> None:
    driver = joined(NAMING, live=False)
    driver.kernel.unplug(VF)
    driver.tell()
    new = driver.kernel.plug("ens4", "pci")
    driver.sent.clear()
    driver.tell()
    wait(driver, HOLD_DOWN)
    assert driver.kernel.links[new].name == "lan0vf"
    assert altnames(driver, new) == {was(new, "ens4"), "lan0-primary"}
    assert not any(SetUp(new, up=False) in batch for batch in driver.sent)
    assert active(driver) == "lan0vf"


@pytest.mark.parametrize("live", [True, False])
def test_a_policy_that_is_new_names_what_is_joined(live: bool) -> None:
    driver = joined(Naming(), live)
    driver.config = Config(naming=Naming(primary="{master}vf", altnames=True))
    driver.start()
    driver.settle(driver.now + 10)
    assert driver.kernel.links[VF].name == "ens3vf"
    assert altnames(driver, VF) == {was(VF, "ens4"), "ens3-primary"}
    assert altnames(driver, NIC) == {"ens3-standby"}
    assert active(driver) == "ens3vf"


def test_names_follow_a_renamed_master_and_its_way_back() -> None:
    driver = joined(Naming(primary="{master}vf", altnames=True))
    for new, old in (("wan0", "ens3"), ("ens3", "wan0")):
        driver.signals.clear()
        ask(driver, "rename", old, new)
        wait(driver, 1)
        assert sorted(names(driver)) == sorted(
            [(old, new, "master"), (f"{old}nsby", f"{new}nsby", "standby"), (f"{old}vf", f"{new}vf", "primary")]
        )
        assert altnames(driver, NIC) == {f"{new}-standby"}
        assert altnames(driver, VF) == {was(VF, "ens4"), f"{new}-primary"}
        assert [s for s in driver.signals if isinstance(s, FailedOver)] == []


def test_killed_anywhere_the_names_follow() -> None:
    def history(**accidents: Any) -> Driver:
        driver = joined(Naming(primary="{master}vf", altnames=True))
        for kind, at in accidents.items():
            setattr(driver, kind, frozenset(driver.done + number for number in at))
        rename_by_others(driver, (5 if 5 in driver.kernel.links else 4, "wan0"))
        driver.settle(driver.now + 100)
        assert sorted(named(driver).values()) == ["wan0", "wan0nsby", "wan0vf"]
        assert altnames(driver, NIC) == {"wan0-standby"}
        assert altnames(driver, VF) == {was(VF, "ens4"), "wan0-primary"}
        assert active(driver) == "wan0vf"
        return driver

    whole = history()
    for number in range(40):
        history(kill_at=frozenset({number}))
        history(lose_at=frozenset({number}))
    assert whole.done


def test_a_rename_of_ours_whose_answer_is_lost_is_nobody_elses() -> None:
    whole = drive(NAMING)
    whole.settle()
    for number in cuts(whole.done):
        driver = drive(NAMING, lose_at=frozenset({number}))
        driver.settle()
        assert driver.state.pairs[MAC].names.named == set(), number
        assert driver.state.pairs[MAC].work.doubtful == ()


def test_a_slave_of_ours_is_not_waited_for_at_a_start() -> None:
    driver = joined(Naming())
    driver.udev_hangs = True
    driver.start()
    driver.tell()
    assert driver.state.arrivals.asked == {}
    assert {NIC, VF} <= driver.state.arrivals.ready


def test_two_vfs_that_had_the_same_name_both_get_the_policys() -> None:
    """The first one's rename frees `ens4`, and the kernel calls the next one so."""
    driver = joined(Naming(primary="{master}vf"))
    other = "52:54:00:00:00:02"
    nic = driver.kernel.plug("eth0", "virtio", mac=other, up=True)
    second = driver.kernel.plug("ens4", "pci", mac=other)
    driver.settle(driver.now + 100)
    assert (named(driver)[VF], named(driver)[second]) == ("ens3vf", "eth0vf")
    assert (altnames(driver, VF), altnames(driver, second)) == ({was(VF, "ens4")}, {was(second, "ens4")})
    assert named(driver)[nic] == "eth0nsby"


def test_a_pair_that_is_gone_is_forgotten() -> None:
    driver = joined(Naming())
    driver.state.config = Config()
    for number in range(5):
        nic = driver.kernel.plug("eth9", "virtio", mac=f"52:54:00:00:00:{number:02x}")
        driver.tell()
        driver.kernel.unplug(nic)
        driver.settle(driver.now + 10)
        # The last one's marks are taken away first.
        assert len(driver.state.pairs) <= 2


@pytest.mark.parametrize("restart", [False, True])
def test_nobody_is_fought_with(restart: bool) -> None:
    driver = joined(NAMING)
    for ifindex, name in ((VF, "fast0"), (NIC, "slow0")):
        rename_by_others(driver, (ifindex, name))
    if restart:
        driver.start()
        driver.settle(driver.now + 10)
    wait(driver, 100)
    assert (named(driver)[VF], named(driver)[NIC]) == ("fast0", "slow0")
    assert not any(isinstance(request, Rename) for batch in driver.sent for request in batch)
    assert reason(driver, VF).endswith("fast0 is not called lan0vf: another program has named it")
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 100)
    assert_restored(driver)


def test_somebody_renames_back_at_once_and_is_left_alone() -> None:
    driver = joined(NAMING)
    rename_by_others(driver, (VF, "ens4"), (NIC, "oddnsby"))
    wait(driver, 100)
    assert (named(driver)[VF], named(driver)[NIC]) == ("ens4", "oddnsby")


def test_an_administrators_order_is_somebody_elses_name() -> None:
    driver = joined(NAMING)
    ask(driver, "rename", "lan0nsby", "oddnsby")
    ask(driver, "rename", "lan0vf", "ens4")
    wait(driver, 100)
    assert (named(driver)[VF], named(driver)[NIC]) == ("ens4", "oddnsby")


def test_a_vf_that_alone_can_carry_is_not_taken_down_for_a_name() -> None:
    driver = joined(Naming(), live=False)
    driver.kernel.wire(NIC, alive=False)
    driver.config = Config(naming=Naming(primary="{master}vf"))
    driver.start()
    driver.settle(driver.now + 10)
    assert active(driver) == "ens4"
    driver.kernel.wire(NIC, alive=True)
    driver.tell()
    wait(driver, HOLD_DOWN)
    assert active(driver) == "ens3vf"


def test_a_name_the_kernel_refuses_is_asked_for_once_and_said() -> None:
    driver = joined(Naming())
    driver.kernel.refuse = lambda request: errno.EINVAL if isinstance(request, Rename | AddAltname) else 0
    driver.config = Config(naming=Naming(primary="{master}vf", altnames=True))
    driver.start()
    driver.settle(driver.now + 10)
    wait(driver, 100)
    asked = [request for batch in driver.sent for request in batch]
    assert sorted(map(repr, asked)) == sorted(
        map(repr, [AddAltname(NIC, "ens3-standby"), AddAltname(VF, "ens3-primary"), AddAltname(VF, was(VF, "ens4"))])
    )
    driver.kernel.refuse = lambda request: errno.EINVAL if isinstance(request, Rename) else 0
    driver.start()
    driver.settle(driver.now + 10)
    assert reason(driver, VF).endswith("ens4 is not called ens3vf: the kernel refuses it")
    assert any("rename ens4 to ens3vf failed" in text for text in driver.said)


def test_a_standby_that_follows_a_master_on_an_old_kernel() -> None:
    """By somebody who took the master down for it."""
    driver = joined(Naming(), live=False)
    master = next(link.ifindex for link in driver.kernel.links.values() if link.kind)
    driver.precious = frozenset()
    driver.kernel.by_others(SetUp(master, up=False), Rename(master, "lan0"), SetUp(master, up=True))
    driver.tell()
    wait(driver, 1)
    assert named(driver)[NIC] == "lan0nsby"


def test_where_the_name_would_be_too_long_there_is_an_alternative_one() -> None:
    driver = joined(Naming(altnames=True))
    ask(driver, "rename", "ens3", LONG)
    wait(driver, 1)
    assert named(driver)[NIC] == SPARE
    assert altnames(driver, NIC) == {f"{LONG}nsby", f"{LONG}-standby"}
    assert reason(driver, NIC).endswith(f"{SPARE} is not called {LONG}nsby: it has 19 bytes and the kernel takes 15")
    ask(driver, "rename", LONG, "lan0")
    wait(driver, 1)
    assert named(driver)[NIC] == "lan0nsby"
    assert altnames(driver, NIC) == {"lan0-standby"}
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 100)
    assert altnames(driver, NIC) == {"enp1s0"}


def test_a_nic_that_is_called_as_its_own_standby_would_be_is_not_joined_and_says_why() -> None:
    """Its master could not have that name, which the kernel refused each time after a bond had been made for it."""
    kernel = machine(SHAPES["vf"])
    kernel.links[NIC] = replace(kernel.links[NIC], name=SPARE)
    driver = Driver(kernel, Config(master=Master(create="always", datapath="bond")))
    driver.settle(1000)
    assert driver.sent == []
    assert f"'{SPARE}' cannot be the master's name: a standby of that MAC has it" in reason(driver, NIC)


def test_a_vf_whose_name_would_be_too_long_has_it_as_an_alternative_one() -> None:
    driver = joined(Naming(primary="{master}vf"))
    ask(driver, "rename", "ens3", "a234567890123")
    wait(driver, 5)
    assert named(driver)[VF] == "a234567890123vf"
    ask(driver, "rename", "a234567890123", LONG)
    wait(driver, 5)
    assert altnames(driver, VF) == {was(VF, "ens4"), f"{LONG}vf"}
    ask(driver, "rename", LONG, "lan0")
    wait(driver, 5)
    assert named(driver)[VF] == "lan0vf"
    assert altnames(driver, VF) == {was(VF, "ens4")}
    ask(driver, "rename", "lan0", LONG)
    wait(driver, 5)
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 100)
    assert named(driver)[VF] == "ens4"
    assert altnames(driver, VF) == set()


def test_a_long_name_is_given_back_and_no_alternative_is_left() -> None:
    driver = drive(Naming())
    driver.kernel.links[NIC] = replace(driver.kernel.links[NIC], name=LONG)
    driver.start()
    driver.settle()
    assert named(driver)[NIC] == SPARE
    assert altnames(driver, NIC) == {f"{LONG}nsby"}
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 100)
    assert named(driver)[NIC] == LONG
    assert altnames(driver, NIC) == {"enp1s0"}


def test_a_standbys_usual_name_that_is_taken_comes_when_it_is_free() -> None:
    driver = drive(Naming())
    other = driver.kernel.plug("ens3nsby", "usb", mac="52:54:00:fa:11:09")
    driver.kernel.live_renames = True
    driver.start()
    driver.settle()
    assert named(driver)[NIC] == SPARE
    assert altnames(driver, NIC) == set()
    assert reason(driver, NIC).endswith(f"{SPARE} is not called ens3nsby: it is a name of ens3nsby")
    driver.kernel.unplug(other)
    driver.tell()
    wait(driver, 1)
    assert named(driver)[NIC] == "ens3nsby"


def test_a_master_that_goes_away_under_our_hands_comes_back_by_its_name() -> None:
    driver = joined(NAMING)
    master = next(link.ifindex for link in driver.kernel.links.values() if link.kind)
    driver.precious = frozenset()
    driver.kernel.by_others(DeleteLink(master))
    driver.tell()
    driver.settle(driver.now + 100)
    assert named(driver) == {NIC: "lan0nsby", VF: "lan0vf", master + 1: "lan0"}
    assert altnames(driver, NIC) == {was(NIC, "ens3"), "lan0-standby"}


# Renames by everybody


def test_two_renames_at_once() -> None:
    driver = joined(Naming())
    rename_by_others(driver, (VF, "fast0"), (NIC, "slow0"))
    assert names(driver) == [("ens4", "fast0", "primary"), ("ens3nsby", "slow0", "standby")]
    assert active(driver) == "fast0"


def test_two_names_are_swapped_by_somebody() -> None:
    driver = joined(Naming())
    rename_by_others(driver, (VF, "tmp"), (NIC, "ens4"), (VF, "ens3nsby"))
    wait(driver, 100)
    assert (named(driver)[VF], named(driver)[NIC]) == ("ens3nsby", "ens4")
    assert names(driver) == [
        ("ens4", "tmp", "primary"),
        ("ens3nsby", "ens4", "standby"),
        ("tmp", "ens3nsby", "primary"),
    ]
    assert active(driver) == "ens3nsby"
    assert [s for s in driver.signals if isinstance(s, FailedOver)] == []


@pytest.mark.parametrize("live", [True, False])
def test_two_names_are_swapped_by_orders(live: bool) -> None:
    driver = joined(Naming(), live)
    for device, name in (("ens4", "tmp"), ("ens3nsby", "ens4"), ("tmp", "ens3nsby")):
        assert ask(driver, "rename", device, name).done(driver.state)
        wait(driver, HOLD_DOWN)
    assert (named(driver)[VF], named(driver)[NIC]) == ("ens3nsby", "ens4")
    assert len(names(driver)) == 3
    assert active(driver) == "ens3nsby"


def test_master_and_slave_at_once() -> None:
    driver = joined(Naming())
    master = next(link.ifindex for link in driver.kernel.links.values() if link.kind)
    rename_by_others(driver, (master, "lan0"), (NIC, "slow0"))
    assert names(driver) == [("ens3", "lan0", "master"), ("ens3nsby", "slow0", "standby")]


@pytest.mark.parametrize("live", [True, False])
def test_a_rename_during_a_failover(live: bool) -> None:
    """The VF loses its link and is renamed before anybody could react, and goes in the end."""
    driver = joined(Naming(), live)
    driver.kernel.wire(VF, alive=False)
    if live:
        driver.kernel.by_others(Rename(VF, "gone0"))
    driver.kernel.set_up(VF, up=False)
    if not live:
        driver.kernel.by_others(Rename(VF, "gone0"))
    driver.kernel.unplug(VF)
    driver.tell()
    wait(driver, 1)
    failovers = [signal for signal in driver.signals if isinstance(signal, FailedOver)]
    assert [(s.old_ifindex, s.new) for s in failovers] == [(VF, "ens3nsby")]
    assert names(driver) == [("ens4", "gone0", "primary")]


@pytest.mark.parametrize("device", [NIC, VF, 0])
@pytest.mark.parametrize("live", [True, False])
def test_a_rename_at_any_moment_of_a_join(device: int, live: bool) -> None:
    """What is called otherwise in the middle is called so in the end, or as its role; nothing is lost or stuck.

    The name that the NIC gets before the move is the master's afterwards, and one that the master gets after it stays.
    """
    shape = replace(SHAPES["vf"], live_renames=live)
    whole, steps, moves = drive(Naming(), shape), list[range](), list[int]()
    whole.on_action = lambda now: moves.extend([now] if whole.sent and len(whole.sent[-1]) > 4 else [])
    whole.on_step = steps.append
    whole.settle()
    # What happens between the last look and the move comes too late to change its names.
    acting = [numbers for numbers in steps if numbers]
    looked = acting[next(i for i, numbers in enumerate(acting) if moves[0] in numbers) - 1]
    late = range(looked[0], moves[0])
    for number in cuts(whole.done):
        driver, was, named = drive(Naming(), shape), list[str](), list[str]()

        def rename(
            now: int, driver: Driver = driver, number: int = number, was: list[str] = was, named: list[str] = named
        ) -> None:
            master = next((link for link in driver.kernel.links.values() if link.kind), None)
            ifindex = device or (master.ifindex if master else 0)
            if now == number and ifindex in driver.kernel.links:
                was.append(driver.kernel.links[ifindex].name)
                driver.kernel.by_others(Rename(ifindex, "odd0"))
                named.append(driver.kernel.links[ifindex].name)

        driver.on_action = rename
        driver.settle()
        assert driver.state.pairs[MAC].joined
        kernel = driver.kernel
        master = next(link for link in kernel.links.values() if link.kind)
        assert driver.on(master.name) >= driver.precious
        if named == ["odd0"] and device != VF and number not in late:
            assert master.name == ("odd0" if was == ["ens3"] else "ens3"), number
        assert {link.master for link in kernel.links.values() if link.perm_mac == MAC} == {0, master.ifindex} - {0}
        told = [(s.old, s.new) for s in driver.signals if isinstance(s, LinkRenamed) and s.ifindex == device]
        for (_, new), (old, _) in pairwise(told):
            assert new == old
        assert not told or told[-1][1] == kernel.links[device].name


def test_a_standby_that_carries_while_the_vf_is_held_down_waits_for_it() -> None:
    driver = joined(Naming(), live=False)
    driver.kernel.wire(VF, alive=False)
    wait(driver, 1)
    driver.kernel.wire(VF, alive=True)
    wait(driver, HOLD_DOWN / 2)
    answer = ask(driver, "rename", "ens3nsby", "slow0")
    assert active(driver) == "ens3nsby"
    wait(driver, HOLD_DOWN)
    assert answer.done(driver.state)
    assert (active(driver), named(driver)[NIC]) == ("ens4", "slow0")


def test_a_rename_to_a_name_it_has_as_an_alternative_one() -> None:
    driver = joined(Naming())
    driver.kernel.by_others(AddAltname(VF, "fast0"))
    driver.tell()
    assert ask(driver, "rename", "ens4", "fast0").done(driver.state)
    assert names(driver) == [("ens4", "fast0", "primary")]
    assert altnames(driver, VF) == set()


def test_an_alternative_name_is_not_lost_by_a_rename_that_is_refused() -> None:
    driver = joined(Naming(), live=False)
    driver.kernel.by_others(AddAltname(VF, "fast0"))
    driver.kernel.wire(NIC, alive=False)
    driver.tell()
    driver.sent.clear()
    ask(driver, "rename", "ens4", "fast0")
    assert driver.sent == [(DropAltname(VF, "fast0"), Rename(VF, "fast0"), AddAltname(VF, "fast0"))]
    assert altnames(driver, VF) == {"fast0"}
    assert named(driver)[VF] == "ens4"


@pytest.mark.parametrize("live", [True, False])
def test_a_rename_while_drained(live: bool) -> None:
    driver = joined(Naming(), live)
    ask(driver, "drain", "ens3")
    assert ask(driver, "rename", "ens4", "fast0").done(driver.state)
    wait(driver, HOLD_DOWN * 2)
    assert active(driver) == "ens3nsby"
    driver.signals.clear()
    ask(driver, "rename", "ens3nsby", "slow0")
    if live:
        assert names(driver) == [("ens3nsby", "slow0", "standby")]


def test_the_vf_goes_while_the_policy_is_about_to_name_it() -> None:
    for at in range(6):
        driver = drive(NAMING)
        driver.settle()
        driver.kernel.unplug(VF)
        driver.tell()
        new = driver.kernel.plug("ens4", "pci")
        first = driver.done

        def pull(now: int, driver: Driver = driver, until: int = first + at, new: int = new) -> None:
            if now == until and new in driver.kernel.links:
                driver.kernel.unplug(new)

        driver.on_action = pull
        driver.tell()
        wait(driver, 20)
        assert new not in driver.kernel.links
        assert named(driver)[NIC] == "lan0nsby"
        assert active(driver) == "lan0nsby"
        assert not driver.state.pairs[MAC].orders.renames


# The other datapaths


def drive_bond() -> Driver:
    return drive(Naming())


def drive_tc() -> Driver:
    return drive_shape_by_tc(TC_SHAPES["vf"])


def adopt() -> Driver:
    driver = adopted(name="eth0")
    driver.kernel.by_others(DropAltname(3, "ens3nsby"))
    driver.sent.clear()
    return driver


@pytest.mark.parametrize("live", [True, False])
def test_where_the_nic_is_the_master_it_is_renamed_while_the_kernel_lets_it(live: bool) -> None:
    driver: Driver = joined_by_tc()
    driver.kernel.live_renames = live
    driver.config = replace(driver.config, naming=NAMING)
    driver.start()
    driver.settle(driver.now + 30)
    assert named(driver)[NIC] == ("lan0" if live else "ens3")
    assert named(driver)[VF] == f"{named(driver)[NIC]}vf"
    if not live:
        assert any("renames no master that is; it is to be called lan0" in text for text in driver.said)
        assert reason(driver, NIC).endswith("ens3 is not called lan0: the kernel refuses it")
    driver.sent.clear()
    driver.said.clear()
    driver.start()
    driver.settle(driver.now + 30)
    assert (driver.sent, driver.said) == ([], []), "a restart finds nothing to do"
    if not live:
        assert reason(driver, NIC).endswith("ens3 is not called lan0: the kernel refuses it")
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 100)
    assert (named(driver)[NIC], named(driver)[VF]) == ("ens3", "ens4")
    assert altnames(driver, NIC) | altnames(driver, VF) == {"enp1s0"}


@pytest.mark.parametrize("how", ["another kernel", "down"])
def test_a_rename_that_was_refused_is_asked_for_anew_where_it_can_be(how: str) -> None:
    driver: Driver = joined_by_tc()
    driver.config = replace(driver.config, naming=NAMING)
    driver.start()
    driver.settle(driver.now + 30)
    assert named(driver)[NIC] == "ens3"
    if how == "down":
        driver.kernel.set_up(NIC, False)
        driver.precious = driver.configured()
    else:
        driver.kernel.live_renames = True
    driver.start()
    driver.settle(driver.now + 30)
    assert named(driver)[NIC] == "lan0"


@pytest.mark.parametrize("begin", [drive_bond, drive_tc, adopt])
def test_nothing_is_asked_for_a_new_nic_before_udev_is_done_or_its_time_over(begin: Callable[[], Driver]) -> None:
    driver = begin()
    driver.udev_hangs = True
    driver.start()
    # The name of the paravirtual NIC becomes the master's; of one that the kernel has joined it does not.
    wait_for = driver.config.join.udev_wait * (1 if begin is adopt else 5)
    driver.settle(wait_for - 0.01)
    assert driver.sent == []
    driver.settle(wait_for)
    assert driver.sent
    driver.settle(20)
    assert driver.state.pairs[MAC].joined


def test_what_the_kernel_has_joined_gets_its_names_and_keeps_udevs() -> None:
    driver = adopted(name="ens3nsby")
    driver.kernel.live_renames = True
    driver.kernel.by_others(AddAltname(3, "enp1s0nsby"))
    driver.config = replace(driver.config, naming=Naming(master="lan0", primary="{master}vf", altnames=True))
    driver.start()
    driver.settle(driver.now + 10)
    assert named(driver) == {2: "ens3", 3: "ens3nsby", 4: "ens3vf"}
    assert altnames(driver, 3) == {"enp1s0nsby", "ens3-standby"}
    assert altnames(driver, 4) == {was(4, "ens4"), "ens3-primary"}
    driver.tell(LinkSeen(driver.kernel.links[3]))
    assert reason(driver, 3).endswith("as ens3")


# A paravirtual NIC that is plugged in anew


def replugged(driver: Driver, name: str) -> int:
    driver.kernel.unplug(NIC)
    driver.tell()
    nic = driver.kernel.plug(name, "virtio", up=True)
    driver.tell()
    wait(driver, 1)
    return nic


@pytest.mark.parametrize("live", [True, False])
def test_a_nic_that_is_plugged_in_anew_is_the_standby_again_by_its_name_too(live: bool) -> None:
    driver = joined(Naming(altnames=True), live)
    nic = replugged(driver, "eth0")
    assert driver.kernel.links[nic].name == "ens3nsby"
    assert driver.kernel.links[nic].master == driver.state.judgements.pairs[MAC].master
    assert altnames(driver, nic) == {"ens3-standby"}
    assert driver.state.pairs[MAC].state == "accelerated"
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 10)
    assert driver.kernel.links[nic].name == "ens3"


def test_where_the_master_has_a_name_of_its_own_the_new_nic_gets_its_own_back() -> None:
    driver = joined(NAMING)
    nic = replugged(driver, "ens3")
    assert driver.kernel.links[nic].name == "lan0nsby"
    assert altnames(driver, nic) == {was(nic, "ens3"), "lan0-standby"}
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 10)
    assert driver.kernel.links[nic].name == "ens3"
    assert altnames(driver, nic) == {"enp1s0"}


def test_a_standby_somebody_has_named_keeps_that_name_when_it_is_taken_back() -> None:
    driver = joined(Naming(), live=True)
    nic = replugged(driver, "eth0")
    rename_by_others(driver, (nic, "spare0"))
    driver.kernel.by_others(SetMaster(nic, 0))
    driver.tell()
    wait(driver, 5)
    assert driver.kernel.links[nic].name == "spare0"
    assert driver.kernel.links[nic].master


def test_a_standbys_name_that_is_taken_is_not_waited_for() -> None:
    driver = joined(Naming())
    driver.kernel.unplug(NIC)
    for number, name in enumerate(("ens3nsby", SPARE)):
        driver.kernel.plug(name, "usb", mac=f"52:54:00:fa:11:0{number}")
    driver.tell()
    nic = driver.kernel.plug("eth0", "virtio")
    driver.tell()
    wait(driver, 1)
    assert driver.kernel.links[nic].name == "eth0"
    assert driver.kernel.links[nic].master
