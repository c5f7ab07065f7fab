"""The tables of properties of a declared link's end, a LinkStatus, and of the connection to etcd, an EtcdContact: what
JSON and the metrics, and of an end D-Bus, show of them."""

from __future__ import annotations

from failoverd.model.etcdcontact import EtcdContact
from failoverd.model.facts import Row, Table, Type
from failoverd.model.linkstatus import LinkState, LinkStatus

LINK_STATES = tuple(state.value for state in LinkState)

LINK: Table[LinkStatus] = Table(
    "Link",
    "An end of a declared link: what [link.NAME] of the configuration declares.",
    (
        Row("name", Type.TEXT, "Its name: the NAME of its [link.NAME].", lambda s: s.name, constant=True),
        Row("kind", Type.TEXT, "Its kind, such as veth, vlan or existing.", lambda s: s.kind),
        Row("device", Type.TEXT, "The name of its device, as declared.", lambda s: s.device),
        Row(
            "namespace",
            Type.TEXT,
            'The network namespace, as declared: a word and a value, as "name red"; "own" for that of failoverd.',
            lambda s: s.namespace,
        ),
        Row("state", Type.TEXT, "How far it is.", lambda s: s.state.value, values=LINK_STATES, metric="states"),
        Row("reason", Type.TEXT, "Why, as a word for programs, such as no-peer; empty for none.", lambda s: s.reason),
        Row("detail", Type.TEXT, "The same as a sentence, with what would end it.", lambda s: s.detail),
        Row(
            "since",
            Type.SECONDS,
            "Since when it has been in this state for this reason.",
            lambda s: round(s.since, 6),
            unit="seconds since 1970",
        ),
        Row("peer", Type.TEXT, "The other end of a veth, by its name; empty for other kinds.", lambda s: s.peer),
        Row("lower", Type.TEXT, "What it stands on, as declared, such as master:ens3.", lambda s: s.lower),
        Row("ifindex", Type.NUMBER, "The ifindex of its device, 0 while there is none.", lambda s: s.ifindex),
        Row(
            "source", Type.TEXT, "Where it was declared: the file and the line, or the key in etcd.", lambda s: s.source
        ),
        Row("attempts", Type.NUMBER, "How many attempts in a row have failed.", lambda s: s.attempts),
        Row(
            "next_try",
            Type.SECONDS,
            "When the next attempt is due, 0 for none.",
            lambda s: round(s.next_try, 6),
            unit="seconds since 1970",
        ),
        Row(
            "made",
            Type.COUNT,
            "How often this daemon has made the device.",
            lambda s: s.made,
            metric="counter",
        ),
        Row(
            "repairs",
            Type.COUNT,
            "How often this daemon has put something right about it that had been changed.",
            lambda s: s.repairs,
            metric="counter",
        ),
        Row(
            "shadows",
            Type.TEXT,
            "The key in etcd of another declaration of this name, which this one overrides; empty for none.",
            lambda s: s.shadows,
        ),
        Row(
            "owner",
            Type.TEXT,
            "The pod that it was attached for (failoverd-cni); empty for what files and etcd declare.",
            lambda s: s.owner,
        ),
        Row("network", Type.TEXT, "The network that it was attached for, likewise.", lambda s: s.network),
        Row(
            "ports",
            Type.TEXTS,
            "The ports of a bridge and the devices of a VRF, as declared, such as link:web-host.",
            lambda s: list(s.ports),
        ),
    ),
    prefix="link_",
)

ETCD: Table[EtcdContact] = Table(
    "Etcd",
    "The connection of failoverd-etcd to etcd, where [etcd] is enabled.",
    (
        Row("connected", Type.FLAG, "Whether it is connected.", lambda c: c.connected, metric="gauge"),
        Row(
            "since",
            Type.SECONDS,
            "Since when it is connected, or is not; 0 where that is not known.",
            lambda c: round(c.since, 6),
            unit="seconds since 1970",
            metric="gauge",
        ),
        Row("endpoint", Type.TEXT, "The member it is connected to, or has tried last.", lambda c: c.endpoint),
        Row(
            "revision",
            Type.COUNT,
            "The newest revision in which a link of this machine was put, as far as it was taken in.",
            lambda c: c.revision,
            metric="gauge",
        ),
        Row("trouble", Type.TEXT, "Why it is not connected, in words; empty where it is.", lambda c: c.trouble),
    ),
    prefix="etcd_",
)

COUNTERS = {
    "rx_bytes": "Bytes that it has received.",
    "tx_bytes": "Bytes that it has sent.",
    "rx_packets": "Packets that it has received.",
    "tx_packets": "Packets that it has sent.",
    "rx_dropped": "Received packets that were dropped.",
    "tx_dropped": "Packets that were dropped before they were sent.",
    "rx_errors": "Errors in receiving.",
    "tx_errors": "Errors in sending.",
}
"""The counters of an end's device, from its own side, as the kernel counts them (IFLA_STATS64)."""
