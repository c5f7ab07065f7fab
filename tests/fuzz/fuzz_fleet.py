"""What writers of etcd declare, and what failoverd-etcd hands over: any bytes are refused with a reason, or are links
that are allowed; and those of files stay.
"""

from __future__ import annotations

import contextlib
import json

from fuzzing import Harness

from failoverd.config.links.fleet import RefusedError, ends_of, forbidden
from failoverd.config.links.read import declared_from
from failoverd.config.links.snapshot import merged, offers_in
from failoverd.config.spec import EtcdAllow
from failoverd_etcd.ligato import convert
from failoverd_etcd.rows import nodes_of, rows_of

ALLOW = EtcdAllow(kinds=("veth", "vlan", "bridge"), devices=("a*", "b*"))
FILES = {end.name: end for end in declared_from("mine", {"kind": "veth", "peer": "a"}, "mine.toml:1")}


def one(data: bytes) -> None:
    """See the module."""
    with contextlib.suppress(RefusedError):
        for end in ends_of("a", data, "etcd:/a", ALLOW):
            assert end.name in ("a", "a.peer")
            assert not forbidden(end, ALLOW)
    with contextlib.suppress(ValueError):
        found = merged(FILES, offers_in(data), ALLOW)
        assert found.declared["mine"] is FILES["mine"]
        assert not any(forbidden(end, ALLOW) for name, end in found.declared.items() if name != "mine")
        found.overlaid([])
    convert(data.decode(errors="replace"))
    nodes = nodes_of({"h1/node": data, "h1/masters/x": data, data[:9].decode(errors="replace"): data})
    rows_of(nodes, 5.0)


def seeds() -> list[bytes]:
    """A declaration, a snapshot, Ligato's keys, a status."""
    link = {
        "kind": "veth",
        "peer": "b",
        "device": "a0",
        "addresses": ["192.0.2.1/24"],
        "routes": [{"to": "10.0.0.0/8"}],
    }
    offer = {"where": "etcd:/a", "value": json.dumps(link), "state": "", "reason": "", "detail": "", "since": 1.5}
    snapshot = {"version": 1, "links": {"a": offer, "mine": offer | {"value": None, "state": "suspect"}}}
    status = {"state": "on-standby", "active": "x", "role": "standby", "last_failover": {"time": 1.0, "reason": "r"}}
    key = "/vnf-agent/x/config/linux/interfaces/v2/interface/a"
    theirs = {
        "name": "a",
        "type": "VETH",
        "veth": {"peer_if_name": "b"},
        "namespace": {"type": "NSID", "reference": "n"},
    }
    return [
        *(json.dumps(each).encode() for each in (link, snapshot, status)),
        f"{key}\n{json.dumps(theirs)}\n".encode(),
    ]


WORDS = (
    b'"kind":',
    b'"veth"',
    b'"peer":',
    b'"namespace":',
    b'{"pid":1}',
    b'"enabled":false',
    b"[[[[",
    b"NaN",
    b"1e999",
    b"null",
)

HARNESS = Harness("fleet", one, seeds, WORDS)
