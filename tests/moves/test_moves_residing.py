"""Where a master is to be: what was said last holds, and what follows from where it is."""

from __future__ import annotations

import pytest

from failoverd.kinds import Bond
from failoverd.model.declared import NamespaceRef
from failoverd.model.places import HERE, Absent, Place
from failoverd.model.residence import PARK, Residence
from failoverd.moves.items import Item, Record, Toward
from failoverd.moves.residing import BY_KEY, BY_ORDER, Go, Order, Stay, Wish, decide, holds, residence_of, wish

MAC = "52:54:00:fa:11:01"
WEB, BLUE = NamespaceRef("name", "web"), NamespaceRef("name", "blue")
ABSENT = Absent("namespace-absent", "it is not there")
THERE = Place(3)


def record(
    toward: Toward = Toward.AWAY, is_over: bool = True, is_parked: bool = False, is_by_key: bool = False
) -> Record:
    item = Item("ens3", Bond(), MAC, 1500, True, ("wan",))
    return Record(MAC, WEB, toward, (item,), (), (item,), is_over, is_parked=is_parked, is_by_key=is_by_key)


def test_a_master_is_found_by_its_mac_first_and_then_by_its_names() -> None:
    by_name, by_mac = Residence(WEB), Residence(BLUE, PARK)
    assert record().names == ("ens3", "wan")
    assert residence_of({"wan": by_name}, MAC, record().names) == by_name
    assert residence_of({"wan": by_name, MAC: by_mac}, MAC, record().names) == by_mac
    assert residence_of({"ens4": by_name}, MAC, record().names) == Residence()


@pytest.mark.parametrize(
    ("order", "key", "where", "held"),
    [
        (Order(WEB, None), None, None, Order(WEB, None)),
        (Order(WEB, None), BLUE, None, None),
        (Order(None, WEB), WEB, record(), Order(None, WEB)),
        (None, WEB, None, None),
        (None, None, record(), Order(WEB, None)),
        (None, BLUE, record(), Order(WEB, BLUE)),
        (None, None, record(is_by_key=True), None),
        (None, None, record(Toward.HOME), None),
    ],
)
def test_an_order_holds_until_the_key_is_changed(
    order: Order | None, key: NamespaceRef | None, where: Record | None, held: Order | None
) -> None:
    assert holds(order, key, where) == held


def test_who_wants_it_where() -> None:
    assert wish(None, None) == Wish()
    assert wish(None, WEB) == Wish(WEB, BY_KEY)
    assert wish(Order(BLUE, WEB), WEB) == Wish(BLUE, BY_ORDER)
    assert wish(Order(None, WEB), WEB) == Wish(None, BY_ORDER)
    assert wish(Order(None, None), None) == Wish()


@pytest.mark.parametrize(
    ("wanted", "where", "place", "obstacle", "said"),
    [
        (None, None, HERE, "", Stay()),
        (WEB, None, ABSENT, "it is not joined", Stay("it is not there")),
        (WEB, None, HERE, "", Stay("that is the network namespace that failoverd runs in")),
        (WEB, None, THERE, "it is not joined", Stay("it is not joined")),
        (WEB, None, THERE, "", Go(WEB)),
        (WEB, record(), THERE, "", Stay()),
        (WEB, record(is_over=False), ABSENT, "", Stay()),
        (WEB, record(is_over=False, is_parked=True), ABSENT, "", Stay()),
        (None, record(), HERE, "", Go(None)),
        (None, record(is_over=False), HERE, "", Stay("another move is on its way")),
        (WEB, record(Toward.HOME, is_over=False), THERE, "", Stay("another move is on its way")),
        (None, record(is_over=False, is_parked=True), HERE, "", Go(None)),
        (BLUE, record(), ABSENT, "", Stay("it is not there")),
        (BLUE, record(), THERE, "", Go(None)),
        (BLUE, record(is_over=False, is_parked=True), ABSENT, "", Go(None)),
    ],
)
def test_what_follows(
    wanted: NamespaceRef | None, where: Record | None, place: Place | Absent, obstacle: str, said: Go | Stay
) -> None:
    assert decide(wanted, where, place, obstacle) == said


def test_the_word_of_a_namespace_is_what_failoverctl_takes() -> None:
    words = [WEB.word, NamespaceRef("name", "pid:4").word, NamespaceRef("pid", "47").word, NamespaceRef().word]
    assert words == ["web", "name:pid:4", "pid:47", ""]
    assert WEB.is_like(NamespaceRef("name", "web", create=True))
    assert not WEB.is_like(BLUE)
    assert not WEB.is_like(None)
