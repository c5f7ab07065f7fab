"""The tables of properties: of failoverd itself, of a master, of a slave, and of a NIC.

The status document is made from them (core/status.py), and so is everything that shows it: D-Bus, JSON, the metrics,
the reference pages. A new property is one row here, with the function that finds its value. This module is long because
it has one row a fact.
"""

from __future__ import annotations

from typing import Any

from failoverd import __version__
from failoverd.core.datapath_choice import DATAPATHS
from failoverd.core.residing import BY
from failoverd.core.signal_facts import pieces, record
from failoverd.core.signal_table import CONDITIONS, SIGNALS, WHEN
from failoverd.core.state import State
from failoverd.core.views import MasterOf, Nic, SlaveOf
from failoverd.model.facts import Row, Table, Type
from failoverd.model.links import Link
from failoverd.policy.election import unfit_reason
from failoverd.policy.health import PATHS, describe, suppressed_until

Document = dict[str, Any]

STATES = ("accelerated", "on-standby", "degraded", "joining", "releasing", "released", "alone", "away", "parked")


def _slave(m: MasterOf, link: Link | None, role: str) -> Document | None:
    if link is None or m.link is None or not m.pair.datapath.holds(link, m.link):
        return None
    return SLAVE.of(SlaveOf(m, link, role))


def _active(m: MasterOf) -> str | None:
    there = m.pair.residing.there
    return (there.name(there.active) if there is not None else m.state.name(m.active)) or None


def _mtu(m: MasterOf) -> int:
    link = m.link if m.pair.residing.there is None else m.pair.residing.there.master
    return link.mtu if link is not None else 0


def _is_fit(s: SlaveOf) -> bool:
    if unfit_reason(s.link, joined=True):
        return False
    master = s.master.link
    return s.role == "standby" or master is None or not s.master.pair.datapath.conflict(s.link, master)


def _last(m: MasterOf) -> Document | None:
    last = m.pair.failovers.last
    return {**record(last), "monotonic": last.at} if last is not None else None


LAST_FAILOVER: tuple[Row[Any], ...] = (
    *(piece for row in SIGNALS["FailedOver"].fields for piece in pieces(row) if row.key != "master"),
    *(row for row in WHEN if row.key == "monotonic"),
)
"""The fields of `last_failover`."""

DAEMON: Table[State] = Table(
    "Manager",
    "failoverd itself.",
    (
        Row("version", Type.TEXT, "failoverd's version.", lambda _: __version__, constant=True, metric="label"),
        Row(
            "datapaths",
            Type.TEXTS,
            "The ways of joining a pair that this failoverd knows.",
            lambda _: list(DATAPATHS),
            constant=True,
        ),
    ),
)

MASTER: Table[MasterOf] = Table(
    "Master",
    "A pair: the device that has the IP configuration, and its two slaves.",
    (
        Row("name", Type.TEXT, "Its name.", lambda m: m.name),
        Row("ifindex", Type.NUMBER, "Its ifindex, 0 while there is no master.", lambda m: m.found.master),
        Row(
            "mac",
            Type.TEXT,
            "The permanent MAC that both NICs of the pair have.",
            lambda m: m.pair.mac,
            constant=True,
            metric="label",
        ),
        Row(
            "datapath",
            Type.TEXT,
            "How the pair is joined.",
            lambda m: m.pair.datapath.name,
            values=tuple(DATAPATHS),
            metric="label",
        ),
        Row("state", Type.TEXT, "What the pair is doing.", lambda m: m.pair.state, values=STATES, metric="states"),
        Row("reason", Type.TEXT, "Why it is in this state, in words.", lambda m: m.pair.reason),
        Row(
            "conditions",
            Type.TEXTS,
            "What about it is not as it should be; ConditionChanged tells of each in words.",
            lambda m: sorted(m.pair.conditions.told),
            values=CONDITIONS,
            metric="states",
        ),
        Row(
            "namespace",
            Type.TEXT,
            "The network namespace that it is in, or is on its way to or from, as failoverctl move takes it; empty for "
            "failoverd's own.",
            lambda m: m.pair.residing.namespace,
            metric="label",
        ),
        Row(
            "wanted_namespace",
            Type.TEXT,
            "The network namespace that it is to be in; empty for failoverd's own.",
            lambda m: m.pair.residing.wanted,
        ),
        Row(
            "wanted_by",
            Type.TEXT,
            "Whether the configuration or an order says so; empty where neither does.",
            lambda m: m.pair.residing.by,
            values=BY,
        ),
        Row(
            "move_pending",
            Type.TEXT,
            "Why it is not there yet, in words; empty where it is.",
            lambda m: m.pair.residing.pending,
        ),
        Row("active", Type.SLAVE, "The slave that carries the traffic.", _active),
        Row("primary", Type.OBJECT, "The VF.", lambda m: _slave(m, m.vf, "primary")),
        Row("standby", Type.OBJECT, "The paravirtual NIC.", lambda m: _slave(m, m.nic, "standby")),
        Row(
            "drained",
            Type.FLAG,
            "Whether the traffic was ordered off the VF.",
            lambda m: m.pair.orders.drain is not None,
            metric="gauge",
        ),
        Row(
            "drain_ends",
            Type.SECONDS,
            "When a drain ends by itself, if it does.",
            lambda m: m.pair.orders.drain.until if m.pair.orders.drain is not None else None,
            unit="seconds of CLOCK_MONOTONIC",
            optional=True,
        ),
        Row(
            "flaps",
            Type.COUNT,
            "How often its VF has failed since failoverd was started, as far as it was not meant.",
            lambda m: m.pair.health.flaps,
            metric="counter",
        ),
        Row(
            "penalty",
            Type.NUMBER,
            "What that had come to at the last flap; from then on it halves every half_life of [damping].",
            lambda m: round(m.pair.health.damping.penalty),
            metric="gauge",
        ),
        Row(
            "suppressed",
            Type.FLAG,
            "Whether the VF is kept from carrying because it flaps, as long as the standby can.",
            lambda m: m.pair.health.damping.suppressed,
            metric="gauge",
        ),
        Row(
            "suppressed_until",
            Type.SECONDS,
            "When that ends, if the VF is steady from now on.",
            lambda m: suppressed_until(m.pair.health.damping, m.state.config.damping),
            unit="seconds of CLOCK_MONOTONIC",
            optional=True,
        ),
        Row(
            "mtu",
            Type.NUMBER,
            "Its MTU, 0 while there is no master.",
            _mtu,
            unit="bytes",
        ),
        Row(
            "failovers",
            Type.COUNT,
            "How often the active slave has changed since failoverd was started.",
            lambda m: m.pair.failovers.count,
        ),
        Row("last_failover", Type.RECORD, "The last change of the active slave since then.", _last),
    ),
    prefix="master_",
)

SLAVE: Table[SlaveOf] = Table(
    "Slave",
    "A NIC that is joined under a master.",
    (
        Row("name", Type.TEXT, "Its name.", lambda s: s.link.name),
        Row("ifindex", Type.NUMBER, "Its ifindex.", lambda s: s.link.ifindex, constant=True),
        Row("master", Type.MASTER, "The master it belongs to.", lambda s: s.master.name),
        Row(
            "role",
            Type.TEXT,
            "What it is in the pair: the VF is the primary, the paravirtual NIC the standby.",
            lambda s: s.role,
            values=("primary", "standby"),
        ),
        Row(
            "mac",
            Type.TEXT,
            "Its permanent MAC, which is the pair's.",
            lambda s: s.master.pair.mac,
            constant=True,
        ),
        Row("driver", Type.TEXT, "Its driver, as ethtool names it.", lambda s: s.link.driver),
        Row(
            "parent_device",
            Type.TEXT,
            "Its device on its bus, such as 0000:01:00.0; empty where it has none.",
            lambda s: s.link.parent,
        ),
        Row(
            "active",
            Type.FLAG,
            "Whether it carries the traffic.",
            lambda s: s.master.active == s.link.ifindex,
            metric="gauge",
        ),
        Row("up", Type.FLAG, "Whether it is set up (IFF_UP).", lambda s: s.link.up, metric="gauge"),
        Row(
            "carrier",
            Type.FLAG,
            "Whether it has a carrier (IFF_LOWER_UP).",
            lambda s: s.link.carrier,
            metric="gauge",
        ),
        Row(
            "carrier_losses",
            Type.COUNT,
            "How often it has lost its carrier, as the kernel has counted since the device was made.",
            lambda s: s.link.carrier_losses,
            metric="counter",
        ),
        Row("fit", Type.FLAG, "Whether it could carry the traffic now.", _is_fit, metric="gauge"),
        Row(
            "path",
            Type.TEXT,
            "What is known of the way that begins at it, where [path] has it probed; dead where the link is up and "
            "the targets answer through the other slave alone.",
            lambda s: describe(s.master.pair.paths.found.get(s.link.ifindex), s.master.pair.paths.probing is not None),
            values=PATHS,
            metric="states",
        ),
        Row("mtu", Type.NUMBER, "Its MTU.", lambda s: s.link.mtu, unit="bytes"),
        Row(
            "speed",
            Type.NUMBER,
            "Its speed, as the driver says; 0 where it does not know.",
            lambda _: 0,
            unit="megabits a second",
            asked=True,
        ),
    ),
    prefix="slave_",
)

NIC: Table[Nic] = Table(
    "Nic",
    "A device, and what was made of it.",
    (
        Row("name", Type.TEXT, "Its name.", lambda n: n.link.name),
        Row("ifindex", Type.NUMBER, "Its ifindex.", lambda n: n.link.ifindex),
        Row(
            "mac",
            Type.TEXT,
            "Its permanent MAC, or the one it has where it has no permanent one.",
            lambda n: n.link.perm_mac or n.link.mac,
        ),
        Row("driver", Type.TEXT, "Its driver, as ethtool names it.", lambda n: n.link.driver),
        Row("bus", Type.TEXT, "The kind of bus it is on; empty where it is on none.", lambda n: n.link.bus),
        Row(
            "verdict",
            Type.TEXT,
            "What was made of it.",
            lambda n: n.verdict,
            values=("paired", "alone", "refused", "ignored", "left-alone"),
        ),
        Row("reason", Type.TEXT, "Why, in words.", lambda n: n.reason),
    ),
)
