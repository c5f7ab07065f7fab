"""Which names the configuration wants, and when it wants nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failoverd.config.spec import Naming
from failoverd.model.links import IFNAMSIZ, Link
from failoverd.policy.naming import formers, invalid_name_reason, spare_name, was
from failoverd.policy.wanted import (
    master_name,
    name_conflict,
    nic_name,
    ours,
    own_name,
    policy_name,
    primary_name,
    stale_altnames,
    standby_name,
    standby_wish,
    wanted_altnames,
)

MAC = "52:54:00:aa:bb:cc"
SPARE = spare_name(MAC)
POLICY = Naming(primary="{master}vf", altnames=True)


def link(ifindex: int, name: str, *altnames: str) -> Link:
    return Link(ifindex, name, altnames=frozenset(altnames))


def links(*every: Link) -> dict[int, Link]:
    return {one.ifindex: one for one in every}


def test_a_device_knows_what_it_was_called() -> None:
    assert formers(link(2, "lan0", was(2, "ens3"), "enp1s0", "failoverd-vf-2")) == ("ens3",)
    assert formers(link(2, "lan0", "failoverd-was-ens3")) == ("ens3",), "of no ifindex"


def test_a_name_is_taken_by_names_and_alternative_names() -> None:
    there = links(link(2, "ens3", "enp1s0"), link(3, "ens4"))
    assert name_conflict("enp1s0", there, 3) == "it is a name of ens3"
    assert name_conflict("enp1s0", there, 3, 2) == ""
    assert name_conflict("ens 5", there, 3) == "it contains ' '"


@pytest.mark.parametrize(
    ("nic", "udev", "name"),
    [
        (link(2, "ens3"), "", "ens3"),
        (link(2, "eth0"), "ens3", "ens3"),
        (link(2, "eth0"), "taken0", "eth0"),
        (link(2, "lan0nsby", was(2, "ens3")), "", "ens3"),
        (link(2, "lan0nsby", was(2, "taken0")), "", "lan0"),
        (link(2, "ens3nsby"), "", "ens3"),
        (link(2, "taken0nsby"), "", "taken0nsby"),
        (link(2, "nsby"), "", "nsby"),
        (link(2, SPARE, "a-long-name-12nsby", "odd"), "", "a-long-name-12"),
        (link(2, SPARE), "", SPARE),
    ],
)
def test_what_a_nic_is_called_on_its_own(nic: Link, udev: str, name: str) -> None:
    assert nic_name(nic, 9, MAC, Naming(), udev, links(nic, link(5, "taken0"))) == name


def test_the_masters_name() -> None:
    assert master_name("ens3", MAC, Naming()) == "ens3"
    assert master_name("ens3", MAC, Naming(master="m{nic}")) == "mens3"
    assert master_name("ens3", MAC, Naming(master="m-{mac}")) == "m-525400aabbcc"


@pytest.mark.parametrize(
    ("vf", "udev", "naming", "name"),
    [
        (link(3, "ens4"), "", Naming(), "ens4"),
        (link(3, "eth1"), "ens4", Naming(), "ens4"),
        (link(3, "eth1"), "taken0", Naming(), "eth1"),
        (link(3, "ens4"), "", POLICY, "ens3vf"),
        (link(3, "ens4", was(3, "ens4")), "", POLICY, "ens3vf"),
        (link(3, "lan0vf", was(3, "ens4")), "", POLICY, "ens3vf"),
        (link(3, "fast0", was(3, "ens4")), "", POLICY, "fast0"),
        (link(3, "ens4"), "", Naming(primary="taken0"), "ens4"),
        (link(3, "eth1"), "ens4", Naming(primary="taken0"), "ens4"),
        (link(3, "ens4"), "", Naming(primary="{master}-a-longer-vf"), "ens4"),
    ],
)
def test_the_vfs_name(vf: Link, udev: str, naming: Naming, name: str) -> None:
    assert primary_name(vf, "ens3", MAC, naming, udev, links(vf, link(5, "taken0"))) == name


def test_without_a_policy_a_vf_is_called_as_it_is() -> None:
    vf = link(3, "ens4")
    assert policy_name(vf, "ens3", MAC, Naming()) == "ens4"
    assert own_name(vf, "", links(vf)) == "ens4"


@pytest.mark.parametrize(
    ("name", "master", "wish"),
    [
        ("ens3nsby", "lan0", "lan0nsby"),
        ("slow0", "lan0", "slow0"),
        (SPARE, "lan0", "lan0nsby"),
        ("ens3nsby", "a-long-name-12", SPARE),
        (SPARE, "a-long-name-12", SPARE),
        ("ens3nsby", "taken0", SPARE),
    ],
)
def test_the_standby_follows_its_master_where_its_name_is_the_policys(name: str, master: str, wish: str) -> None:
    nic = link(2, name)
    assert standby_wish(nic, master, MAC, Naming(), links(nic, link(5, "taken0nsby"))) == wish


def test_a_standby_keeps_its_name_where_none_is_to_be_had() -> None:
    nic = link(2, "ens3nsby")
    there = links(nic, link(5, "taken0nsby"), link(6, SPARE))
    assert standby_wish(nic, "taken0", MAC, Naming(), there) == "ens3nsby"


@given(st.text(max_size=20), st.text(max_size=10))
def test_a_standbys_name_is_always_one_the_kernel_takes(master: str, suffix: str) -> None:
    name = standby_name(2, master, MAC, Naming(standby_suffix=suffix), {})
    assert invalid_name_reason(name) == ""
    assert len(name.encode()) <= IFNAMSIZ


def test_the_standby_is_found_by_its_usual_name() -> None:
    assert wanted_altnames(link(2, SPARE), "standby", "a-long-name-12", MAC, Naming()) == {"a-long-name-12nsby"}
    assert wanted_altnames(link(2, "ens3nsby"), "standby", "ens3", MAC, Naming()) == frozenset()
    assert wanted_altnames(link(2, "slow0"), "standby", "ens3", MAC, POLICY) == {"ens3-standby"}
    assert wanted_altnames(link(3, "ens4"), "primary", "ens3", MAC, POLICY) == {"ens3-primary"}


def test_alternative_names_of_another_master_go() -> None:
    slave = link(2, "lan0nsby", "ens3-standby", "lan0-standby", "ens3nsby", "enp1s0")
    assert stale_altnames(slave, "standby", "lan0", MAC, POLICY) == {"ens3-standby", "ens3nsby"}
    assert stale_altnames(slave, "standby", "lan0", MAC, Naming()) == {"ens3nsby"}
    assert stale_altnames(link(2, "slow0", "ens3nsby"), "standby", "lan0", MAC, Naming()) == frozenset()
    assert stale_altnames(link(3, "ens4", "ens3-primary"), "primary", "lan0", MAC, POLICY) == {"ens3-primary"}


def test_a_mark_is_never_a_stale_name() -> None:
    """Long as it is, it ends as the pattern does; it was taken off and put on again without end."""
    naming = Naming(primary="{master}vf", altnames=True)
    marked = link(3, "ens3vf", "failoverd-was-3-ens3vf", "failoverd-was-3-ens3-primary")
    assert stale_altnames(marked, "primary", "ens5", MAC, naming) == frozenset()


def test_what_a_slave_bore_for_its_master() -> None:
    assert ours(link(2, "x", "ens3-standby", "ens3nsby", "enp1s0"), "standby", "ens3", Naming()) == {
        "ens3-standby",
        "ens3nsby",
    }
    assert ours(link(3, "x", "ens3-primary", "ens3nsby"), "primary", "ens3", Naming()) == {"ens3-primary"}
