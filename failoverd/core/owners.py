"""The kinds of owners of work, one row each.

To add a kind: derive it from Owner (model/owners.py), write the two functions of Steps for it in a module of its own,
and add a row here (example: tests/core/newowner.py). What is remembered of its owners is kept in `State.others`, and
each of them puts itself into `State.attention` for the devices it has to do with, so that their changes concern it.
Answers come to `take` by the ticket's owner, and `look_at` ends with `state.times.note(owner, at)`. A device that is
not there yet, a `Synced`, a new configuration and `Ending` concern pairs alone, as yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from failoverd.core import pair
from failoverd.core.state import State
from failoverd.model.actions import Action
from failoverd.model.owners import Owner, PairOf


class Steps(NamedTuple):
    """What is done for the owners of one kind."""

    take: Callable[[State, Any, Any, float], list[Action]]
    """(state, owner, event, now): take in an event that is about this owner: one of ToOwner, or of the kind's own."""
    look_at: Callable[[State, Any, float], list[Action]]
    """(state, owners, now): take these owners further, and note in `state.times` when each wants to be looked at again.
    Some may be gone.
    """


STEPS: Mapping[type[Owner], Steps] = {PairOf: Steps(pair.take, pair.look_at)}
"""In the order in which they are looked at within one step."""


def by_kind(owners: Iterable[Owner]) -> Iterator[tuple[Steps, list[Owner]]]:
    """Return these owners kind by kind, each kind with what is done for it."""
    found = list(owners)
    for kind, steps in STEPS.items():
        if mine := [owner for owner in found if isinstance(owner, kind)]:
            yield steps, mine
