"""How often changes make the engine look at a namespace.

Whoever is root in a container may change its devices without a pause, and each look costs the machine CPU time. So the
first change is looked at at once, and the looks that follow it keep a distance that doubles until there is a pause.
What failoverd does by itself (a request that was sent, a new declaration, a resync) is looked at without that.
"""

from __future__ import annotations

from dataclasses import field

from failoverd.dataclass import dataclass
from failoverd.model.places import Place

FIRST, MOST = 0.05, 0.5
"""Seconds between two looks at one namespace that changes cause: at first, and at most."""
MOST_OF_ALL = 5.0
"""Seconds, at most, between two looks at all namespaces, where the kernel had to drop events."""
PAUSE = 1.0
"""Seconds without a look after which the distance is the first one again."""


@dataclass(slots=True)
class Pace:
    """The looks that changes have caused. `None` stands for all namespaces in each."""

    looks: dict[Place | None, tuple[float, float]] = field(default_factory=dict)
    """When each was last looked at, and the distance to the next look (seconds)."""
    later: dict[Place | None, float] = field(default_factory=dict)
    """Those that have changed too soon after that, and when they may be looked at."""

    def changed(self, place: Place | None, now: float) -> bool:
        """Note a change. Returns whether it is to be looked at now; else it will be in `due` in a while."""
        if place in self.later:
            return False
        at, gap = self.looks.get(place, (now, 0.0))
        if now >= at + gap + PAUSE:
            gap = 0.0
        if now < at + gap:
            self.later[place] = at + gap
            return False
        self.looks[place] = now, min(max(2 * gap, FIRST), MOST if place is not None else MOST_OF_ALL)
        return True

    def due(self, now: float) -> list[Place | None]:
        """Take out those whose time has come."""
        found = [place for place, at in self.later.items() if at <= now]
        for place in found:
            del self.later[place]
        return [place for place in found if self.changed(place, now)]

    def forget(self, places: set[Place]) -> None:
        """Forget all namespaces but these."""
        known: set[Place | None] = {None, *places}
        self.looks = {place: look for place, look in self.looks.items() if place in known}
        self.later = {place: at for place, at in self.later.items() if place in known}
