"""Where frames go by tc, and what of tc a kernel without such hardware cannot be made to show."""

from __future__ import annotations

import errno
import struct

import pytest
from hands import MAC, PEER, V4, V6, Hands

from failoverd_lab.simkernel import Refused, linkmsg, wire
from failoverd_lab.simkernel import uapi as n

IN, OUT = n.TC_H_MIN_INGRESS, n.TC_H_MIN_EGRESS
REDIR = {IN: n.TCA_INGRESS_REDIR, OUT: n.TCA_EGRESS_REDIR}
MATCH_ALL, NO_KEYS = struct.pack("=BBBxHHhhI", 1, 0, 1, 0, 0, 0, 0, 0) + bytes(16), bytes(16)
ONE_HOST = struct.pack("=BBBxHHhhI", 1, 0, 1, 0, 0, 0, 0, 0) + b"\xff" * 4 + b"\x0a\0\0\1" + struct.pack("=ii", 16, 0)
IP = V4.partition("/")[0]


def u32(target: int, eaction: int, selector: bytes = MATCH_ALL) -> bytes:
    """TCA_OPTIONS of a u32 whose action is mirred."""
    parms = struct.pack("=IIiiiii", 0, 0, n.TC_ACT_STOLEN, 0, 0, eaction, target)
    options = wire.nest(n.TCA_ACT_OPTIONS, wire.attr(n.TCA_MIRRED_PARMS, parms))
    action = wire.nest(1, wire.string(n.TCA_ACT_KIND, "mirred"), options)
    return wire.attr(n.TCA_U32_SEL, selector) + wire.nest(n.TCA_U32_ACT, action)


class Pair(Hands):
    """A paravirtual NIC with addresses, a VF with none, and a clsact on both."""

    def __init__(self) -> None:
        super().__init__()
        self.virtio, self.vf = self.plug("ens3", "virtio"), self.plug("ens4")
        self.admin.configure(self.virtio, (V4, V6), PEER)
        self.admin.set_up(self.vf)
        for nic in (self.virtio, self.vf):
            self.admin.add_qdisc(nic, "clsact")

    def redirect(self, source: int, minor: int, target: int, selector: bytes = MATCH_ALL) -> None:
        self.admin.add_filter(source, minor, "u32", 1, options=u32(target, REDIR[minor], selector))

    def join(self) -> None:
        """The VF carries."""
        self.redirect(self.vf, IN, self.virtio)
        self.redirect(self.virtio, OUT, self.vf)

    @property
    def path(self) -> int | None:
        return self.kernel.path_to(IP)


@pytest.mark.parametrize("selector", [MATCH_ALL, NO_KEYS], ids=["one key that masks nothing", "no key"])
def test_both_redirects_make_the_vf_carry(selector: bytes) -> None:
    pair = Pair()
    assert pair.path == pair.virtio
    pair.redirect(pair.vf, IN, pair.virtio, selector)
    assert pair.path == pair.virtio
    pair.redirect(pair.virtio, OUT, pair.vf, selector)
    assert pair.path == pair.vf
    assert pair.kernel.path_from("198.51.100.1") == pair.vf
    assert pair.kernel.carries(pair.virtio) == pair.vf
    pair.admin.del_filter(pair.virtio, OUT, 1)
    assert pair.path == pair.virtio


def test_sent_by_the_vf_nothing_comes_back_without_its_ingress_redirect() -> None:
    pair = Pair()
    pair.redirect(pair.virtio, OUT, pair.vf)
    assert pair.path is None
    assert pair.kernel.path_from(PEER) == pair.vf
    pair.redirect(pair.vf, IN, pair.virtio)
    assert pair.path == pair.vf


def test_a_target_without_carrier_down_or_gone_is_a_black_hole() -> None:
    pair = Pair()
    pair.join()
    pair.kernel.set_medium(pair.vf, False)
    assert pair.path is None
    pair.kernel.set_medium(pair.vf, True)
    assert pair.path == pair.vf
    pair.admin.set_up(pair.vf, False)
    assert pair.path is None
    pair.admin.set_up(pair.vf)
    pair.kernel.unplug(pair.vf)
    assert pair.path is None
    pair.admin.del_filter(pair.virtio, OUT, 1)
    assert pair.path == pair.virtio


def test_a_paravirtual_nic_without_carrier_sends_by_the_vf_and_hears_nothing() -> None:
    pair = Pair()
    pair.join()
    pair.kernel.set_medium(pair.virtio, False)
    assert (pair.kernel.path_from(PEER), pair.path) == (pair.vf, None)
    pair.kernel.set_medium(pair.virtio, True)
    pair.admin.set_up(pair.virtio, False)
    assert (pair.kernel.carries(pair.virtio), pair.path) == (None, None)


def test_a_filter_that_does_not_take_everything_changes_no_path() -> None:
    pair = Pair()
    pair.redirect(pair.virtio, OUT, pair.vf, ONE_HOST)
    pair.admin.add_filter(pair.virtio, OUT, "bpf", 2)
    pair.admin.add_filter(pair.virtio, OUT, "u32", 3, options=u32(pair.vf, n.TCA_EGRESS_MIRROR))
    assert pair.path == pair.virtio


def test_redirects_in_a_circle_lose_the_frame() -> None:
    pair = Pair()
    pair.redirect(pair.virtio, OUT, pair.vf)
    pair.redirect(pair.vf, OUT, pair.virtio)
    assert pair.path is None


def test_the_end_of_a_clsact_ends_its_redirects() -> None:
    pair = Pair()
    pair.join()
    pair.admin.del_qdisc(pair.virtio)
    assert pair.path == pair.virtio
    assert list(pair.kernel.net.mirreds) == [1]


def test_a_bond_on_redirected_slaves_still_hears_through_it() -> None:
    hands = Hands()
    first = hands.plug("eth0")
    hands.bond(first)
    assert hands.kernel.path_to(IP) == first
    other = hands.plug("eth1")
    hands.admin.set_up(other)
    hands.admin.add_qdisc(first, "clsact")
    hands.admin.add_filter(first, IN, "u32", 1, options=u32(other, n.TCA_INGRESS_REDIR))
    assert hands.kernel.path_to(IP) is None


def test_an_announcement_leaves_by_the_nic_that_carries() -> None:
    pair = Pair()
    pair.kernel.announce(pair.virtio, "arp")
    pair.join()
    pair.kernel.announce(pair.virtio, "na")
    pair.kernel.set_medium(pair.vf, False)
    pair.kernel.announce(pair.virtio, "arp")
    assert pair.kernel.announcements == [(0.0, pair.virtio), (0.0, pair.vf)]


def test_a_kernel_without_bonding_says_so() -> None:
    hands = Hands(without=("bond",))
    with pytest.raises(Refused) as refused:
        hands.admin.create("bond", "bond7", MAC)
    assert (refused.value.code, refused.value.text) == (errno.EOPNOTSUPP, "Unknown device type")
    hands.admin.create("dummy", "dummy7", MAC)


def test_hardware_queues_by_default_and_virtual_devices_do_not() -> None:
    hands = Hands()
    hands.admin.create("dummy", "dummy7", MAC)
    kinds = {}
    for index in (hands.plug("eth0"), hands.index("dummy7")):
        hands.admin.set_up(index)
        kinds[index] = hands.kernel.net.devices[index].root.kind
    assert list(kinds.values()) == ["pfifo_fast", "noqueue"]


def test_a_foreign_root_qdisc_can_be_put_there_and_taken_away() -> None:
    hands = Hands()
    nic = hands.plug("eth0")
    hands.admin.add_qdisc(nic, "tbf", 0x10000)
    assert hands.kernel.net.devices[nic].root.handle == 0x10000
    hands.admin.del_qdisc(nic, n.TC_H_ROOT)
    assert hands.kernel.net.devices[nic].root.builtin


def test_a_foreign_ingress_qdisc_is_refused_where_there_is_a_clsact() -> None:
    pair = Pair()
    with pytest.raises(Refused) as refused:
        pair.admin.add_qdisc(pair.vf, "ingress", n.TC_H_CLSACT_HANDLE)
    assert refused.value.code == errno.EEXIST


def test_an_xdp_program_is_told() -> None:
    pair = Pair()
    seen = []
    for program, generic in ((42, True), (43, False), (-1, False)):
        pair.admin.set_xdp(pair.virtio, program, generic)
        seen.append(_xdp(linkmsg.body(pair.kernel.net.devices[pair.virtio])))
    skb, drv = n.XDP_ATTACHED_SKB, n.XDP_ATTACHED_DRV
    assert seen == [{2: skb, 6: 42, 4: 42}, {2: drv, 5: 43, 4: 43}, {2: n.XDP_ATTACHED_NONE}]


def _xdp(body: bytes) -> dict[int, int]:
    attrs = wire.table(body[linkmsg.IFINFO.size :])
    return {kind: wire.number(value) for kind, value in wire.table(attrs[n.IFLA_XDP]).items()}
