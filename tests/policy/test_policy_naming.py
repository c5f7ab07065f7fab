"""What devices are called, and how failoverd's own are known again."""

from __future__ import annotations

import pytest

from failoverd.kinds import Bond
from failoverd.kinds.bond import SIGNATURE
from failoverd.model.links import Link
from failoverd.model.text import is_passing_name
from failoverd.policy.naming import (
    invalid_name_reason,
    mark,
    marked_mac,
    new_mark,
    own_altnames,
    part_mark,
    passing_name,
    unmarked_mac,
)

MAC = "52:54:00:aa:bb:cc"


def test_a_master_is_known_by_its_mark() -> None:
    marked = frozenset({new_mark(MAC), mark(MAC), part_mark(MAC, "br0"), "enp1s0"})
    assert marked_mac(Link(9, "ens3", kind="bond", altnames=marked)) == MAC
    assert marked_mac(Link(9, "ens3", kind="dummy", altnames=marked)) == ""
    assert marked_mac(Link(9, "bond0", mac=MAC, kind="bond")) == ""


def test_a_name_proves_nothing() -> None:
    """Any process can give its bond the name another master had while it was made, as another alternative name, too."""
    other = "52:54:00:aa:bb:dd"
    assert marked_mac(Link(9, passing_name(MAC), MAC, kind="bond", info=Bond(mode=1))) == ""
    assert unmarked_mac(Link(9, passing_name(MAC), MAC, kind="bond", info=Bond(mode=1))) == ""
    names = frozenset({mark(MAC), passing_name(other)})
    renamed = Link(9, passing_name(other), MAC, kind="bond", altnames=names, info=Bond(mode=1, lp_interval=SIGNATURE))
    assert marked_mac(renamed) == MAC
    assert unmarked_mac(renamed) == ""


def test_a_master_that_was_made_a_moment_ago_is_known_by_an_option_and_its_mac() -> None:
    made = Link(9, "bond7", MAC, kind="bond", info=Bond(mode=1, lp_interval=SIGNATURE))
    assert marked_mac(made) == ""
    assert unmarked_mac(made) == MAC
    assert unmarked_mac(Link(3, "ens4", MAC)) == ""


@pytest.mark.parametrize("name", ["fo525400aabbc", "fo525400aabbccd", "fo525400AABBCC", "xfo525400aabbcc"])
def test_what_only_looks_like_a_passing_name_is_not(name: str) -> None:
    assert not is_passing_name(name)


@pytest.mark.parametrize("name", ["failoverd-525400aabbc", "failoverd-525400AABBCC", "failoverd-new-525400aabbcc"])
def test_what_only_looks_like_a_mark_is_not(name: str) -> None:
    assert marked_mac(Link(9, "ens3", kind="bond", altnames=frozenset({name}))) == ""


def test_the_passing_name() -> None:
    assert is_passing_name(passing_name(MAC))
    assert not is_passing_name(mark(MAC))
    assert not is_passing_name("foo")


def test_the_mark_is_nobody_elses_business() -> None:
    assert own_altnames(Link(9, "ens3", altnames=frozenset({"b", mark(MAC), "a"}))) == ("a", "b")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "it is not a name"),
        (".", "it is not a name"),
        ("..", "it is not a name"),
        ("a" * 16, "it has 16 bytes and the kernel takes 15"),
        ("ä" * 8, "it has 16 bytes and the kernel takes 15"),
        ("a/b", "it contains '/'"),
        ("a:b", "it contains ':'"),
        ("eth%d", "it contains '%'"),
        ("a b", "it contains ' '"),
        ("d\u00e0", "it contains 'à'"),
        ("d\udca0", "it contains '\\udca0'"),
        ("d\u00e5", ""),
        ("ens3", ""),
        ("a" * 15, ""),
    ],
)
def test_names_the_kernel_refuses(name: str, why: str) -> None:
    assert invalid_name_reason(name) == why
