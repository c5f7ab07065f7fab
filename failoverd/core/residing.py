"""Where a pair's master is, and where it is to be: the part of a pair that only says so. What follows from it is done
beside the engine (failoverd/moves, daemon/residing.py)."""

from __future__ import annotations

from failoverd.dataclass import dataclass
from failoverd.model.events import AwaySaid, ResidenceSaid, ThereSeen
from failoverd.model.pairs import There

BY = ("", "configuration", "order")
BECAUSE = {"configuration": " by the configuration", "order": " by an order"}


@dataclass(slots=True)
class Residing:
    """See the module. Namespaces are words that `failoverctl move` takes, "" for failoverd's own."""

    namespace: str = ""
    """The one that it is in, or is on its way to or from."""
    wanted: str = ""
    """The one that it is to be in."""
    by: str = ""
    """Who wants that, one of BY."""
    pending: str = ""
    """Why it is not there, in words."""
    there: There | None = None
    """What was last seen of it in another namespace; None at home, on its way and parked."""

    def is_now(self, event: AwaySaid) -> None:
        """Take in where it is."""
        self.namespace = event.namespace if event.why else ""
        self.there = None

    def is_seen(self, event: ThereSeen) -> None:
        """Take in what was seen of it there."""
        self.there = event.there

    def is_to_be(self, event: ResidenceSaid) -> None:
        """Take in where it is to be."""
        self.wanted, self.by, self.pending = event.wanted, event.by, event.pending

    def pending_text(self) -> str:
        """Return the sentence about a move that waits, or ""."""
        if not self.pending:
            return ""
        where = f"into the network namespace {self.wanted}" if self.wanted else "home"
        return f"it is to be moved {where}{BECAUSE.get(self.by, '')}, and waits: {self.pending}"
