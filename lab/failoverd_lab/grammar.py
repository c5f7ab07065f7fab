"""The grammar of a scenario file: every key, the kind of its value, and which keys are required.

The kinds are the configuration's own, so both sorts of file have the same errors. A key that names a NIC is a choice
among the ids of this story, so an unknown one is refused where it stands. docs/reference/scenarios.md describes the
same; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from failoverd.config.kinds import Choice, Flag, Seconds, Suffix, Whole
from failoverd.model.linkstatus import LinkState
from failoverd_lab.kinds import Anything, Cidr, EachOf, EachWay, OneOf, Several, Table, Text
from failoverd_lab.story import DATAPATHS

STATES = ("accelerated", "on-standby", "joining", "releasing", "degraded", "away", "parked")
VERDICTS = ("paired", "alone", "refused", "ignored", "left-alone")
RESERVED = ("master", "none")
MTU = Whole(68, 65535, "bytes")
TIME = Seconds(0, 3600)
NAMESPACE = Text(r"[A-Za-z0-9][A-Za-z0-9._-]*", 'a name below /run/netns, such as "red"')
LINK_STATES = tuple(state.value for state in LinkState)
LINK = Text(
    rf"({'|'.join(LINK_STATES)})( [a-z][a-z-]*)?",
    f'a state and perhaps a reason, such as "pending no-peer"; states are {", ".join(LINK_STATES)}',
)

TOP = Table(
    required={
        "name": Text(r"[a-z0-9]+(-[a-z0-9]+)*", "a name of lower-case letters, digits and single hyphens"),
        "story": Text(r".*\S.*", "a text that tells the story"),
    },
    optional={
        "rate": Whole(1, 10_000, "probes a second, each way"),
        "config": Anything(),
        "datapaths": Several(DATAPATHS),
    },
)

NIC = Table(
    required={
        "id": Text(r"[a-z][a-z0-9-]*", "a lower-case word that starts with a letter"),
        "bus": Choice(("virtio", "pci")),
        "mac": Text(
            r"[0-9a-fA-F][02468aceACE](:[0-9a-fA-F]{2}){5}",
            'a unicast MAC, such as "52:54:00:fa:11:01"',
            str.lower,
        ),
    },
    optional={"name": Suffix(15), "plugged": Flag(), "max_mtu": MTU},
)


def actions(ids: Sequence[str]) -> Mapping[str, Table]:
    """Return each action of a step, with its own keys."""
    nic = {"nic": OneOf(ids)}
    return {
        "plug": Table(nic),
        "unplug": Table(nic),
        "carrier": Table({**nic, "up": Flag()}),
        "admin": Table({**nic, "up": Flag()}),
        "mtu": Table({"nic": OneOf((*ids, "master")), "mtu": MTU}),
        "address": Table({"address": Cidr()}, {"present": Flag()}),
        "rename": Table({**nic, "name": Suffix(15)}),
        "rename-link": Table({"nic": OneOf((*ids, "master")), "name": Suffix(15)}),
        "foreign-master": Table(nic),
        "release": Table(),
        "drain": Table(),
        "undrain": Table(),
        "migrate": Table(),
        "overrun": Table(nic),
        "kill-daemon": Table(),
        "stop-daemon": Table(),
        "start-daemon": Table(),
        "namespace": Table({"name": NAMESPACE}, {"present": Flag()}),
        "configure": Table({"config": Anything()}),
        "move": Table(optional={"namespace": NAMESPACE}),
    }


def see(ids: Sequence[str]) -> Table:
    """Return the table of the keys of `see`."""
    reason = Text(r".*\S.*", "a text the reason must contain")
    return Table(
        optional={
            "active": OneOf((*ids, "none")),
            "state": Choice(STATES),
            "masters": Whole(0, 100),
            "master": Table(optional={"mtu": MTU, "up": Flag(), "address": Cidr()}),
            "took_over": OneOf(ids),
            "standby_name": Text(r".*\S.*", 'a name, such as "{master}nsby"'),
            "names": Table(optional=dict.fromkeys(ids, Text(r".*\S.*", 'a name, such as "{master}vf"'))),
            "same_ifindexes": Several((*ids, "master")),
            "verdict": Table(optional=dict.fromkeys(ids, Choice(VERDICTS))),
            "reason": Table(optional=dict.fromkeys(ids, reason)),
            "link": EachOf(LINK),
            "daemon": Choice(("running", "stopped")),
        }
    )


def heard(ids: Sequence[str]) -> Table:
    """Return the table of the keys of `heard`."""
    return Table(
        optional={
            "silence": EachWay(Seconds(0.001, 3600)),
            "lost": EachWay(Whole(0, 1_000_000, "probes")),
            "switches": Whole(0, 1000),
            "announced": OneOf(ids),
        }
    )
