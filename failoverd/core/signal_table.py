"""The table of signals: every event that failoverd reports, with its fields.

Everything that reports signals derives from it: D-Bus, the journal, the history, the hooks' environment, the metrics,
`last_failover` in the status document, and the reference pages. A new field is one row here.

The events of declared links are in core/link_signals.py. Every event also has the rows of WHEN. The functions that read
the table are in core/signal_facts.py. This module is long because it has one row a fact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from failoverd.core.link_signals import LINK_SIGNALS
from failoverd.core.told import INFO, NOTICE, WARNING, Member, Told
from failoverd.model.facts import Row, Type
from failoverd.model.text import is_passing_name

if TYPE_CHECKING:
    from failoverd.model.signals import Moment

ROLES = ("master", "primary", "standby")
CONDITIONS = (
    "vf-missing",
    "standby-down",
    "mtu-mismatch",
    "speed-mismatch",
    "half-duplex",
    "datapath-impaired",
    "path-dead",
    "flapping",
)
"""
vf-missing         the VF went, and none has come back for [degraded] vf_deadline
standby-down       the VF carries, and the paravirtual NIC could not: one unplug away from silence
mtu-mismatch       a slave's MTU is unlike the master's
speed-mismatch     the VF's link is slower than its standby's
half-duplex        a slave's link is at half duplex
datapath-impaired  what the datapath needs was changed, such as the options of the bond, or is not there
path-dead          a slave's link is up, and its path is dead ([path])
flapping           the VF is suppressed for its flaps ([damping])
"""


MASTER: Row[Any] = Row("master", Type.MASTER, "The pair's master.", lambda s: (s.master, s.mac))


def _slave(name: str, ifindex: int) -> tuple[str | None, int | None]:
    return name or None, ifindex or None


def _failed_over(s: Any) -> str:
    there = f" in the network namespace {s.namespace}" if s.namespace else ""
    if not s.new:
        return f"{s.master}: no slave carries any more{there}; {s.old} was the last: {s.reason}"
    milliseconds = s.silence * 1000
    silence = f"; silent for {milliseconds:.{0 if milliseconds >= 100 else 1}f} ms" if milliseconds else ""
    moved = f"traffic moved from {s.old} to {s.new}" if s.old else f"{s.new} carries"
    return f"{s.master}: {moved}{there}: {s.reason}{silence}"


def _renamed(s: Any) -> str:
    of = f"the pair {s.mac}" if is_passing_name(s.master) else s.master
    whose = "the master" if s.role == "master" else f"the {s.role} of {of}"
    return f"{s.new}: {whose} has this name now, it was {s.old}"


def _joined(s: Any) -> str:
    return f"{s.master}: joined, {f'{s.active} carries' if s.active else 'no slave carries'}"


SIGNALS: dict[str, Told] = {
    "FailedOver": Told(
        "failed-over",
        "Another slave carries the traffic, as the kernel confirmed.",
        _failed_over,
        (
            MASTER,
            Row("from", Type.SLAVE, "The slave that carried. It may be gone.", lambda s: _slave(s.old, s.old_ifindex)),
            Row("to", Type.SLAVE, "The slave that carries now.", lambda s: _slave(s.new, s.new_ifindex)),
            Row("to_role", Type.TEXT, "What that is.", lambda s: s.role or None, values=("primary", "standby")),
            Row("reason", Type.TEXT, "Why, in words.", lambda s: s.reason),
            Row(
                "silence_seconds",
                Type.SECONDS,
                "How long no slave carried: from the kernel's notice that the old slave failed to its notice that the "
                "new one is active; 0 where the old one could have gone on. Excludes the time before the first notice, "
                "and the time until the neighbours have learned the new path.",
                lambda s: round(s.silence, 6),
                unit="seconds",
                metric="histogram",
            ),
            Row(
                "namespace",
                Type.TEXT,
                "The network namespace of all of these, empty for failoverd's own. In another one the ifindexes are "
                "that namespace's, and the silence is not measured: 0.",
                lambda s: s.namespace or None,
            ),
        ),
        (Member("Master", "FailedOver"),),
        "4618d75a3eef42019599644ce75903af",
        "failovers",
        by="to_role",
        priority=lambda s: NOTICE if s.new else WARNING,
        priorities="5, notice; 4, warning, if no slave carries any more",
    ),
    "LinkRenamed": Told(
        "link-renamed",
        "A device of a pair has another name, as the kernel confirmed.",
        _renamed,
        (
            Row("ifindex", Type.NUMBER, "The device.", lambda s: s.ifindex),
            Row("old_name", Type.TEXT, "Its name before.", lambda s: s.old),
            Row("new_name", Type.TEXT, "Its name now.", lambda s: s.new),
            Row("was_up", Type.FLAG, "Whether it was up (IFF_UP) when it was renamed.", lambda s: s.was_up),
            MASTER,
            Row("role", Type.TEXT, "What it is in the pair.", lambda s: s.role, values=ROLES),
        ),
        (
            Member("Manager", "LinkRenamed", known=()),
            Member("Slave", "Renamed", known=("ifindex", "master", "role")),
        ),
        "ce2bc060c3c94697825dfbb56779617b",
        "renames",
    ),
    "Joined": Told(
        "joined",
        "A pair is joined under its master. Also told at each start, of a pair that is joined.",
        _joined,
        (
            MASTER,
            Row("ifindex", Type.NUMBER, "The master's ifindex.", lambda s: s.ifindex or None),
            Row("active", Type.SLAVE, "The slave that carries.", lambda s: _slave(s.active, s.active_ifindex)),
            Row("active_role", Type.TEXT, "What that is.", lambda s: s.role or None, values=("primary", "standby")),
        ),
        (Member("Master", "Joined"),),
        "40724e66cc3948ffb82db3d9e3293c78",
        "joins",
    ),
    "Released": Told(
        "released",
        "A pair's devices are as they were before it was joined.",
        lambda s: f"{s.name}: released, its devices are as they were before",
        (
            Row(
                "master", Type.MASTER, "The paravirtual NIC, which has the addresses again.", lambda s: (s.name, s.mac)
            ),
            Row("ifindex", Type.NUMBER, "The paravirtual NIC's ifindex.", lambda s: s.ifindex or None),
        ),
        (Member("Master", "Released"),),
        "d7191e17b0e446529efd00db0d211afc",
        "releases",
    ),
    "ConditionChanged": Told(
        "condition-changed",
        "Something about a pair that carries is not as it should be, or is so again.",
        lambda s: f"{s.master}: {'' if s.present else 'no longer '}{s.condition}: {s.reason}",
        (
            MASTER,
            Row("condition", Type.TEXT, "What it is, in a word.", lambda s: s.condition, values=CONDITIONS),
            Row("present", Type.FLAG, "Whether it is so now.", lambda s: s.present),
            Row("reason", Type.TEXT, "The same in words, also where it is over.", lambda s: s.reason),
        ),
        (Member("Master", "ConditionChanged"),),
        "084e47c6dd40413da52683a4f18e56a3",
        "condition_changes",
        by="condition",
        priority=lambda s: WARNING if s.present else INFO,
        priorities="4, warning; 6, info, when it is over",
    ),
    **LINK_SIGNALS,
}
"""By the name of the signal's class, so that a reader of the history need not load the classes."""

WHEN: tuple[Row[Moment], ...] = (
    Row("time", Type.SECONDS, "When it happened.", lambda m: round(m.time, 6), unit="seconds since 1970"),
    Row(
        "monotonic",
        Type.SECONDS,
        "The same moment, by the clock that only counts up.",
        lambda m: round(m.monotonic, 6),
        unit="seconds of CLOCK_MONOTONIC",
    ),
)

BOOT: Row[str] = Row("boot", Type.TEXT, "The boot's id, as journalctl --boot= takes it.", str)
"""The history's own field: CLOCK_MONOTONIC starts anew with each boot."""

DAEMON: dict[str, tuple[Row[str], ...]] = {
    "started": (Row("version", Type.TEXT, "failoverd's version.", str),),
    "stopped": (Row("reason", Type.TEXT, "Why, in words.", str),),
}
"""The events of the daemon itself, for the history: each with its one field."""
