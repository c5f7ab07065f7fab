"""What devices are called, and how failoverd's own are known again."""

from __future__ import annotations

import pytest

from failoverd.model.links import Link
from failoverd.policy.naming import (
    is_passing_name,
    mark,
    our_mac,
    own_altnames,
    passing_name,
    why_not_a_name,
)

MAC = "52:54:00:aa:bb:cc"


def test_a_master_is_known_by_its_passing_name_or_its_mark() -> None:
    assert our_mac(Link(9, passing_name(MAC), kind="bond")) == MAC
    assert our_mac(Link(9, "ens3", kind="bond", altnames=frozenset({mark(MAC), "enp1s0"}))) == MAC
    assert our_mac(Link(9, "bond0", mac=MAC, kind="bond")) == ""
    assert our_mac(Link(9, passing_name(MAC), kind="dummy")) == ""


@pytest.mark.parametrize("name", ["fo525400aabbc", "fo525400aabbccd", "fo525400AABBCC", "xfo525400aabbcc"])
def test_what_only_looks_like_ours_is_not(name: str) -> None:
    assert our_mac(Link(9, name, kind="bond")) == ""
    assert not is_passing_name(name)


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
    assert why_not_a_name(name) == why
