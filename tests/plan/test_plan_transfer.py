"""What is carried over from one device to another, what is left to the kernel, and what counts as the same."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from hypothesis import given
from test_plan_inet_sets import LOCAL, RA, inets
from toykernel import IFA_LABEL, KERNEL, address, route

from failoverd.model.inet import FOREVER, Address, Hop, Route
from failoverd.model.pairs import Inet
from failoverd.model.requests import AddAddress, AddRoute, DropAddress
from failoverd.plan import gateways, inet_sets, transfer


def metric_of(found: Route) -> int:
    return int(struct.unpack("=I", dict(found.attrs)[transfer.RTA_PRIORITY])[0])


def test_everything_points_at_the_other_device() -> None:
    hops = (Hop(2, 0, 0), Hop(5, 0, 0))
    inet = Inet((address("10.0.0.2/24", 2),), (replace(route("10.1.0.0/16", 2), hops=hops),))
    moved = transfer.to_device(inet, 9)
    assert moved.addresses[0].ifindex == 9
    assert moved.routes[0].ifindex == 9
    assert [hop.ifindex for hop in moved.routes[0].hops] == [9, 5]


def test_ipv6_addresses_skip_the_detection_of_duplicates_unless_one_was_found() -> None:
    failed = replace(address("2001:db8::3/64", 2), flags=transfer.IFA_F_DADFAILED)
    moved = transfer.to_device(Inet((address("10.0.0.2/24", 2), address("2001:db8::2/64", 2), failed)), 9)
    assert [a.flags for a in moved.addresses] == [0, transfer.IFA_F_NODAD, transfer.IFA_F_DADFAILED]


@pytest.mark.parametrize(
    ("there", "elsewhere", "is_added"),
    [
        (transfer.IFA_F_DADFAILED | transfer.IFA_F_TENTATIVE, 0, True),
        (transfer.IFA_F_TENTATIVE, 0, True),
        (transfer.IFA_F_TENTATIVE, transfer.IFA_F_TENTATIVE, True),
        (transfer.IFA_F_DADFAILED | transfer.IFA_F_TENTATIVE, transfer.IFA_F_DADFAILED, True),
        (transfer.IFA_F_TENTATIVE, transfer.IFA_F_DADFAILED, False),
        (0, 0, False),
        (0, transfer.IFA_F_DADFAILED, False),
    ],
)
def test_an_address_that_the_machines_own_other_nic_keeps_off_is_added_anew(
    there: int, elsewhere: int, is_added: bool
) -> None:
    """Both NICs had it at once, so each has answered for it."""
    own, other = address("2001:db8::2/64", 2, flags=there), address("2001:db8::2/64", 3, flags=elsewhere)
    wanted = transfer.to_device(Inet((address("10.0.0.2/24", 3), other)), 2)
    failed = address("2001:db8::7/64", 2, flags=transfer.IFA_F_DADFAILED)
    failed_without = Inet((failed, address("10.0.0.2/24", 2), own))
    requests = transfer.add_again(wanted, failed_without)
    sure = 0 if elsewhere & transfer.IFA_F_DADFAILED else transfer.IFA_F_NODAD
    assert requests == ([DropAddress(own), AddAddress(replace(own, flags=sure))] if is_added else [])


def test_what_the_kernel_makes_by_itself_is_left_to_it() -> None:
    prefix = route("10.0.0.0/24", 2, protocol=KERNEL)
    assert transfer.to_device(Inet((address("10.0.0.2/24", 2),), (prefix,)), 9).routes == ()


def test_prefix_routes_somebody_signed_as_the_kernels_are_carried_over() -> None:
    prefix = route("10.0.0.0/24", 2, protocol=KERNEL, metric=100)
    local = route("10.0.0.2/32", 2, protocol=KERNEL, table=transfer.RT_TABLE_LOCAL)
    six = route("2001:db8::/64", 2, protocol=KERNEL)
    odd = replace(prefix, type=5)
    by_hand = address("10.0.0.2/24", 2, flags=transfer.IFA_F_NOPREFIXROUTE)
    moved = transfer.to_device(Inet((by_hand,), (prefix, local, six, odd)), 9)
    assert moved.routes == (replace(prefix, ifindex=9),)


def test_gateways_come_last_and_narrow_routes_first() -> None:
    default, wide = route("0.0.0.0/0", 2, "10.0.0.1"), route("10.0.0.0/8", 2)
    narrow = route("10.0.0.0/24", 2)
    several = replace(route("10.9.0.0/16", 2), hops=(Hop(2, 0, 0),))
    via = replace(route("10.8.0.0/24", 2), attrs=((gateways.RTA_VIA, b""),))
    moved = transfer.to_device(Inet((), (default, several, via, wide, narrow)), 2)
    assert moved.routes == (narrow, wide, via, several, default)


def test_advertised_routes_stand_one_step_behind() -> None:
    """Those the kernel adds again by itself must not meet ours; twice the same is one."""
    first = route("::/0", 2, "fe80::9", protocol=RA, metric=1024)
    again = route("::/0", 2, "fe80::9", protocol=RA, metric=1025)
    last = route("2001:db8::/64", 2, protocol=RA, metric=0xFFFFFFFF)
    bare = route("2001:db8:1::/64", 2, protocol=RA)
    moved = transfer.to_device(Inet((), (again, first, last, bare)), 9).routes
    assert sorted(map(metric_of, moved)) == [1, 1025, 0xFFFFFFFF]


def test_what_is_advertised_needs_no_nexthop_object() -> None:
    plain = route("::/0", 2, "fe80::9", protocol=RA, metric=1024)
    given = Inet((), (replace(plain, attrs=(*plain.attrs, (inet_sets.RTA_NH_ID, b"\1\0\0\0"))),))
    assert inet_sets.unmovable_reason(given) == ""
    assert transfer.to_device(given, 9) == transfer.to_device(Inet((), (plain,)), 9)


def test_what_is_missing() -> None:
    wanted = Inet((address("10.0.0.2/24", 9), replace(LOCAL, ifindex=9)), (route("10.1.0.0/16", 9),))
    nothing = Inet()
    assert transfer.add_links_local(wanted, nothing) == [AddAddress(wanted.addresses[1])]
    both = [AddAddress(wanted.addresses[0]), AddRoute(wanted.routes[0])]
    assert transfer.add_others(wanted, nothing, up=True) == both
    assert transfer.add_others(wanted, nothing, up=False) == both[:1]
    assert transfer.add_others(wanted, wanted, up=True) == []


def test_dropping_needs_neither_label_nor_lifetime() -> None:
    """The label follows the device's name, and a lifetime is another at each look."""
    found = replace(address("10.0.0.2/24", 2, label="ens3"), valid=3600, preferred=1800)
    [dropped] = transfer.drop_all(Inet((found, LOCAL)))
    assert isinstance(dropped, DropAddress)
    assert dropped.address.valid == dropped.address.preferred == FOREVER
    assert IFA_LABEL not in dict(dropped.address.attrs)


@given(inets)
def test_what_was_moved_is_missing_nowhere(inet: Inet) -> None:
    moved = transfer.to_device(inet, 9)
    assert {a.local for a in moved.addresses} == {a.local for a in inet.addresses}
    assert transfer.add_others(moved, moved, up=True) == transfer.add_links_local(moved, moved) == []


def test_every_address_counts() -> None:
    found: tuple[Address, ...] = (address("10.0.0.2/24", 2), address("10.0.0.3/24", 2))
    assert transfer.to_device(Inet(found), 2).addresses == found
