"""How often changes, and time alone, make the engine look."""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise

import pytest
from linksworld import Driver, ToyNamespaces, named

from failoverd.links.events import PlaceChanged, TimePassed
from failoverd.links.pace import FIRST, MOST, MOST_OF_ALL, PAUSE, Pace
from failoverd.links.picture import Interest, Picture
from failoverd.links.step import RESYNC
from failoverd.model.declared import End
from failoverd.model.places import HERE, Place

RED, BLUE = named("red"), named("blue")
HOST, POD = End("host", "veth", "web0", peer="pod"), End("pod", "veth", "eth1", namespace=RED, peer="host")
OTHER, SIDE = End("other", "veth", "web1", peer="side"), End("side", "veth", "eth1", namespace=BLUE, peer="other")


class Counted(ToyNamespaces):
    """Counts the looks at each namespace."""

    def __init__(self) -> None:
        super().__init__()
        self.looks: list[Place] = []

    def look(self, place: Place, interest: Interest) -> Picture | None:
        self.looks.append(place)
        return super().look(place, interest)


def ready(*ends: End) -> tuple[Driver, Counted]:
    world = Counted()
    for ref in {end.namespace for end in ends if end.namespace.by == "name"}:
        world.appear(ref)
    driver = Driver(world, pause=0.0)
    driver.declare(*ends)
    assert set(driver.states().values()) == {"ready"}
    world.looks.clear()
    return driver, world


def flap(driver: Driver, place: Place | None, seconds: float, step: float = 0.01) -> None:
    """Something changes there all the time."""
    end = driver.now + seconds
    while driver.now < end:
        driver.now += step
        driver.tell(TimePassed())
        driver.tell(PlaceChanged(place))


@pytest.mark.parametrize(("place", "gap", "places"), [(HERE, MOST, 1), (None, MOST_OF_ALL, 2)])
def test_who_changes_a_namespace_without_a_pause_is_looked_at_ever_more_seldom(
    place: Place | None, gap: float, places: int
) -> None:
    driver, world = ready(HOST, POD)
    flap(driver, place, 2.0)
    assert 4 <= len(world.looks) / places <= 8
    flap(driver, place, 5.0)
    world.looks.clear()
    flap(driver, place, 20.0)
    assert 20 / gap - 1 <= len(world.looks) / places <= 20 / gap + 1


def test_the_others_do_not_wait_for_that() -> None:
    driver, world = ready(HOST, POD, OTHER, SIDE)
    red, blue = (world.place(ref) for ref in (RED, BLUE))
    assert isinstance(red, Place)
    assert isinstance(blue, Place)
    flap(driver, red, 5.0)
    world.looks.clear()
    world.machines[blue].forget(next(iter(world.machines[blue].links)))
    driver.tell(PlaceChanged(blue))
    assert world.looks[0] == blue
    assert driver.states()["side"] == "ready"
    assert driver.sent.count("CreateLink") == 3


def test_a_change_that_is_not_looked_at_now_is_looked_at_in_a_while_and_a_pause_ends_it() -> None:
    driver, world = ready(HOST, POD)
    driver.tell(PlaceChanged(HERE))
    driver.tell(PlaceChanged(HERE))
    assert world.looks == [HERE]
    assert driver.wake_at == pytest.approx(driver.now + FIRST)
    driver.wait()
    assert world.looks == [HERE, HERE]
    driver.now += PAUSE + MOST
    driver.tell(PlaceChanged(HERE))
    assert len(world.looks) == 3


def test_what_no_reference_leads_to_any_more_is_forgotten() -> None:
    pace = Pace()
    assert [pace.changed(place, 0.0) for place in (HERE, HERE, Place(1), Place(1), None)] == [
        True,
        False,
        True,
        False,
        True,
    ]
    pace.forget({HERE})
    assert set(pace.looks) == {HERE, None}
    assert set(pace.later) == {HERE}


def test_everything_is_looked_at_every_ten_minutes_and_nothing_is_sent() -> None:
    driver, world = ready(HOST, POD)
    driver.sent.clear()
    moments: list[float] = []
    for _ in range(5):
        driver.wait()
        moments.append(driver.now)
        assert set(world.looks) == driver.state.relevant()
        world.looks.clear()
    gaps = [later - sooner for sooner, later in pairwise(moments)]
    assert all(0.8 * RESYNC <= gap <= 1.2 * RESYNC for gap in gaps)
    assert len(set(gaps)) > 1
    assert driver.sent == []


class Judged(Driver):
    """Notes which ends are judged."""

    def judged(self, ends: Collection[End]) -> set[str]:
        """The ends that were judged since, of these."""
        return {end.name for end in ends if self.state.findings[end.name] is not self.before.get(end.name)}

    def remember(self) -> None:
        self.before = dict(self.state.findings)


def test_only_what_a_change_concerns_is_judged_anew() -> None:
    world = ToyNamespaces()
    world.appear(RED)
    blue = world.appear(BLUE)
    driver = Judged(world)
    ends = (HOST, POD, OTHER, SIDE)
    driver.declare(*ends)
    driver.remember()
    driver.tell(PlaceChanged(None))
    assert driver.judged(ends) == set()
    (link,) = blue.links.values()
    blue.forget(link.ifindex)
    driver.tell(PlaceChanged(blue.place))
    assert driver.judged(ends) >= {"side", "other"}
    assert driver.states()["side"] == "ready"
