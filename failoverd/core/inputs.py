"""Events that do not come from the kernel: the configuration, the remembered state, the network's configuration.

They are events like any other (failoverd/model/events.py). They are here because they refer to the configuration, which
the model does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import field

from failoverd.config.spec import Config
from failoverd.core import away
from failoverd.core.configurers import forget_all
from failoverd.core.matching import rejudge
from failoverd.core.state import State
from failoverd.dataclass import dataclass
from failoverd.model.events import AwaySaid
from failoverd.model.health import Damping, Path
from failoverd.model.orders import Drain
from failoverd.model.pairs import Inet, Journal


@dataclass(frozen=True, slots=True)
class Configured:
    """The configuration has been replaced."""

    config: Config


@dataclass(frozen=True, slots=True)
class NamesConfigured:
    """The words of the network's configuration, with names of devices and patterns for them among them."""

    words: AbstractSet[str]


@dataclass(frozen=True, slots=True)
class Recalled:
    """The state that an earlier run of failoverd has stored, by the MACs of pairs. It comes before the first dump."""

    journals: Mapping[str, Journal] = field(default_factory=dict)
    """Moves that are under way."""
    lost: Mapping[str, Inet] = field(default_factory=dict)
    """Configuration that a move could not put in its place."""
    drains: Mapping[str, Drain] = field(default_factory=dict)
    memory: Mapping[str, str] = field(default_factory=dict)
    """"joined" or "released"."""
    names: Mapping[str, str] = field(default_factory=dict)
    """The names that paravirtual NICs had on their own."""
    marked: AbstractSet[str] = frozenset()
    """Pairs that have files for udev."""
    damping: Mapping[str, Damping] = field(default_factory=dict)
    """The flap penalties of VFs."""
    away: Mapping[str, AwaySaid] = field(default_factory=dict)
    """The pairs in other network namespaces."""


Input = Configured | NamesConfigured | Recalled


def take(state: State, given: Input) -> None:
    """Take in one of these inputs."""
    match given:
        case Configured(config):
            state.config = config
            forget_all(state)
            rejudge(state)
            state.concern_all_pairs()
        case NamesConfigured(words):
            state.configured = frozenset(words)
            state.concern_all_pairs()
        case _:
            _recall(state, given)


def _recall(state: State, kept: Recalled) -> None:
    pair = state.pair
    for mac, journal in kept.journals.items():
        pair(mac).move.journal = journal
    for mac, lost in kept.lost.items():
        pair(mac).move.lost = lost
    for mac, drain in kept.drains.items():
        pair(mac).orders.drain = drain
    for mac, damping in kept.damping.items():
        pair(mac).health.damping = damping
        pair(mac).conditions.vf_gone_at = damping.missed_since or None
        pair(mac).paths.found = {damping.dead: Path(dead=True)} if damping.dead else {}
    for mac, said in kept.away.items():
        away.note(pair(mac), said)
    for mac in kept.marked:
        pair(mac).marking.files = None
    for mac, word in kept.memory.items():
        if word != "joined":
            pair(mac).held = True
    state.memory.recall(kept.memory, kept.names)
