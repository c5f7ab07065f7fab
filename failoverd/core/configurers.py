"""Whether the configuration of a paravirtual NIC could follow to a bond: asked before its pair's first join.

    advance -- AskConfigurer --> shell: a thread reads files (daemon/configurers) -- ConfigurerSeen --> choice

Only that first join waits for the answer, and only where the configuration leaves the datapath open. Joined pairs,
returning VFs and failovers do not wait for it. A disk may block the thread for any time, for example one that is
reached by the very link that failed. So after READING seconds the pair is joined by tc, which needs no network manager
to follow.
"""

from __future__ import annotations

from failoverd.core.matching import rejudge
from failoverd.core.state import PairState, State
from failoverd.model.actions import Action, Level, Say
from failoverd.model.events import ConfigurerSeen
from failoverd.model.links import Link

READING = 5.0
"""Seconds within which the files are read on any machine with a healthy disk."""


def awaited(state: State, pair: PairState, nic: Link, name: str, actions: list[Action], now: float) -> float | None:
    """Return until when to wait for the answer for this NIC, before a master called `name` is made, or None."""
    question = pair.datapath.ask_first(nic, name)
    if question is None or pair.move.journal is not None or nic.ifindex in state.bonding.configurers:
        return None
    if nic.ifindex not in state.bonding.reading:
        state.bonding.read(nic.ifindex, now + READING)
        actions.append(question)
    if state.config.master.datapath != "auto":
        return None
    if now < state.bonding.reading[nic.ifindex]:
        return state.bonding.reading[nic.ifindex]
    late = f"the files of what configures {nic.name} could not be read within {READING:g} s"
    actions += _settled(state, nic, late, "warning")
    return None


def seen(state: State, event: ConfigurerSeen) -> list[Action]:
    """Take in the answer. One that comes too late counts for the next join of the pair."""
    nic = state.link(event.ifindex)
    if nic is None or event.ifindex not in state.bonding.reading or nic.name != event.name:
        return []
    return _settled(state, nic, event.why)


def forget_all(state: State) -> None:
    """Ask again for every NIC whose pair is not joined."""
    joined = {found.nic for mac, found in state.judgements.pairs.items() if state.pairs[mac].joined}
    state.bonding.forget((state.bonding.configurers.keys() | state.bonding.reading.keys()) - joined)


def _settled(state: State, nic: Link, why: str, level: Level = "info") -> list[Action]:
    is_news = state.bonding.configurers.get(nic.ifindex, "") != why
    state.bonding.answer({nic.ifindex: why})
    rejudge(state, {nic.perm_mac})
    if not is_news or not why:
        return []
    if state.config.master.datapath == "auto":
        return [Say(level, f"{nic.perm_mac}: tc and no bond for {nic.name}: {why}")]
    return [Say("warning", f"{nic.perm_mac}: a bond for {nic.name}, as configured, although {why}")]
