"""Each key of `see` and of `heard`: when it holds, when it does not, and what it says it saw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from failoverd_lab.checks import Look, Memory, see, tell
from failoverd_lab.heard import gaps, heard, longest
from failoverd_lab.story import DIRECTIONS
from failoverd_lab.world import Announcement, Probe, Recording, Span

MAC = "52:54:00:fa:11:01"


def link(name: str, index: int, nic: str = "", master: str = "", **more: Any) -> dict[str, Any]:
    base = {"name": name, "ifindex": index, "nic": nic, "master": master, "mac": MAC, "mtu": 1500, "up": True}
    return {**base, "addresses": [], **more}


BOND = link("ens3", 10, addresses=["192.0.2.1/24", "fe80::1/64"])
LINKS = [BOND, link("ens3nsby", 2, "pv", "ens3"), link("ens9", 3, "vf", "ens3"), link("lo", 1)]
MASTER = {
    "name": "ens3",
    "ifindex": 10,
    "state": "accelerated",
    "active": "ens9",
    "standby": {"name": "ens3nsby", "ifindex": 2},
    "reason": "",
}
NICS = [
    {"ifindex": 2, "verdict": "paired", "reason": "same permanent MAC as ens9"},
    {"ifindex": 3, "verdict": "refused", "reason": "its MTU is too small"},
]
STATUS = {"masters": [MASTER], "nics": NICS}
ALONE = [link("ens3", 2, "pv", addresses=["192.0.2.1/24", "fe80::2/64"])]


def status(**changed: Any) -> Mapping[str, Any]:
    return {"masters": [{**MASTER, **changed}], "nics": NICS}


DECLARED = [
    {"name": "web", "state": "ready", "reason": ""},
    {"name": "db", "state": "pending", "reason": "no-peer"},
]


def ask(what: Mapping[str, Any], told: Mapping[str, Any] | None = STATUS, links: Any = LINKS) -> tuple[bool, str]:
    memory = Memory()
    memory.note(Look({"masters": [], "nics": []}, ALONE, memory))
    memory.note(Look(STATUS, LINKS, memory))
    (answer,) = see(what, Look(told, links, memory, DECLARED))
    return answer.ok, answer.seen


@pytest.mark.parametrize(
    ("what", "seen"),
    [
        ({"active": "vf"}, "vf"),
        ({"state": "accelerated"}, "accelerated"),
        ({"masters": 1}, "1 ens3"),
        ({"master": {"mtu": 1500, "up": True}}, "mtu = 1500, up = true"),
        ({"master": {"address": "192.0.2.1/24"}}, 'address = ["192.0.2.1/24", "fe80::1/64"]'),
        ({"took_over": "pv"}, f"ens3, {MAC}, 192.0.2.1/24"),
        ({"standby_name": "{master}nsby"}, "ens3nsby"),
        ({"names": {"vf": "ens9", "pv": "{master}nsby"}}, "vf ens9, pv ens3nsby"),
        ({"same_ifindexes": ("master", "pv", "vf")}, "master 10; pv 2; vf 3"),
        ({"verdict": {"pv": "paired", "vf": "refused"}}, None),
        ({"reason": {"vf": "mtu"}}, "vf refused (its MTU is too small)"),
        ({"link": {"web": "ready", "db": "pending no-peer"}}, "web ready; db pending no-peer"),
        ({"link": {"db": "pending"}}, "db pending no-peer"),
        ({"daemon": "running"}, "running"),
    ],
)
def test_what_is_so_holds(what: Mapping[str, Any], seen: str | None) -> None:
    ok, told = ask(what)
    assert ok
    assert seen is None or told == seen


@pytest.mark.parametrize(
    ("what", "told", "links", "seen"),
    [
        ({"active": "pv"}, STATUS, LINKS, "vf"),
        ({"active": "vf"}, status(active=None), LINKS, "none"),
        ({"active": "vf"}, status(active="eth7"), LINKS, "eth7"),
        ({"active": "vf"}, status(active="lo"), LINKS, "lo"),
        ({"state": "on-standby"}, status(reason="because"), LINKS, "accelerated (because)"),
        ({"masters": 0}, STATUS, LINKS, "1 ens3"),
        ({"masters": 0}, None, LINKS, "the daemon is not running"),
        ({"master": {"mtu": 1400}}, STATUS, LINKS, "mtu = 1500"),
        ({"master": {"address": "192.0.2.2/24"}}, STATUS, [link("ens3", 10)], "address = []"),
        ({"master": {"mtu": 1500}}, STATUS, [], "the kernel has no such device"),
        ({"took_over": "pv"}, status(ifindex=3), LINKS, "ens9 lacks pv's name, 192.0.2.1/24"),
        ({"took_over": "pv"}, STATUS, [], "no master lacks pv's name, mac, 192.0.2.1/24"),
        (
            {"took_over": "vf"},
            STATUS,
            LINKS,
            "vf was never seen outside a master; begin the story before the pair is complete",
        ),
        ({"standby_name": "ens3"}, STATUS, LINKS, "ens3nsby"),
        ({"names": {"vf": "{master}vf"}}, STATUS, LINKS, "vf ens9"),
        ({"names": {"third": "ens9"}}, STATUS, LINKS, "third not there"),
        ({"names": {"vf": "ens9"}}, None, LINKS, "the daemon is not running"),
        ({"standby_name": "{master}nsby"}, status(standby=None), LINKS, "no standby"),
        ({"same_ifindexes": ("vf",)}, STATUS, [link("ens9", 4, "vf")], "vf 4, was 3"),
        ({"same_ifindexes": ("vf",)}, STATUS, [], "vf gone, was 3"),
        ({"same_ifindexes": ("third",)}, STATUS, LINKS, "third gone"),
        ({"same_ifindexes": ("master",)}, status(ifindex=11), LINKS, "master gone, was 10"),
        ({"same_ifindexes": ("master",)}, None, LINKS, "master gone, was 10"),
        ({"verdict": {"vf": "paired"}}, STATUS, LINKS, "vf refused (its MTU is too small)"),
        ({"verdict": {"pv": "paired", "vf": "paired"}}, STATUS, LINKS[:2], "vf not there"),
        ({"reason": {"third": "x"}}, STATUS, [link("e", 9, "third")], "third not known to the daemon"),
        ({"reason": {"vf": "x"}}, None, LINKS, "the daemon is not running"),
        ({"link": {"web": "pending"}}, STATUS, LINKS, "web ready"),
        ({"link": {"db": "pending namespace-absent"}}, STATUS, LINKS, "db pending no-peer"),
        ({"link": {"web": "ready", "mail": "ready"}}, STATUS, LINKS, "mail is not declared"),
        ({"link": {"web": "ready"}}, None, LINKS, "the daemon is not running"),
        ({"daemon": "stopped"}, STATUS, LINKS, "running"),
        ({"daemon": "running"}, None, LINKS, "stopped"),
    ],
)
def test_what_is_not_so_is_told(what: Mapping[str, Any], told: Any, links: Any, seen: str) -> None:
    ok, saw = ask(what, told, links)
    assert not ok
    assert seen in saw


@pytest.mark.parametrize(
    "what", [{"active": "vf"}, {"state": "x"}, {"master": {"mtu": 1}}, {"took_over": "pv"}, {"standby_name": "x"}]
)
def test_what_speaks_of_the_master_needs_exactly_one(what: Mapping[str, Any]) -> None:
    assert ask(what, None) == (False, "the daemon is not running")
    assert ask(what, {"masters": [], "nics": []}) == (False, "0 masters")
    two = {"masters": [MASTER, {**MASTER, "name": "ens4"}], "nics": []}
    assert ask(what, two) == (False, "2 masters ens3, ens4")


def test_a_master_that_is_still_to_be_made_is_not_remembered() -> None:
    memory = Memory()
    memory.note(Look(status(ifindex=0), ALONE, memory))
    memory.note(Look(STATUS, LINKS, memory))
    assert memory.ifindexes["master"] == 10


def test_bounds_are_told_as_the_file_has_them() -> None:
    assert tell({"to-guest": 0.2, "from-guest": 0.2}) == "0.2"
    assert tell({"to-guest": 0.2, "from-guest": 0.3}) == "{to-guest = 0.2, from-guest = 0.3}"
    assert tell({"to-guest": 1}) == "{to-guest = 1}"
    assert tell(("pv", "master")) == '["pv", "master"]'


def probes(lost_from: float, lost_to: float) -> list[Probe]:
    """10 s of 100 probes a second each way, each 1 ms under way; those to the guest have a hole."""
    times = [number / 100 for number in range(1000)]
    holed = [Probe("to-guest", at, None if lost_from <= at < lost_to else at + 0.001) for at in times]
    return holed + [Probe("from-guest", at, at + 0.001) for at in times]


RECORDING = Recording(
    10.0,
    probes(5.0, 5.5),
    [
        Span("active", 0.0, 5.1, "vf"),
        Span("primary", 0.0, 5.0, "vf"),
        Span("active", 5.1, 8.0, "pv"),
        Span("active", 8.0, 9.0, "pv"),
        Span("active", 9.0, 10.0, "vf"),
    ],
    announcements=[Announcement(5.15, "pv", "gratuitous ARP")],
)


def listen(what: Mapping[str, Any], start: float, end: float, recording: Recording = RECORDING) -> tuple[bool, str]:
    (answer,) = heard(what, recording, start, end)
    return answer.ok, answer.seen


def both(bound: float) -> dict[str, float]:
    return dict.fromkeys(DIRECTIONS, bound)


def test_silence_is_the_longest_time_without_an_arrival() -> None:
    assert listen({"silence": both(0.52)}, 4, 7) == (True, "to-guest 510 ms, from-guest 10 ms")
    assert listen({"silence": both(0.5)}, 4, 7) == (False, "to-guest 510 ms, from-guest 10 ms")
    assert listen({"silence": {"from-guest": 0.1}}, 4, 7) == (True, "from-guest 10 ms")


def test_silence_at_the_edges_of_the_window_counts_as_far_as_it_is_in_it() -> None:
    assert listen({"silence": both(0.1)}, 4, 5.3)[1].startswith("to-guest 309 ms")
    assert listen({"silence": both(0.1)}, 5.2, 7)[1].startswith("to-guest 301 ms")


def test_a_window_with_no_arrival_is_one_silence() -> None:
    assert gaps([], "to-guest", 1.0, 3.0) == [(1.0, 3.0)]
    assert listen({"silence": both(1.0)}, 1, 3, Recording(10.0)) == (False, "to-guest 2000 ms, from-guest 2000 ms")
    assert longest([(0.0, 1.0), (2.0, 4.0), (5.0, 7.0)]) == (2.0, 4.0)


def test_a_window_no_longer_than_the_bound_proves_nothing() -> None:
    ok, seen = listen({"silence": both(1.0)}, 1.0, 2.0)
    assert not ok
    assert seen.startswith("only 1.000 s were looked at, which is less than the bound; give it a longer wait")


def test_lost_counts_the_probes_sent_in_the_window() -> None:
    assert listen({"lost": both(50)}, 4, 7) == (True, "to-guest 50 of 300, from-guest 0 of 300")
    assert not listen({"lost": both(49)}, 4, 7)[0]
    assert listen({"lost": both(0)}, 6, 7)[0]
    assert listen({"lost": both(9)}, 20, 30) == (False, "to-guest 0 of 0, from-guest 0 of 0")


def test_switches_counts_changes_of_the_active_slave() -> None:
    assert listen({"switches": 2}, 0, 10) == (True, "2 (vf -> pv -> vf)")
    assert not listen({"switches": 1}, 0, 10)[0]
    assert listen({"switches": 0}, 5.2, 8.9) == (True, "0 (pv)")
    assert not listen({"switches": 9}, 20, 30)[0]


def test_a_time_without_an_active_nic_is_a_switch_only_if_something_was_lost_in_it() -> None:
    """A guest that does not run for a moment sends nothing, takes in nothing, and loses nothing."""
    for since, seen in ((5.1, "2 (vf -> none -> vf)"), (7.0, "0 (vf)")):
        spans = [Span("active", 0.0, since, "vf"), Span("active", since, since + 0.2, "none")]
        spans.append(Span("active", since + 0.2, 10.0, "vf"))
        assert listen({"switches": 2}, 0, 10, Recording(10.0, probes(5.0, 5.5), spans)) == (True, seen)
    nothing = Recording(10.0, [], [Span("active", 0.0, 5.0, "none"), Span("active", 5.0, 10.0, "vf")])
    assert listen({"switches": 1}, 0, 10, nothing) == (True, "1 (none -> vf)")


def test_an_announcement_counts_for_the_nic_it_left_by() -> None:
    assert listen({"announced": "pv"}, 5, 6) == (True, "gratuitous ARP by pv at 5.150 s")
    assert not listen({"announced": "vf"}, 5, 6)[0]
    assert listen({"announced": "pv"}, 6, 7) == (False, "no announcement")


def test_a_standby_that_is_the_master_has_no_other_name() -> None:
    master = {**MASTER, "standby": {"name": "ens3", "ifindex": 10}}
    look = Look({"masters": [master], "nics": NICS}, LINKS, Memory())
    [answer] = see({"standby_name": "{master}nsby"}, look)
    assert (answer.ok, answer.seen) == (True, "ens3")
