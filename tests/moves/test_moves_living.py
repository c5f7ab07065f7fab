"""Who carries in another network namespace: the same election as at home, and what a drain asks of the bond."""

from __future__ import annotations

from dataclasses import replace

import pytest

from failoverd.config.spec import Failback
from failoverd.kinds import Bond, Dummy
from failoverd.kinds.bond import HEARING
from failoverd.model.links import Link
from failoverd.model.linktable import LinkTable
from failoverd.model.orders import Drain
from failoverd.model.requests import HearAll
from failoverd.moves.items import Seen
from failoverd.moves.living import ANNOUNCED, Chosen, Living, Orders

MAC = "52:54:00:fa:11:01"
BOND = Bond(active=4, miimon=100)
MASTER = Link(10, "ens3", MAC, kind="bond", info=BOND, up=True, carrier=True)
NIC = Link(3, "ens3nsby", MAC, MAC, master=10, bus="virtio", up=True, carrier=True, mii_up=True)
VF = Link(4, "ens4", MAC, MAC, master=10, bus="pci", up=True, carrier=True, mii_up=True)
NONE = Orders()
DRAINED = Orders(Drain(4, 50.0))


class There:
    """A look after the other."""

    def __init__(self, **failback: object) -> None:
        rule = Failback(**{"hold_down": 2.0, **failback})  # type: ignore[arg-type]
        self.living = Living(lambda link: link.bus == "pci", lambda: rule)

    def look(self, *links: Link, now: float = 0.0, orders: Orders = NONE, active: int = 4, **bond: object) -> Chosen:
        master = replace(MASTER, info=replace(BOND, active=active, **bond))  # type: ignore[arg-type]
        table = LinkTable((master, *links))
        return self.living.look(MAC, master, Seen(table, {}), orders, now)


def test_a_vf_that_carries_goes_on() -> None:
    there = There()
    chosen = there.look(NIC, VF)
    assert (chosen.slave, chosen.at, chosen.over, chosen.hear) == (0, ANNOUNCED + 0.1, "", ())
    assert (chosen.there.text, chosen.there.is_told) == ("ens4 carries there; the VF carries", False)
    chosen = there.look(NIC, VF, now=1.0)
    assert (chosen.at, chosen.there.is_told, chosen.there.words()) == (None, True, {"ens3", "ens3nsby", "ens4"})
    assert (chosen.there.name(3), chosen.there.name(9)) == ("ens3nsby", "")


def test_the_standby_carries_where_the_vf_cannot_and_the_vf_when_it_has_been_steady() -> None:
    there, down = There(), replace(VF, carrier=False, carrier_losses=1)
    assert there.look(NIC, down).slave == 3
    up = replace(VF, carrier_losses=1)
    assert there.look(NIC, up, now=10.0, active=3).at == pytest.approx(10.3)
    # It has lost its carrier meanwhile.
    again = replace(VF, carrier_losses=2)
    assert there.look(NIC, again, now=11.0, active=3).at == 13.0
    assert there.look(NIC, again, now=12.0, active=3).slave == 0
    assert there.look(NIC, again, now=13.0, active=3).slave == 4


def test_nothing_carries_where_nothing_can() -> None:
    chosen = There().look(replace(NIC, up=False), active=0)
    assert (chosen.slave, chosen.there.bad_standby) == (0, "it is down")
    assert chosen.there.text.startswith("nothing carries there; no slave can carry")
    assert chosen.there.text.endswith("the standby cannot carry: it is down")


def test_an_mtu_unlike_the_masters_is_borne_for_a_moment() -> None:
    there, small = There(), replace(VF, mtu=1400)
    assert there.look(NIC, small).slave == 0
    assert there.look(NIC, small, now=1.0).slave == 3
    assert "its MTU is 1400" in there.look(NIC, small, now=1.0).there.unfit


def test_a_drain_has_the_standby_carry_and_both_heard_until_it_is_over() -> None:
    there = There()
    chosen = there.look(NIC, VF, orders=DRAINED)
    assert (chosen.slave, chosen.over, chosen.hear) == (3, "", (HearAll(10, True),))
    hearing = {"hears_both": True, "lp_interval": HEARING}
    chosen = there.look(NIC, VF, orders=DRAINED, active=3, now=1.0, **hearing)
    assert (chosen.slave, chosen.hear) == (0, ())
    assert there.look(NIC, VF, orders=DRAINED, active=3, now=2.0, **hearing).at == 50.0
    assert there.look(NIC, VF, orders=DRAINED, active=3, now=50.0, **hearing).over == "its time is over"
    other = replace(VF, ifindex=7)
    chosen = there.look(NIC, other, orders=DRAINED, active=3, now=3.0, **hearing)
    assert (chosen.over, chosen.hear) == ("another VF was plugged in", (HearAll(10, False),))
    assert there.look(NIC, orders=Orders(Drain(4, None)), active=3, now=99.0, **hearing).over == ""
    # What another program has set stays.
    assert there.look(NIC, VF, active=3, now=99.0, hears_both=True).hear == ()


def test_a_drained_vf_carries_where_the_standby_cannot() -> None:
    assert There().look(replace(NIC, carrier=False), VF, orders=DRAINED, active=3).slave == 4


def test_a_bond_in_a_bridge_hears_one_slave() -> None:
    living, bridge = Living(lambda link: link.bus == "pci", Failback), Link(20, "br0", kind="bridge")
    master = replace(MASTER, master=20)
    seen = Seen(LinkTable((master, NIC, VF, bridge)), {})
    assert living.look(MAC, master, seen, DRAINED, 0.0).hear == ()
    dummy = replace(MASTER, kind="dummy", info=Dummy())
    assert living.look(MAC, dummy, Seen(LinkTable((dummy, NIC, VF)), {}), DRAINED, 0.0).hear == ()


def test_a_vf_that_is_told_to_carry_is_not_held_down() -> None:
    there = There(automatic=False)
    assert there.look(NIC, VF, active=3).slave == 0
    assert there.look(NIC, VF, active=3, now=100.0).slave == 0
    assert there.look(NIC, VF, active=3, now=100.0, orders=Orders(None, 4)).slave == 4


def test_of_two_vfs_the_one_in_the_master_counts() -> None:
    new = replace(VF, ifindex=2, name="ens9", master=0)
    chosen = There().look(NIC, VF, new)
    assert chosen.there.vf == VF
