"""Where a master is to be, by the configuration's key or by an order, and what follows from where it is.

The rule: what was said last holds. An order holds until the key of the configuration is changed; from then on the key
does. So an order outlasts a reload that changes something else, and a restart.
"""

from __future__ import annotations

from collections.abc import Iterable

from failoverd.dataclass import dataclass
from failoverd.model.declared import NamespaceRef
from failoverd.model.places import Absent, Place
from failoverd.model.residence import Residence, Residences
from failoverd.moves.items import Record, Toward

BY_KEY, BY_ORDER = "configuration", "order"


@dataclass(frozen=True, slots=True)
class Order:
    """An order to move a master, which outlasts its move."""

    to: NamespaceRef | None
    """None for home."""
    key: NamespaceRef | None
    """What the configuration said then."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Where a master is to be."""

    to: NamespaceRef | None = None
    """None for home."""
    by: str = ""
    """BY_KEY or BY_ORDER; "" where nothing was said."""


@dataclass(frozen=True, slots=True)
class Go:
    """Move it now; None: home."""

    to: NamespaceRef | None


@dataclass(frozen=True, slots=True)
class Stay:
    """Leave it where it is. `pending` says in words why it is not where it is to be, "" where it is there."""

    pending: str = ""


def residence_of(residences: Residences, mac: str, names: Iterable[str]) -> Residence:
    """Return what the configuration says of a master, by its MAC or one of its names."""
    return next((residences[word] for word in (mac, *names) if word in residences), Residence())


def holds(order: Order | None, key: NamespaceRef | None, record: Record | None) -> Order | None:
    """Return the order that holds now. A master that is elsewhere, and by no key, is so by an order that was lost."""
    if order is not None:
        return order if order.key == key else None
    if record is None or record.is_by_key or record.toward is Toward.HOME:
        return None
    return Order(record.ref, key)


def wish(order: Order | None, key: NamespaceRef | None) -> Wish:
    """Return where a master is to be; the order is one that holds."""
    if order is not None:
        return Wish(order.to, BY_ORDER if order.to is not None or key is not None else "")
    return Wish(key, BY_KEY) if key is not None else Wish()


def decide(wanted: NamespaceRef | None, record: Record | None, place: Place | Absent, obstacle: str) -> Go | Stay:
    """Return what to do. `place` is what `wanted` leads to now, `obstacle` why a move cannot begin at home."""
    if record is None:
        return _from_home(wanted, place, obstacle)
    if record.toward is Toward.AWAY and record.ref.is_like(wanted):
        return Stay()
    if not (record.is_over or record.is_parked):
        return Stay("another move is on its way")
    if wanted is not None and not record.is_parked and isinstance(place, Absent):
        return Stay(place.detail)
    # From one namespace into another it goes by way of home.
    return Go(None)


def _from_home(wanted: NamespaceRef | None, place: Place | Absent, obstacle: str) -> Go | Stay:
    if wanted is None:
        return Stay()
    if isinstance(place, Absent):
        return Stay(place.detail)
    if place.is_own:
        return Stay("that is the network namespace that failoverd runs in")
    return Stay(obstacle) if obstacle else Go(wanted)
