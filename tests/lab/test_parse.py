"""The scenario format: what is read, and how each mistake is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from failoverd_lab import grammar
from failoverd_lab.checks import SEE
from failoverd_lab.heard import HEARD
from failoverd_lab.parse import ScenarioError, load, parse
from failoverd_lab.story import Heard, Nic, See, Step

ROOT = Path(__file__).parents[2]

NICS = """\
name = "a-story"
story = "Something happens."
[[nic]]
id = "pv"
bus = "virtio"
mac = "52:54:00:FA:11:01"
[[nic]]
id = "vf"
bus = "pci"
mac = "52:54:00:fa:11:01"
"""
SEEN = '[[then]]\nsee = {active = "vf"}\n'


def problems(text: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        parse(text.encode(), "s.toml")
    assert str(caught.value) == "\n".join(str(problem) for problem in caught.value.problems)
    return [str(problem) for problem in caught.value.problems]


def test_every_kind_of_item_is_read() -> None:
    told = parse(
        f"""{NICS}max_mtu = 1600
        plugged = false
        name = "ens9"
        [config.failback]
        hold_down = 2
        [[then]]
        do = "mtu"
        nic = "master"
        mtu = 1400
        wait = 1.5
        called = "shrink"
        {SEEN}[[then]]
        see.master = {{up = true}}
        within = 2
        [[then]]
        wait = 1
        heard = {{silence = 0.2, lost = {{to-guest = 3}}}}
        since = "shrink"
        """.encode(),
        "s.toml",
    )
    assert told.nics[0] == Nic("pv", "virtio", "52:54:00:fa:11:01")
    assert told.nics[1] == Nic("vf", "pci", "52:54:00:fa:11:01", "ens9", False, 1600)
    assert told.config == {"failback": {"hold_down": 2}}
    assert told.then == (
        Step("mtu", {"nic": "master", "mtu": 1400}, 1.5, "shrink", 17),
        See({"active": "vf"}, 5.0, 0.0, 23),
        See({"master": {"up": True}}, 2.0, 0.0, 25),
        Heard({"silence": {"to-guest": 0.2, "from-guest": 0.2}, "lost": {"to-guest": 3}}, "shrink", 1.0, 29),
    )
    assert told.length == 1.5 + 5 + 2 + 1
    assert (told.rate, told.file) == (200, "s.toml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name = \n", "s.toml:1: this is not TOML: Invalid value"),
        (NICS, "s.toml: then: there is none; write at least one [[then]]"),
        (f"{NICS}max = 3\n{SEEN}", "s.toml:11: nic.max: unknown key; did you mean 'mac'?"),
        (f"colour = 1\n{NICS}{SEEN}", "s.toml:1: colour: unknown key; known here are name, story, rate, config"),
        (f"nam = 'x'\n{NICS}{SEEN}", "s.toml:1: nam: unknown key; did you mean 'name'?"),
        (f"rate = 0\n{NICS}{SEEN}", "s.toml:1: rate: 0 is too small; give a whole number from 1 to 10000"),
        (f"config = 1\n{NICS}{SEEN}", "s.toml:1: config: 1 is not a table; give config = {...} or [config]"),
        (NICS.replace("a-story", "A Story") + SEEN, 's.toml:1: name: "A Story" is not one; give a name of lower-case'),
        (NICS.replace('"pci"', '"pcie"') + SEEN, 's.toml:9: nic.bus: "pcie" is not known; give "virtio" or "pci"'),
        (NICS.replace('"52:54:00:FA', '"53:54:00:FA') + SEEN, "s.toml:6: nic.mac: "),
        (NICS.replace('bus = "pci"\n', "") + SEEN, "s.toml:7: nic: the key 'bus' is missing; add it"),
        (NICS.replace('"vf"', '"pv"') + '[[then]]\nsee={daemon="running"}', 's.toml:8: nic.id: "pv" is another NIC'),
        (NICS.replace('"pv"', '"none"') + SEEN, 's.toml:4: nic.id: "none" is a word of the format; choose another'),
        (f"{NICS}[[then]]\nwait = 1\n", "s.toml:11: then: it must have exactly one of the keys do, see and heard"),
        (f"{NICS}[[then]]\nsee = {{}}\n", "s.toml:12: then.see: it is empty; give at least one of active, state"),
        (f"{NICS}[[then]]\nsee = 4\n", "s.toml:12: then.see: 4 is not a table; give see = {...} or [see]"),
        (
            f'{NICS}[[then]]\nsee = {{active = "xx"}}\n',
            's.toml:12: then.see.active: "xx" is not known; give "pv" or "vf"',
        ),
        (
            f"{NICS}[[then]]\nsee = {{link = {{web = 'gone'}}}}\n",
            's.toml:12: then.see.link.web: "gone" is not one; give',
        ),
        (
            f"{NICS}[[then]]\nsee = {{link = {{}}}}\n",
            "s.toml:12: then.see.link: it is empty; give at least one of NAME",
        ),
        (f"{NICS}{SEEN}within = -1\n", "s.toml:13: then.within: -1 is too small; give a number from 0 to 3600"),
        (f"{NICS}{SEEN}since = 'step'\n", "s.toml:13: then.since: unknown key; known here are see, within, wait"),
        (f"{NICS}[[then]]\nsee = {{same_ifindexes = []}}", "s.toml:12: then.see.same_ifindexes: [] is no list"),
        (
            f"{NICS}[[then]]\nsee = {{master = {{address = 'x/y'}}}}",
            's.toml:12: then.see.master.address: "x/y" is not one',
        ),
        (f"{NICS}[[then]]\nsee = {{master = {{address = 'x'}}}}", "s.toml:12: then.see.master.address: "),
        (f"{NICS}[[then]]\nheard = {{lost = -1}}", "s.toml:12: then.heard.lost: -1 is too small; give a whole number"),
        (
            f"{NICS}[[then]]\nheard = {{lost = {{up = 1}}}}",
            "s.toml:12: then.heard.lost.up: unknown key; known here are to-",
        ),
        (f"{NICS}{SEEN}[[then]]\ndo = 'jump'\n", 's.toml:14: then.do: "jump" is not known; give "plug" or'),
        (f"{NICS}{SEEN}[[then]]\ndo = ['plug']\n", 's.toml:14: then.do: ["plug"] is a list; give "plug" or'),
        (f"{NICS}{SEEN}[[then]]\ndo = 'carrier'\nnic = 'vf'\n", "s.toml:13: then: the key 'up' is missing; add it"),
        (f"{NICS}[[then]]\ndo = 'unplug'\nnic = 'vf'\n", "s.toml:11: then: nothing is expected, so this story cannot"),
    ],
)
def test_a_mistake_is_told_with_line_and_key(text: str, expected: str) -> None:
    assert problems(text)[0].startswith(expected)


def then(*items: str) -> str:
    return NICS + "".join(f"[[then]]\n{item}\n" for item in items) + SEEN


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (["do='plug'\nnic='vf'"], "13: then.nic: vf is plugged in already"),
        (["do='unplug'\nnic='vf'", "do='carrier'\nnic='vf'\nup=false"], "16: then.nic: vf is not plugged in at this"),
        (["do='overrun'\nnic='vf'", "do='unplug'\nnic='vf'"], "16: then.nic: vf is not plugged in at this moment"),
        (["do='migrate'"], "12: then.do: a VF cannot migrate, and vf is plugged in; unplug it first"),
        (["do='start-daemon'"], "12: then.do: the daemon is running already"),
        (["do='kill-daemon'", "do='stop-daemon'"], "14: then.do: the daemon is not running"),
        (["do='namespace'\nname='red'\npresent=false"], "13: then.name: red is not there; it has to come first"),
        (["do='namespace'\nname='red'", "do='namespace'\nname='red'"], "16: then.name: red is there already"),
        (["do='configure'\nconfig.failback.hold_down=-1"], "13: then.config.failback.hold_down: -1 is too small"),
        (["do='release'\ncalled='a'", "do='release'\ncalled='a'"], '16: then.called: "a" is taken already'),
        (["do='release'\ncalled='step'"], '13: then.called: "step" is taken already'),
        (["wait=1\nheard={switches=0}"], "11: then.since: there is no step above; write since = \"start\""),
        (["do='release'", "wait=1\nheard={switches=0}\nsince='x'"], '16: then.since: no step above is called "x"'),
        (["wait=1\ndo='release'", "heard={switches=0}"], "14: then.since: no time passes between step and this item"),
    ],
)  # fmt: skip
def test_what_cannot_happen_or_cannot_fail_is_refused(items: list[str], expected: str) -> None:
    (problem,) = problems(then(*items))
    assert problem.startswith(f"s.toml:{expected}")


@pytest.mark.parametrize(
    "items",
    [
        ["do='unplug'\nnic='vf'", "do='migrate'", "do='plug'\nnic='vf'"],
        ["do='kill-daemon'", "do='start-daemon'", "do='overrun'\nnic='vf'"],
        ["do='namespace'\nname='red'", "do='namespace'\nname='red'\npresent=false", "do='namespace'\nname='red'"],
        ["do='configure'\nconfig.failback.hold_down=1", "see={link={web='pending no-peer'}}"],
        ["do='release'", "see={daemon='running'}", "heard={switches=0}"],
        ["do='mtu'\nnic='master'\nmtu=1400", "wait=1\nheard={switches=0}\nsince='start'"],
    ],
)
def test_what_can_happen_is_not_refused(items: list[str]) -> None:
    assert parse(then(*items).encode()).then


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    told = problems(then("do = 'plug'\nnic = 'vg'", "see = {state = 'x'}").replace('"pci"', '"pcx"'))
    assert [re.match(r"s\.toml:(\d+)", problem)[1] for problem in told] == ["9", "13", "15"]  # type: ignore[index]


def test_lines_are_right_whatever_looks_like_a_header() -> None:
    text = NICS + '[[then]]  # [[then]]\nsee.active = "pv"\n'
    text += "[[then]]\nsee = {verdict = {pv = 'paired'}}\n"
    text = text.replace('story = "Something happens."', 'story = """\n[[then]]\n[[nic]]\n"""')
    assert [item.line for item in parse(text.encode()).then] == [15, 17]


def test_inline_arrays_have_the_line_they_begin_on() -> None:
    head, _, nics = NICS.partition("[[nic]]")
    text = head + 'then = [\n  {see = {active = "pv"}},\n  {see = {active = "no"}},\n]\n[[nic]]' + nics
    assert problems(text)[0].startswith('s.toml:3: then.see.active: "no" is not known')


def test_an_entry_that_is_no_table_is_told() -> None:
    head, _, nics = NICS.partition("[[nic]]")
    assert problems(f"{head}then = [3]\n[[nic]]{nics}")[0].startswith("s.toml:3: then: it must have exactly one")
    assert problems(f"{head}nic = [3]\n{SEEN}")[0].startswith("s.toml:3: nic: 3 is not a table")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"nowhere\.toml: cannot be read: No such file or directory; give the path"):
        load(tmp_path / "nowhere.toml")


@pytest.mark.parametrize("path", sorted((ROOT / "scenarios").glob("*.toml")), ids=lambda path: path.stem)
def test_the_projects_own_scenarios_are_good(path: Path) -> None:
    assert load(path).name == path.stem


def test_each_step_in_a_few_words() -> None:
    assert str(Step("carrier", {"nic": "vf", "up": False})) == "carrier vf down"
    assert str(Step("address", {"address": "192.0.2.1/24", "present": True})) == "address 192.0.2.1/24 added"
    config = {"link": {"web": {"kind": "dummy"}, "db": {}}, "failback": {"hold_down": 1}}
    assert str(Step("configure", {"config": config})) == "configure link.web, link.db, failback"
    assert str(Step("mtu", {"nic": "master", "mtu": 9500})) == "mtu master 9500"


def test_each_key_that_can_be_asked_is_judged() -> None:
    assert set(grammar.see(["pv"]).keys) == set(SEE)
    assert set(grammar.heard(["pv"]).keys) == set(HEARD)


def test_the_reference_knows_every_key() -> None:
    page = (ROOT / "docs/reference/scenarios.md").read_text()
    rows = {key for cell in re.findall(r"^\| (`[^|]*) \|", page, re.M) for key in re.findall("`([^`]+)`", cell)}
    steps = grammar.actions(["pv"])
    known = {*grammar.TOP.keys, *grammar.NIC.keys, *steps, *SEE, *HEARD}
    assert rows - {"do", "see", "heard"} == known
    for name, table in steps.items():
        (row,) = re.findall(rf"^\| `{name}` \| ([^|]*) \|", page, re.M) or [""]
        assert set(re.findall("`([^`]+)`", row)) == set(table.keys), name
