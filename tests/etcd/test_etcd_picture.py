"""Values: the last good one stays in force; and what is written of all, and taken up again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from failoverd.config.links.fleet import RefusedError, ends_of
from failoverd.config.links.snapshot import contact_in, offers_in
from failoverd.config.spec import EtcdAllow
from failoverd.model.etcdcontact import EtcdContact
from failoverd.model.linkstatus import LinkState
from failoverd_etcd.contact import Contact
from failoverd_etcd.declared import Ends, Values
from failoverd_etcd.history import History, Next
from failoverd_etcd.keeping import contact_of, document, load, save, take_up
from failoverd_etcd.keeping import put as put_contact
from failoverd_etcd.keys import Keys, end_of
from failoverd_etcd.picture import Event, Pair, Picture

KEYS = Keys("/failoverd/v1", "h1")
GOOD, BETTER = b'{"kind": "veth", "peer": "z"}', b'{"kind": "veth", "peer": "b", "mtu": 1400}'
BAD = b'{"kind": '


def check(name: str, raw: bytes) -> Ends:
    return ends_of(name, raw, f"etcd:{KEYS.link(name)}", EtcdAllow(kinds=("veth", "vlan")))


def pair(name: str, created: int, modified: int, value: bytes = GOOD) -> Pair:
    return Pair(name, created, modified, value)


def put(name: str, created: int, modified: int, value: bytes = GOOD, before: tuple[int, int] | None = None) -> Event:
    return Event(name, modified, pair(name, created, modified, value), before)


def picture(*pairs: Pair) -> Picture:
    made = Picture(History(), Values(check))
    made.read(10, 2, pairs or [pair("a", 3, 3), pair("b", 3, 3)], 100.0)
    return made


def values(found: Picture) -> dict[str, str]:
    return {name: good.value for name, good in found.values.good.items()}


def test_keys() -> None:
    assert KEYS.link("a") == "/failoverd/v1/nodes/h1/links/a"
    assert (KEYS.name(KEYS.link("a")), KEYS.name("/elsewhere")) == ("a", "")
    assert (KEYS.status, KEYS.statuses) == ("/failoverd/v1/status/h1/", "/failoverd/v1/status/")
    assert end_of("/a/") == b"/a0"


def test_events_that_follow_what_was_read() -> None:
    found = picture()
    assert found.events([put("a", 3, 11, BETTER, (3, 3)), Event("b", 11, None, (3, 3))], 101.0) is Next.FOLLOW
    assert values(found) == {"a": BETTER.decode()}


def test_a_value_that_cannot_be_used_leaves_the_last_good_one_in_force() -> None:
    found = picture()
    found.events([put("a", 3, 11, BAD, (3, 3))], 101.0)
    assert values(found)["a"] == GOOD.decode()
    fault = found.values.faults["a"]
    assert (fault.state, fault.reason, fault.since, fault.revision) == ("invalid", "malformed", 101.0, 11)
    assert fault.detail.endswith("Of this link the last good value stays in force")
    found.read(11, 2, [pair("a", 3, 11, BAD), pair("b", 3, 3)], 900.0)
    assert found.values.faults["a"].since == 101.0
    found.events([put("a", 3, 12, BETTER, (3, 11))], 102.0)
    assert (values(found)["a"], found.values.faults) == (BETTER.decode(), {})


def test_what_is_not_allowed_is_a_conflict() -> None:
    found = picture(pair("a", 3, 3, b'{"kind": "dummy"}'))
    fault = found.values.faults["a"]
    assert (fault.state, fault.reason) == ("conflict", "not-allowed")
    assert fault.detail.endswith("Of this link there is no earlier one")


def test_a_name_that_no_link_may_have() -> None:
    found = picture(pair("a/b", 3, 3), pair("", 4, 4))
    assert values(found) == {}
    assert {fault.reason for fault in found.values.faults.values()} == {"malformed"}


def test_limits_of_all_together() -> None:
    padding = b" " * 60_000
    found = picture(*(pair(f"l{number:02}", 3, 3, GOOD + padding) for number in range(20)))
    assert sorted(found.values.good) == [f"l{number:02}" for number in range(17)]
    assert {fault.reason for fault in found.values.faults.values()} == {"out-of-limits"}
    found = picture(*(pair(f"l{number:04}", 3, 3) for number in range(1030)))
    assert len(found.values.good) == 1024
    assert found.values.faults["l1024"].reason == "out-of-limits"
    found.events([put("l0000", 3, 11, BETTER, (3, 3))], 101.0)
    assert values(found)["l0000"] == BETTER.decode()


def test_a_read_is_believed_when_the_watch_has_led_to_it() -> None:
    found = picture()
    found.read(12, 2, [pair("a", 3, 12, BETTER)], 101.0)
    assert values(found) == {"a": GOOD.decode(), "b": GOOD.decode()}
    found.events([Event("b", 11, None, (3, 3)), put("a", 3, 12, BETTER, (3, 3))], 102.0)
    assert values(found) == {"a": BETTER.decode()}


def test_a_stretch_that_is_never_told() -> None:
    found = picture()
    found.read(12, 2, [pair("a", 3, 12, BETTER)], 101.0)
    found.told(12, 102.0)
    found.told(12, 103.0)
    assert values(found) == {"a": BETTER.decode(), "b": GOOD.decode()}
    assert list(found.history.held) == ["b"]
    assert found.accept(["b"], 104.0) == ["b"]
    assert values(found) == {"a": BETTER.decode()}


def test_a_stretch_that_was_compacted() -> None:
    found = picture()
    found.read(12, 2, [pair("a", 3, 3)], 101.0)
    assert found.compacted(102.0) is Next.REWATCH
    assert values(found) == {"a": GOOD.decode()}


def written(found: Picture) -> dict[str, Any]:
    return json.loads(json.dumps(document(found, KEYS)))  # type: ignore[no-any-return]


def test_what_is_written_is_what_the_daemon_reads_and_what_a_start_goes_on_from(tmp_path: Path) -> None:
    found = picture()
    found.events([put("a", 3, 11, BAD, (3, 3)), put("c", 11, 11, BAD)], 101.0)
    found.read(9, 2, [pair("c", 9, 9, BAD)], 102.0)
    tree = written(found)
    offers = {offer.name: offer for offer in offers_in(json.dumps(tree).encode())}
    assert {name: (offer.value, offer.remark and offer.remark.state) for name, offer in offers.items()} == {
        "a": (GOOD.decode(), LinkState.SUSPECT),
        "b": (GOOD.decode(), LinkState.SUSPECT),
        "c": (None, LinkState.INVALID),
    }
    path = tmp_path / "snapshot.json"
    assert load(path) is None
    save(path, tree)
    save(path, tree)
    assert [file.name for file in tmp_path.iterdir()] == ["snapshot.json"]
    again = Picture(History(), Values(check))
    assert take_up(load(path) or {}, again, KEYS)
    assert written(again) == tree
    assert (again.history, again.values.good) == (found.history, found.values.good)


def test_how_it_stands_with_etcd_is_what_the_daemon_reads(tmp_path: Path) -> None:
    path = tmp_path / "contact.json"
    contact = Contact("http://etcd1:2379", is_connected=True, since=5.0)
    for found, revision in ((picture(pair("a", 3, 7), pair("b", 3, 3)), 7), (Picture(History(), Values(check)), 0)):
        put_contact(path, contact_of(contact, found))
        assert contact_in(path.read_bytes()) == EtcdContact(True, 5.0, "http://etcd1:2379", revision, "")
    assert [file.name for file in tmp_path.iterdir()] == ["contact.json"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_why_something_is_suspect_is_told() -> None:
    found = picture()
    found.read(9, 2, [], 102.0)
    assert "no link for this machine any more" in written(found)["links"]["a"]["detail"]
    found = picture()
    found.read(9, 2, [pair("a", 3, 3)], 102.0)
    assert "etcd's history was lost" in written(found)["links"]["b"]["detail"]


def test_what_is_of_another_machine_is_not_taken_up() -> None:
    fresh = Picture(History(), Values(check))
    assert not take_up(written(picture()), fresh, Keys("/failoverd/v1", "h10"))
    assert fresh.history.revision == 0


@pytest.mark.parametrize("text", ["[]", "{", "7"])
def test_what_was_not_written_here_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "snapshot.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"."):
        load(path)


def test_a_check_that_refuses_is_the_only_thing_that_is_caught() -> None:
    def refuse(_name: str, _raw: bytes) -> Ends:
        raise RefusedError("wrong-value", "no")

    kept = Values(refuse)
    kept.put("a", GOOD, 1, 5.0)
    assert (kept.good, kept.faults["a"].reason) == ({}, "wrong-value")
