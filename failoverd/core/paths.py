"""Path truth: which slaves are probed, from which MACs, and the results of the rounds (policy/health.py).

Both NICs of a pair have one MAC, and a switch learns by which port a MAC is reached from the frames that come from it.
So the slave that carries is probed from the master's own MAC, which tests the way that the traffic takes. The other one
is probed from a MAC that stands for it alone. Rejected: the pair's MAC on both, which moves the switch's entry to the
standby with each probe; waiting at the standby for broadcasts of the other one, as bonding's arp_validate does, which
cannot tell whose side is dead; counters of received frames, which a quiet network leaves as they are.
"""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING

from failoverd.dataclass import dataclass
from failoverd.datapaths.base import standing
from failoverd.model.actions import Action, ProbePaths, Say
from failoverd.model.events import PathsSeen
from failoverd.model.health import Path
from failoverd.model.pairs import Pair
from failoverd.policy.election import Standing
from failoverd.policy.health import DEAD, judged, probed

if TYPE_CHECKING:
    from failoverd.core.state import PairState, State


@dataclass(slots=True)
class Paths:
    """The state of the paths that begin at the slaves."""

    found: dict[int, Path] = field(default_factory=dict)
    """The results of the probes, by the slave's ifindex."""
    probing: ProbePaths | None = None
    """The running probes; None for none."""

    @property
    def dead(self) -> int:
        """The slave whose path is dead, 0 for none."""
        return next((slave for slave, path in self.found.items() if path.dead), 0)


def stand(state: State, pair: PairState, found: Pair) -> Standing | None:
    """Return the pair's standing, by its links and its paths; None while it has no master."""
    links = by_links(state, pair, found)
    return None if links is None else judged(links, pair.paths.found)


def by_links(state: State, pair: PairState, found: Pair) -> Standing | None:
    """Return the pair's standing by its links alone."""
    master = state.link(found.master)
    return standing(pair.datapath, master, state.link(found.vf), state.link(found.nic)) if master is not None else None


def forget(state: State, pair: PairState) -> None:
    """Drop the results for slaves that cannot carry by now, before anything is decided by them."""
    links, able = _able(state, pair)
    if not state.config.path.enabled:
        pair.paths.found = {}
    elif links is not None:
        pair.paths.found = {slave: path for slave, path in pair.paths.found.items() if able.get(slave)}


def probe(state: State, pair: PairState) -> list[Action]:
    """Start the probes that the pair needs after this step: which slaves, from which MACs."""
    rule, (links, able) = state.config.path, _able(state, pair)
    if not rule.enabled or links is None or not able or not all(able.values()) or not pair.joined:
        return _probe(pair, None)
    found = state.judgements.pairs[pair.mac]
    masters = state.links[found.master].mac
    macs = {slave: masters if slave == links.active else _mac_of(pair.mac, slave == found.vf) for slave in able}
    return _probe(pair, ProbePaths(pair.mac, tuple(macs.items()), rule.targets, found.master, rule.interval))


def _able(state: State, pair: PairState) -> tuple[Standing | None, dict[int, bool]]:
    """Return the standing by the links, and which slaves could carry by theirs where failoverd chooses."""
    links = by_links(state, pair, state.judgements.pair(pair.mac))
    return links, {} if links is None else dict(pair.datapath.candidates(links))


def _probe(pair: PairState, wanted: ProbePaths | None) -> list[Action]:
    if wanted == pair.paths.probing:
        return []
    pair.paths.probing = wanted
    # Rounds were missed from other MACs, or by another slave's side.
    pair.paths.found = {slave: replace(path, missed=0) for slave, path in pair.paths.found.items()}
    return [wanted or ProbePaths(pair.mac)]


def _mac_of(mac: str, is_vf: bool) -> str:
    """Return the source MAC for probes of a slave that does not carry: locally administered, one for each slave."""
    first = (int(mac[:2], 16) ^ (0x40 if is_vf else 0x80)) | 0x02
    return f"{first:02x}{mac[2:]}"


def seen(state: State, pair: PairState, told: PathsSeen) -> list[Action]:
    """Take in a round. One that began before the last change means nothing."""
    paths, rule = pair.paths, state.config.path
    if paths.probing is None or told.slaves != paths.probing.slaves:
        return []
    slaves = {slave for slave, _ in told.slaves}
    active = state.active(state.judgements.pair(pair.mac))
    before = paths.found
    paths.found = probed(before, slaves, told.answered, active, rule.misses)
    lines: list[Action] = []
    for slave in sorted(slaves):
        was, now = before.get(slave, Path()).dead, paths.found[slave].dead
        text = DEAD if now else "something answers through it again"
        lines += [Say("warning" if now else "info", f"{pair.mac}: {state.name(slave)}: {text}")] if was != now else []
    return lines
