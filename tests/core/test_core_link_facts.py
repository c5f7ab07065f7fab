"""Of a declared link's end and of etcd everything is told, under the name that it has in the status."""

from __future__ import annotations

import dataclasses

from failoverd.core.link_facts import COUNTERS, ETCD, LINK
from failoverd.model.etcdcontact import EtcdContact
from failoverd.model.linkstatus import LinkState, LinkStatus

STATUS = LinkStatus(
    "web", "veth", "web0", "name red", LinkState.PENDING, "no-peer", since=1.23456789, ports=("link:a",)
)


def test_an_end_is_told_by_the_names_of_its_status() -> None:
    told = LINK.of(STATUS)
    assert list(told) == [field.name for field in dataclasses.fields(STATUS)]
    assert told == dataclasses.asdict(STATUS) | {"state": "pending", "since": 1.234568, "ports": ["link:a"]}


def test_etcd_is_told_by_the_names_of_the_contact() -> None:
    contact = EtcdContact(True, 2.5, "https://one:2379", 7, "")
    assert ETCD.of(contact) == dataclasses.asdict(contact)


def test_the_counters_come_for_both_ways() -> None:
    assert {name.removeprefix("rx_") for name in COUNTERS if name.startswith("rx_")} == {
        name.removeprefix("tx_") for name in COUNTERS if name.startswith("tx_")
    }
