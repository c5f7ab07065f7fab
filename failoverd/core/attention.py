"""Which owners the next step looks at, and which owners a device's changes concern."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field

from failoverd.dataclass import dataclass
from failoverd.model.owners import Owner


@dataclass(slots=True)
class Attention:
    """The owners to look at."""

    about: dict[int, set[Owner]] = field(default_factory=dict)
    """The owners that have, or had, to do with a device, by its ifindex."""
    concerned: set[Owner] = field(default_factory=set)
    """The owners that the next step looks at."""

    def concern(self, *owners: Owner) -> None:
        """Have the next step look at these."""
        self.concerned.update(owners)

    def concern_about(self, ifindex: int) -> None:
        """Have the next step look at the owners that have to do with this device."""
        self.concerned |= self.about.get(ifindex, set())

    def take(self) -> set[Owner]:
        """Return the owners to look at, and begin anew."""
        owners, self.concerned = self.concerned, set()
        return owners

    def relate(self, owner: Owner, ifindexes: Iterable[int]) -> None:
        """Have this owner looked at whenever one of these devices changes."""
        for ifindex in ifindexes:
            self.about.setdefault(ifindex, set()).add(owner)

    def forget(self, ifindex: int) -> None:
        """Forget a device that is gone. If it comes back it has another ifindex."""
        self.about.pop(ifindex, None)
