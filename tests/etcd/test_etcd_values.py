"""Values that contradict other links: what was in force stays, and they come into force when there is room."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from failoverd.config.links.across import contradictions
from failoverd.config.links.fleet import ends_of
from failoverd.config.links.read import declared_from
from failoverd.config.spec import EtcdAllow
from failoverd.model.declared import End
from failoverd_etcd.declared import Ends, Values

ALL = EtcdAllow(kinds=("veth", "vlan", "dummy", "bridge", "vrf"), namespaces=("*",))


def check(name: str, raw: bytes) -> Ends:
    return ends_of(name, raw, f"etcd:{name}", ALL)


def dummy(device: str, mtu: int = 1500) -> dict[str, Any]:
    return {"kind": "dummy", "device": device, "mtu": mtu}


class Etcd:
    """Values, and the revision they are at. Each call of `put` is a transaction."""

    def __init__(self, files: dict[str, dict[str, Any]] | None = None) -> None:
        ends = [end for name, body in (files or {}).items() for end in declared_from(name, body, f"{name}.toml:1")]
        self.values, self.revision = Values(check, {end.name: end for end in ends}), 0

    def put(self, **links: dict[str, Any] | str) -> None:
        self.revision += 1
        for name, body in links.items():
            raw = (body if isinstance(body, str) else json.dumps(body)).encode()
            self.values.put(name, raw, self.revision, float(self.revision))
        self.values.settle(float(self.revision))

    def delete(self, name: str) -> None:
        self.revision += 1
        names = (self.values.good.keys() | self.values.waiting.keys() | self.values.faults.keys()) - {name}
        self.values.keep(names, set())
        self.values.settle(float(self.revision))

    def devices(self) -> dict[str, str]:
        return {name: json.loads(good.value).get("device") for name, good in sorted(self.values.good.items())}

    def faults(self) -> dict[str, str]:
        return {name: fault.reason for name, fault in self.values.faults.items()}

    def ends(self) -> dict[str, End]:
        return {end.name: end for name, good in self.values.good.items() for end in check(name, good.value.encode())}


def test_the_same_device_twice_leaves_the_last_good_one_in_force() -> None:
    etcd = Etcd()
    etcd.put(a=dummy("x"), b=dummy("y"))
    etcd.put(a=dummy("y"))
    assert (etcd.devices(), etcd.faults()) == ({"a": "x", "b": "y"}, {"a": "contradicts"})
    fault = etcd.values.faults["a"]
    assert (fault.state, fault.revision, fault.since) == ("conflict", 2, 2.0)
    assert fault.detail == (
        '"y" in own is [link.b] (etcd:b) already; change one of them. Of this link the last good value stays in force'
    )
    etcd.put(c=dummy("z"))
    assert etcd.values.faults["a"].since == 2.0, "it has not begun anew"


def test_what_contradicts_comes_into_force_when_there_is_room() -> None:
    etcd = Etcd()
    etcd.put(a=dummy("x"), b=dummy("y"))
    etcd.put(a=dummy("y"))
    etcd.put(b=dummy("z"))
    assert (etcd.devices(), etcd.faults()) == ({"a": "y", "b": "z"}, {})
    etcd.put(c=dummy("z"))
    assert (etcd.devices(), etcd.faults()) == ({"a": "y", "b": "z"}, {"c": "contradicts"})
    assert etcd.values.faults["c"].detail.endswith("Of this link there is no earlier one")
    etcd.delete("b")
    assert (etcd.devices(), etcd.faults()) == ({"a": "y", "c": "z"}, {})


def test_names_that_are_exchanged() -> None:
    etcd = Etcd()
    etcd.put(a=dummy("x"), b=dummy("y"))
    etcd.put(a=dummy("y"), b=dummy("x"))
    assert (etcd.devices(), etcd.faults()) == ({"a": "y", "b": "x"}, {}), "in one transaction"
    etcd.put(b=dummy("y"))
    assert etcd.faults() == {"b": "contradicts"}
    etcd.put(a=dummy("x"))
    assert (etcd.devices(), etcd.faults()) == ({"a": "x", "b": "y"}, {}), "one after the other"


def test_who_was_refused_does_not_hinder_the_one_who_was_there_before() -> None:
    etcd = Etcd()
    etcd.put(z=dummy("x"), b=dummy("y"))
    etcd.put(b=dummy("x"))
    etcd.put(z=dummy("x", 1400))
    assert (etcd.devices(), etcd.faults()) == ({"b": "y", "z": "x"}, {"b": "contradicts"})
    assert json.loads(etcd.values.good["z"].value)["mtu"] == 1400


def test_of_two_new_ones_the_newer_gives_way_whatever_they_are_called() -> None:
    etcd = Etcd()
    etcd.values.put("z", json.dumps(dummy("x")).encode(), 3, 0.0)
    etcd.values.put("a", json.dumps(dummy("x")).encode(), 4, 0.0)
    etcd.values.settle(0.0)
    assert (etcd.devices(), etcd.faults()) == ({"z": "x"}, {"a": "contradicts"})


def test_what_another_link_needs_it_to_be() -> None:
    """It is told of the one that needs it; the one that has changed gives way."""
    etcd = Etcd()
    etcd.put(a={"kind": "veth", "peer": "b"}, b={"kind": "veth", "peer": "a", "device": "b0"})
    etcd.put(b=dummy("b0"))
    assert (etcd.devices()["b"], etcd.faults()) == ("b0", {"b": "contradicts"})
    assert check("b", etcd.values.good["b"].value.encode())[0].kind == "veth"
    assert etcd.values.faults["b"].detail.startswith("with it, peer of [link.a] is wrong: [link.b] (etcd:b) is a dummy")


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_who_closes_a_loop_gives_way(name: str) -> None:
    etcd = Etcd()
    below = {"a": "b", "b": "c", "c": "a"}
    tags: dict[str, dict[str, Any]] = {
        one: {"kind": "vlan", "id": 7, "lower": f"link:{on}"} for one, on in below.items()
    }
    etcd.put(**tags | {name: dummy(name)})
    etcd.put(**{name: tags[name]})
    assert etcd.faults() == {name: "contradicts"}
    assert check(name, etcd.values.good[name].value.encode())[0].kind == "dummy"


def test_who_makes_a_tower_too_high_gives_way() -> None:
    etcd = Etcd()
    tower: dict[str, dict[str, Any]] = {
        f"v{number}": {"kind": "vlan", "id": 7, "lower": f"link:v{number + 1}"} for number in range(6)
    }
    etcd.put(**tower, v6={"kind": "vlan", "id": 7, "lower": "device:eth0"})
    etcd.put(v6={"kind": "vlan", "id": 7, "lower": "link:v7"}, v7=dummy("v7"))
    assert etcd.faults() == {}
    etcd.put(v7={"kind": "vlan", "id": 7, "lower": "device:eth0"})
    assert etcd.faults() == {"v7": "contradicts"}
    assert "on more than 7 devices on each other" in etcd.values.faults["v7"].detail


def test_files_win() -> None:
    etcd = Etcd({"mine": dummy("x"), "v.peer": dummy("w")})
    etcd.put(a=dummy("y"), mine=dummy("y"), v={"kind": "veth", "device": "y", "peer": {"device": "y2"}})
    assert etcd.faults() == {}, "what a file declares, too, is not in force, and so is in nobody's way"
    etcd.put(a=dummy("x"))
    assert (etcd.devices()["a"], etcd.faults()) == ("y", {"a": "contradicts"})
    assert "[link.mine] (mine.toml:1)" in etcd.values.faults["a"].detail


def test_what_contradicts_a_file_that_is_new_stays_and_is_in_nobodys_way() -> None:
    etcd = Etcd()
    etcd.put(a=dummy("x"), b=dummy("y"))
    etcd.values.files = {end.name: end for end in declared_from("mine", dummy("x"), "mine.toml:1")}
    etcd.put(b=dummy("z"))
    assert (etcd.devices(), etcd.faults()) == ({"a": "x", "b": "z"}, {}), "that a is not in force the daemon says"


def test_two_ends_of_one_name() -> None:
    etcd = Etcd()
    etcd.put(a={"kind": "veth", "peer": {"device": "x"}})
    etcd.put(**{"a.peer": dummy("y")})
    assert etcd.faults() == {"a.peer": "contradicts"}
    etcd.put(a=dummy("a"))
    assert (sorted(etcd.ends()), etcd.faults()) == (["a", "a.peer"], {})


def test_what_cannot_be_used_after_what_waits() -> None:
    etcd = Etcd()
    etcd.put(a=dummy("x"), b=dummy("y"))
    etcd.put(a=dummy("y"))
    etcd.put(a="{")
    assert (etcd.devices()["a"], etcd.faults()) == ("x", {"a": "malformed"})
    etcd.put(b=dummy("z"))
    assert (etcd.devices()["a"], etcd.faults()) == ("y", {"a": "malformed"}), "the last one that is good by itself"
    etcd.put(a=dummy("w"))
    assert (etcd.devices()["a"], etcd.faults()) == ("w", {})


def test_what_was_in_force_and_is_not_allowed_any_more_is_in_nobodys_way() -> None:
    etcd = Etcd()
    etcd.put(a=dummy("x"))
    tightened = Values(lambda name, raw: ends_of(name, raw, "", EtcdAllow(kinds=("veth",))), good=etcd.values.good)
    tightened.put("b", b'{"kind": "veth", "peer": "c", "device": "x"}', 2, 2.0)
    tightened.settle(2.0)
    assert (sorted(tightened.good), tightened.faults) == (["a", "b"], {})


def test_nobody_waits_for_what_is_held() -> None:
    etcd = Etcd()
    etcd.put(a=dummy("x"), b=dummy("y"))
    etcd.put(a=dummy("y"))
    etcd.values.keep({"b"}, {"a"})
    assert (etcd.devices(), etcd.values.waiting) == ({"a": "x", "b": "y"}, {})


def test_a_thousand_links_of_which_each_wants_the_next_ones_device() -> None:
    """None of them can have it, and each is in force as it was; without a second for each of them."""
    etcd = Etcd({"mine": dummy("d1000")})
    etcd.put(**{f"l{number}": dummy(f"d{number}") for number in range(1000)})
    etcd.put(**{f"l{number}": dummy(f"d{number + 1}") for number in range(1000)})
    assert etcd.devices() == {f"l{number}": f"d{number}" for number in range(1000)}
    assert set(etcd.faults().values()) == {"contradicts"}


@pytest.mark.parametrize("seed", range(30))
def test_what_is_in_force_never_contradicts_itself_and_what_fits_together_is_in_force(seed: int) -> None:
    chance = random.Random(seed)
    etcd = Etcd({"mine": dummy("d0")})
    wanted: dict[str, dict[str, Any]] = {}
    for _ in range(60):
        names = chance.sample("abcdef", chance.randint(1, 3))
        if chance.random() < 0.2:
            wanted.pop(names[0], None)
            etcd.delete(names[0])
        else:
            bodies = {name: _any_link(chance, name) for name in names}
            wanted |= bodies
            etcd.put(**bodies)
        found = etcd.ends()
        assert not list(contradictions(etcd.values.files | found))  # type: ignore[operator]
        assert {name for name in wanted if name in etcd.values.waiting} == set(etcd.faults())
        all_of_them = dict(etcd.values.files)
        all_of_them |= {
            end.name: end for name, body in wanted.items() for end in check(name, json.dumps(body).encode())
        }
        if not list(contradictions(all_of_them)):
            assert found.keys() == all_of_them.keys() - {"mine"}
            assert etcd.faults() == {}


def _any_link(chance: random.Random, name: str) -> dict[str, Any]:
    device, other = f"d{chance.randint(0, 5)}", chance.choice(sorted(set("abcdef") - {name}))
    kinds: list[dict[str, Any]] = [
        dummy(device),
        {"kind": "vlan", "id": 7, "lower": f"link:{other}", "device": device},
        {"kind": "veth", "peer": other, "device": device},
    ]
    return chance.choice(kinds)
