"""Declared links as their engine would tell of them, for tests of what shows them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from failoverd.core.link_facts import COUNTERS, LINK
from failoverd.model.etcdcontact import EtcdContact
from failoverd.model.linkstatus import LinkState, LinkStatus

HOST = LinkStatus("web-host", "veth", "web0", "own", LinkState.READY, since=1_700_000_000.0, peer="web-ct", ifindex=17)
CONTAINER = LinkStatus(
    "web-ct",
    "veth",
    "eth1",
    "container label:role=web",
    LinkState.READY,
    since=1_700_000_000.0,
    peer="web-host",
    ifindex=4,
    source="/etc/failoverd/failoverd.toml.d/60-links.toml:9",
    made=2,
)
ABSENT = replace(
    CONTAINER,
    state=LinkState.PENDING,
    reason="container-absent",
    detail="no container has the label role=web; start one",
    ifindex=0,
)
WAITING = replace(
    HOST,
    state=LinkState.PENDING,
    reason="container-absent",
    detail="its other end web-ct waits: no container has the label role=web; start one",
    ifindex=0,
)
STORAGE = LinkStatus(
    "storage",
    "vlan",
    "ens3.120",
    "name storage",
    LinkState.FAILED,
    "kernel-refused",
    "the kernel refused it: Operation not supported",
    since=1_700_000_050.0,
    lower="master:ens3",
    attempts=3,
    next_try=1_700_000_060.0,
    repairs=1,
)


class FakeLinks:
    """The engine's place, with these rows. `asked` are the calls it got."""

    def __init__(self, *rows: LinkStatus) -> None:
        self.told = list(rows)
        self.asked: list[tuple[str, str]] = []
        self.pods: dict[str, list[str]] = {}
        self.contact: EtcdContact | None = None

    def rows(self) -> Sequence[LinkStatus]:
        return sorted(self.told, key=lambda row: row.name)

    def etcd(self) -> EtcdContact | None:
        return self.contact

    def resync(self, name: str = "") -> None:
        self.asked.append(("resync", name))

    def release(self, name: str) -> None:
        if name == "gone":
            raise KeyError(name)
        self.asked.append(("release", name))

    async def attach(self, name: str, document: str) -> None:
        self.asked.append(("attach", document))
        self.told.append(replace(HOST, name=name))

    async def detach(self, *names: str) -> None:
        self.asked += [("detach", name) for name in names]

    async def read_attachments(self) -> None:
        return

    def pods_on(self, masters: Collection[str]) -> list[str]:
        return [pod for master, pods in self.pods.items() if master in masters for pod in pods]

    async def statistics(self) -> Mapping[str, Mapping[str, int]]:
        return {row.name: counters(row.ifindex) for row in self.told if row.ifindex}


def counters(seed: int) -> dict[str, int]:
    """Counters that differ from each other."""
    return {key: seed * 1000 + number for number, key in enumerate(COUNTERS)}


def document(*rows: LinkStatus, generation: int = 1) -> dict[str, object]:
    """The answer to the call `links`."""
    return {"generation": generation, "links": [LINK.of(row) for row in rows]}
