"""[link.NAME] tables become ends, or a list of everything that is wrong with them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failoverd.config.bounds import MOST_PROBLEMS
from failoverd.config.errors import ConfigError
from failoverd.config.links.across import HIGHEST, MOST
from failoverd.config.links.read import KEYS, declared_from
from failoverd.config.load import from_mapping
from failoverd.config.read import build, parse
from failoverd.config.spec import Config
from failoverd.kinds import Bridge, Dummy, Ipvlan, Macvlan, Vlan, Vrf
from failoverd.kinds import ipvlan as ipvlans
from failoverd.kinds import macvlan as macvlans
from failoverd.model.declared import OWN, Declared, DeclaredRoute, DeviceRef, End, NamespaceRef

VETH = '[link.a]\nkind = "veth"\npeer = "b"\n'


def read(*texts: str) -> Declared:
    """The ends of texts that stand in files f1, f2 and so on."""
    return build(parse(f"f{number}", text.encode()) for number, text in enumerate(texts, 1)).declared


def problems(*texts: str) -> list[str]:
    """What is wrong with such texts, a line each."""
    with pytest.raises(ConfigError) as error:
        read(*texts)
    return str(error.value).splitlines()


def link(name: str, **keys: object) -> str:
    """A table of a link."""
    return f"[link.{name}]\n" + "".join(f"{key} = {_spelt(value)}\n" for key, value in keys.items())


def _spelt(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


def test_no_link_is_none() -> None:
    assert read() == read("[link]") == Config().declared == {}


def test_the_ends_of_a_wire_with_all_their_keys() -> None:
    ends = read(
        "# two authors\n"
        + link(
            "web-host",
            kind="veth",
            peer="web-ct",
            device="web0",
            addresses=["192.168.22.1/24", "FD00:22:0::1/64"],
            foreign_addresses="remove",
        ),
        """
        [link.web-ct]
        kind = "veth"
        peer = "web-host"
        namespace = { container = "label:org.example.role=web" }
        device = "eth1"
        mac = "02-00-5E-10-00-0A"
        mtu = 1450
        up = false
        [[link.web-ct.routes]]
        to = "10.0.0.0/8"
        via = "192.168.22.1"
        metric = 50
        [[link.web-ct.routes]]
        to = "::/0"
        table = 7
        """,
    )
    assert ends == {
        "web-host": End(
            "web-host",
            "veth",
            "web0",
            peer="web-ct",
            addresses=("192.168.22.1/24", "fd00:22::1/64"),
            keeps_foreign_addresses=False,
        ),
        "web-ct": End(
            "web-ct",
            "veth",
            "eth1",
            NamespaceRef("container", "label:org.example.role=web"),
            peer="web-host",
            up=False,
            mac="02:00:5e:10:00:0a",
            mtu=1450,
            routes=(DeclaredRoute("10.0.0.0/8", "192.168.22.1", 50), DeclaredRoute("::/0", table=7)),
        ),
    }
    assert [end.source for end in ends.values()] == ["f1:2", "f2:2"]


def test_one_author_writes_both_ends() -> None:
    ends = read(
        '[link.lab]\nkind = "veth"\nnamespace.name = "red"\npeer = { device = "lab0", namespace = { pid = 7 } }\n',
        "[link.lab.peer]\nmtu = 1400\n",
    )
    assert ends == {
        "lab": End("lab", "veth", "lab", NamespaceRef("name", "red"), peer="lab.peer"),
        "lab.peer": End("lab.peer", "veth", "lab0", NamespaceRef("pid", "7"), peer="lab", mtu=1400),
    }
    assert [end.source for end in ends.values()] == ["f1:1", "f1:4"]


def test_a_later_peer_replaces_one_of_another_form() -> None:
    table = '[link.a]\nkind = "veth"\n[link.a.peer]\ndevice = "x"\nmtu = 1400\n'
    assert read(table, '[link.a]\npeer = "b"\n')["a"].peer == "b"
    assert "a.peer" not in read(table, '[link.a]\npeer = "b"\n')
    anew = read(table, '[link.a]\npeer = "b"\n', '[link.a.peer]\ndevice = "y"\n')
    assert anew["a.peer"] == End("a.peer", "veth", "y", peer="a")
    assert anew["a"].peer == "a.peer"


def test_tables_are_laid_over_each_other_and_lists_and_namespaces_replaced() -> None:
    ends = read(
        link("a", kind="veth", peer="b", addresses=["10.0.0.1/8", "10.0.0.2/8"], mtu=1400)
        + 'namespace = { name = "red", create = true }',
        link("a", addresses=["10.0.0.3/8"]) + 'namespace = { path = "/run/x" }',
    )
    assert ends["a"] == End(
        "a", "veth", "a", NamespaceRef("path", "/run/x"), peer="b", addresses=("10.0.0.3/8",), mtu=1400
    )


def test_a_link_is_withdrawn_and_whatever_refers_to_it_waits() -> None:
    pair = link("a", kind="veth", peer="b") + link("b", kind="veth", peer="a")
    assert list(read(pair, link("b", enabled=False))) == ["a"]
    assert list(read(pair, link("b", enabled=False), link("b", enabled=True))) == ["a", "b"]
    assert read(link("gone", enabled=False)) == {}
    assert read(link("v", kind="veth", enabled=False) + "peer = { device = 'x' }") == {}


@pytest.mark.parametrize(
    ("keys", "options"),
    [
        ({"kind": "dummy"}, Dummy()),
        ({"kind": "vlan", "lower": "master:ens3", "id": 4094}, Vlan(4094)),
        ({"kind": "vlan", "lower": "master:ens3", "id": 1, "protocol": "802.1ad"}, Vlan(1, 0x88A8)),
        ({"kind": "macvlan", "lower": "master:ens3"}, Macvlan(macvlans.BRIDGE)),
        ({"kind": "macvlan", "lower": "master:ens3", "mode": "passthru"}, Macvlan(macvlans.PASSTHRU)),
        ({"kind": "ipvlan", "lower": "master:ens3"}, Ipvlan(ipvlans.L2)),
        ({"kind": "ipvlan", "lower": "master:ens3", "mode": "l3s"}, Ipvlan(ipvlans.L3S)),
        ({"kind": "vrf", "table": 100}, Vrf(100)),
        ({"kind": "bridge"}, Bridge()),
        (
            {"kind": "bridge", "stp": True, "forward_delay": 2.5, "vlan_filtering": True},
            Bridge(250, stp=True, vlan_filtering=True),
        ),
        ({"kind": "existing"}, None),
    ],
)
def test_options_of_the_kinds(keys: Mapping[str, object], options: object) -> None:
    end = read(link("x", **keys))["x"]
    assert end.options == options
    assert end.lower == (DeviceRef("master", "ens3") if "lower" in keys else None)
    assert end.namespace == OWN


def test_ports_are_sorted() -> None:
    end = read(link("br", kind="bridge", ports=["master:52-54-00-AA-00-01", "link:b.peer", "device:x"]))["br"]
    assert end.ports == (
        DeviceRef("device", "x"),
        DeviceRef("link", "b.peer"),
        DeviceRef("master", "52:54:00:aa:00:01"),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("link = 5", "f1:1: [link]: 5 is no link; write [link.NAME], then its keys"),
        ("[[link]]", "f1:1: [link]: [a table] is no link; write [link.NAME], then its keys"),
        ("[lnk.a]\nkind = 'veth'", "f1:1: [lnk]: no such section; did you mean [link.NAME]?"),
        ("[links.a]\nkind = 'veth'", "f1:1: [links] a: no such key; the keys of [links] are retry_max, going_wait"),
        ("[link]\nkind = 'veth'", 'f1:2: [link.kind]: "veth" is no link; write [link.kind], then its keys'),
        ("[link.Web]\n", 'f1:1: [link.Web]: "Web" is no name of a link; give lower-case letters, digits, '),
        ('[link.a.b]\nkind = "veth"', "f1:1: [link.a] b: no such key; the name of a link that has a dot is written in"),
        ("[link.a]", 'f1:1: [link.a]: kind is missing; give "veth", "vlan", '),
        (
            "[link.a]\nkind = 'wire'",
            'f1:2: [link.a] kind: "wire" is not known; give "veth", "vlan", "macvlan", "ipvlan", "dummy", "bridge", ',
        ),
        (VETH + "adress = []", "f1:4: [link.a] adress: no such key; did you mean addresses?"),
        (VETH + "xyzzy = {}", "f1:4: [link.a] xyzzy: no such key; the name of a link that has a dot is written in "),
        (VETH + "id = 7", "f1:4: [link.a] id: a veth has no id; remove it (it is for a vlan)"),
        (link("a", kind="dummy", peer="b"), "f1:3: [link.a] peer: a dummy has no peer; remove it (it is for a veth)"),
        (
            link("a", kind="veth") + "peer = { kind = 'veth' }",
            "f1:3: [link.a.peer] kind: no such key; it belongs below [link.NAME] itself",
        ),
        (link("a", kind="veth") + "[link.a.peer]\nmtu = 1", "f1:4: [link.a.peer] mtu: 1 is too small; give a whole"),
        (
            link("a", kind="veth") + "[link.a.peer]\nid = 1",
            "f1:4: [link.a.peer] id: no such key; it belongs below [lin",
        ),
        (
            link("a", kind="dummy") + "[link.a.peer]\ndevice = 'x'",
            "f1:3: [link.a] peer: a dummy has no peer; remove it (it is for a veth)",
        ),
        (link("a", kind="veth"), "f1:1: [link.a]: a veth needs peer; give the NAME of another [link.NAME], or a table"),
        (link("a", kind="vlan", id=7), 'f1:1: [link.a]: a vlan needs lower; give "master:NAME" or "master:MAC" (of '),
        (link("a", kind="vlan", lower="link:b"), "f1:1: [link.a]: a vlan needs id; give a whole number from 1 to 4094"),
        (link("a", kind="vrf"), "f1:1: [link.a]: a vrf needs table; give a whole number from 1 to 4294967295"),
        (
            link("a", kind="bridge", lower="link:b"),
            "f1:3: [link.a] lower: a bridge has no lower; remove it (it is for ",
        ),
        (link("a", kind="existing", stp=True), "f1:3: [link.a] stp: an existing device has no stp; remove it (it is "),
        (
            link("i", kind="ipvlan", lower="link:b", mac="02:00:00:00:00:01"),
            "f1:4: [link.i] mac: an ipvlan has no mac; remove it (it is for a veth and a vlan and ",
        ),
        (
            link("i", kind="ipvlan", lower="link:b", mode="vepa"),
            'f1:4: [link.i] mode: "vepa" is no mode of an ipvlan; give "l2", "l3" or "l3s"',
        ),
        (
            link("b", kind="bridge", stp=True, forward_delay=1),
            "f1:4: [link.b] forward_delay: 1 is too small with stp; give 2 at least",
        ),
        (
            link("d", kind="dummy", mtu=1279, addresses=["10.0.0.1/8", "fd00::1/64"]),
            "f1:3: [link.d] mtu: 1279 is too small for IPv6, of which there are addresses; give 1280 at least",
        ),
        (VETH.replace('"b"', '"a"'), "f1:3: [link.a] peer: it is its own peer; name the other end"),
        (
            link("a-very-long-name", kind="dummy"),
            'f1:1: [link.a-very-long-name]: its name cannot be its device\'s, as "a-very-long-name" has 16 bytes; ',
        ),
        (
            link("all", kind="dummy"),
            'f1:1: [link.all]: its name cannot be its device\'s, as the kernel has no device "all"; give device, a ',
        ),
        (
            VETH + "namespace = { nam = 'red' }",
            "f1:4: [link.a] namespace.nam: no such key; did you mean name?",
        ),
        (
            VETH + "[link.a.namespace]\npid = 0",
            "f1:5: [link.a] namespace.pid: 0 is too small; give a whole number from 1 to 4194304",
        ),
        (
            VETH + "namespace = { name = 'red', pid = 7 }",
            "f1:4: [link.a] namespace: name and pid are given together; give a table with exactly one of name, pid, ",
        ),
        (VETH + "namespace = {}", "f1:4: [link.a] namespace: it names no namespace; give a table with exactly one of "),
        (
            VETH + "namespace = { pid = 7, create = true }",
            "f1:4: [link.a] namespace: create is given for a namespace by pid, and only one by name can be created; ",
        ),
        (
            VETH + "routes = [{ to = '10.0.0.0/8' }, { to = '::/0', via = '10.0.0.1' }]",
            "f1:4: [link.a] routes[1]: ::/0 and 10.0.0.1 are not of one family; give a table with `to`, and ",
        ),
        (
            VETH + "[[link.a.routes]]\nto = '::/0'\n[[link.a.routes]]\nmetric = -1",
            "f1:7: [link.a] routes[1].metric: -1 is too small; give a whole number from 0 to 4294967295",
        ),
        (VETH + "routes = [{}]", "f1:4: [link.a] routes[0]: it does not say where it leads to; give a table with `to`"),
        (
            VETH + "routes = [{ to = '::/0' }, { to = '0::0/0' }]",
            'f1:4: [link.a] routes: "::/0" is given twice; give a list, each of it a table with `to`, ',
        ),
        (
            VETH + "x = " + "[" * 8 + "]" * 8,
            "f1:1: [link.a]: it is nested too deeply; no key takes more than a list of tables",
        ),
        (
            link("lab", kind="veth") + "peer = { device = 'x' }\n" + link("'lab.peer'", kind="dummy"),
            'f1:4: [link."lab.peer"]: [link.lab.peer] is called so, too; give it another name',
        ),
    ],
)
def test_a_problem_names_file_line_key_and_remedy(text: str, problem: str) -> None:
    (said,) = problems(text)
    assert said.startswith(problem)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            link("a", kind="dummy", device="x") + link("b", kind="existing", device="x"),
            'f1:6: [link.b] device: "x" in own is [link.a] (f1:1) already; change one of them',
        ),
        (
            link("a", kind="veth", device="x", peer="c", namespace={"name": "red"}).replace("':", "' =")
            + link("x", kind="dummy", namespace={"name": "red"}).replace("':", "' ="),
            'f1:6: [link.x]: "x" in name red is [link.a] (f1:1) already; change one of them',
        ),
        (
            VETH + link("b", kind="dummy"),
            "f1:3: [link.a] peer: [link.b] (f1:4) is a dummy; name the other end of this veth",
        ),
        (
            link("b1", kind="bridge", ports=["link:a"]) + link("b2", kind="vrf", table=7, ports=["link:a"]),
            "f1:7: [link.b2] ports: link:a is a port of [link.b1] (f1:1) already; change one of them",
        ),
        (
            link("b1", kind="bridge", ports=["device:a"]) + link("b2", kind="bridge", ports=["device:a"]),
            "f1:6: [link.b2] ports: device:a is a port of [link.b1] (f1:1) already; change one of them",
        ),
        (
            link("b1", kind="bridge", ports=["link:b2"]) + link("b2", kind="bridge"),
            "f1:3: [link.b1] ports: [link.b2] (f1:4) is a bridge, too, and none can be in another; remove it",
        ),
        (
            link("v", kind="vlan", lower="master:a", id=7) + link("w", kind="vlan", lower="master:a", id=7),
            "f1:8: [link.w] id: VLAN 7 of master:a is [link.v] (f1:1) already; change one of them",
        ),
        (
            link("v", kind="vlan", lower="link:v", id=7),
            "f1:3: [link.v] lower: it would stand on itself (v on v); remove one of these",
        ),
        (
            link("top", kind="macvlan", lower="link:v")
            + link("v", kind="vlan", lower="link:br", id=7)
            + link("br", kind="bridge", ports=["device:x", "link:v"]),
            "f1:10: [link.br] ports: it would stand on itself (v on br on v); remove one of these",
        ),
    ],
)
def test_contradictions_across_links(text: str, problem: str) -> None:
    (said,) = problems(text)
    assert said == problem


def test_a_long_loop_is_cut_short() -> None:
    names = [f"v{number}" for number in range(100)]
    ring = zip(names, [*names[1:], names[0]], strict=True)
    (said,) = problems("".join(link(name, kind="macvlan", lower=f"link:{lower}") for name, lower in ring))
    told = "v0 on v1 on v2 on v3 on v4 on v5 on v6 on v7 on ... on v0"
    assert said == f"f1:300: [link.v99] lower: it would stand on itself ({told}); remove one of these"


def test_references_of_any_characters_are_told_in_one_printable_line() -> None:
    odd = "[link.{}]\nkind = 'dummy'\ndevice = 'x'\nnamespace.name = 'a\u202e\u00a0b'\n"
    (said,) = problems(odd.format("a") + odd.format("b"))
    assert said == r'f1:7: [link.b] device: "x" in "name a\u202e\u00a0b" is [link.a] (f1:1) already; change one of them'
    long = "[link.{}]\nkind = 'dummy'\ndevice = 'x'\nnamespace.path = '/" + "x" * 4000 + "'\n"
    assert len(problems(long.format("a") + long.format("b"))[0]) < 200


def test_no_link_imports_nothing_of_links() -> None:
    """A start has to be fast for users without links (docs/measured.md)."""
    code = (
        "import sys; from failoverd.config.load import from_texts; from failoverd.config.changes import diff;"
        "old, new = (from_texts([('f', text)]) for text in (b'', b'[bond]\\nmiimon = 50'));"
        "assert diff(old, new);"
        "print(*(name for name in sys.modules if 'links' in name or 'declared' in name))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout == "\n"


def test_what_may_come_to_agree_is_no_contradiction() -> None:
    ends = read(
        link("a", kind="veth", peer="b")
        + link("b", kind="veth", peer="c")
        + link("c", kind="veth", peer="nowhere")
        + link("v", kind="vlan", lower="link:nowhere", id=7)
        + link("w", kind="vlan", lower="link:nowhere", id=7, protocol="802.1ad")
        + "[link.eth1]\nkind = 'dummy'\nnamespace.name = 'red'\n"
        + "[link.eth2]\nkind = 'dummy'\ndevice = 'eth1'\nnamespace.pid = 7\n"
        + "[link.b1]\nkind = 'bridge'\nports = ['device:x']\nnamespace.pid = 7\n"
        + "[link.b2]\nkind = 'bridge'\nports = ['device:x']\n"
    )
    assert len(ends) == 9


def tower(height: int, ground: str) -> str:
    """So many VLANs upon each other."""
    lowers = (ground, *(f"link:v{number}" for number in range(1, height)))
    return "".join(link(f"v{number}", kind="vlan", lower=lower, id=7) for number, lower in enumerate(lowers, 1))


def test_what_is_higher_than_the_kernel_allows() -> None:
    assert len(read(tower(HIGHEST - 1, "device:x"))) == HIGHEST - 1
    assert len(read(link("d", kind="dummy") + tower(HIGHEST - 1, "link:d"))) == HIGHEST
    wrong = "lower: it is on more than 7 devices on each other, which the kernel refuses"
    assert problems(tower(HIGHEST, "device:x")) == [f"f1:31: [link.v8] {wrong}"]
    assert problems(tower(3 * HIGHEST, "link:absent")) == [f"f1:31: [link.v8] {wrong}"]


def test_there_are_no_more_links_than_so_many() -> None:
    names = [f"d{number}" for number in range(MOST + 1)]
    tree: dict[str, dict[str, object]] = {name: {"kind": "veth", "peer": {}, "device": name} for name in names[:MOST]}
    assert len(from_mapping({"link": tree}, "f").declared) == 2 * MOST
    tree[names[MOST]] = {"kind": "dummy"}
    with pytest.raises(ConfigError, match=rf"^f: \[link\.d{MOST}\]: there are more than {MOST} links; remove some$"):
        from_mapping({"link": tree}, "f")
    tree[names[0]]["enabled"] = False
    assert len(from_mapping({"link": tree}, "f").declared) == 2 * MOST - 1


def test_all_problems_at_once_and_not_too_many() -> None:
    said = problems(
        link("a", kind="dummy", mtu=1) + link("b", kind="vrf") + "[bond]\nmiimon = 1", link("a", mtu=1400, x=1)
    )
    assert [line.split(";")[0] for line in said] == [
        "f1:3: [link.a] mtu: 1 is too small",
        "f1:7: [bond] miimon: 1 is too small",
        "f2:3: [link.a] x: no such key",
        "f1:4: [link.b]: a vrf needs table",
    ]
    many = "".join(link(f"l{number}", x=1) for number in range(MOST_PROBLEMS + 1))
    assert problems(many)[-1] == f"f1: there may be more mistakes than these {MOST_PROBLEMS}; mend them first"
    many = "".join(link(f"l{number}", kind="vrf") for number in range(MOST_PROBLEMS + 1))
    assert len(problems(many)) == MOST_PROBLEMS + 1
    assert problems(many)[-1] == f"f1: there may be more mistakes than these {MOST_PROBLEMS}; mend them first"


def test_one_link_of_another_source() -> None:
    assert declared_from("a", {"kind": "dummy"}, "etcd") == (End("a", "dummy", "a", options=Dummy()),)
    assert declared_from("a", {"kind": "dummy"}, "etcd")[0].source == "etcd"
    near, far = declared_from("a", {"kind": "veth", "peer": {"namespace": {"pid": 7}}}, "etcd")
    assert (near.peer, far.peer, far.namespace) == ("a.peer", "a", NamespaceRef("pid", "7"))
    assert declared_from("a", {"enabled": False}, "etcd") == ()
    with pytest.raises(ConfigError) as error:
        declared_from("a", {"kind": "vlan", "lower": "link:b", "id": 4095, "routes": [{"via": None}]}, "etcd")
    assert str(error.value).splitlines() == [
        "etcd: [link.a] id: 4095 is too large; give a whole number from 1 to 4094",
        "etcd: [link.a] routes[0].via: it is null; give an address",
    ]
    with pytest.raises(ConfigError, match=r'^etcd: \[link\.a\]: "x" is no link; write \[link\.a\], then its keys$'):
        declared_from("a", "x", "etcd")
    with pytest.raises(ConfigError, match=r"^etcd: \[link\.a\] lower: it would stand on itself"):
        declared_from("a", {"kind": "macvlan", "lower": "link:a"}, "etcd")


def test_what_is_nested_deeper_than_calls_may_be_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ConfigError, match="it is nested too deeply"):
        declared_from("a", {"kind": "dummy", "addresses": deep}, "etcd")


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-1, 70_000)
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=8)
    | st.sampled_from(["a", "b", "veth", "vlan", "bridge", "link:a", "link:b", "device:a", "10.0.0.1/8", "fd00::1/64"])
)
WORDS = st.sampled_from([*KEYS, "name", "pid", "path", "container", "create", "to", "via", "metric"]) | st.text(
    max_size=3
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4), max_leaves=12
)
NAMES = st.sampled_from(["a", "b", "a.peer"]) | st.text(max_size=4)
LINKS = st.dictionaries(NAMES, st.dictionaries(WORDS, VALUES, max_size=8) | VALUES, max_size=4)


@given(LINKS)
def test_any_values_become_ends_or_a_config_error(links: Mapping[str, Any]) -> None:
    try:
        said, ends = ["f: "], from_mapping({"link": links}, "f").declared
    except ConfigError as error:
        said, ends = str(error).splitlines(), {}
    assert all(line.startswith("f: ") and line.isprintable() for line in said)
    assert all(isinstance(end, End) and end.name == name for name, end in ends.items())


@given(NAMES, st.dictionaries(WORDS, VALUES, max_size=8) | VALUES)
def test_any_value_of_another_source_too(name: str, body: object) -> None:
    try:
        said, ends = ["f: "], declared_from(name, body, "f")
    except ConfigError as error:
        said, ends = str(error).splitlines(), ()
    assert all(line.startswith("f: ") and line.isprintable() for line in said)
    assert all(end.name in (name, f"{name}.peer") for end in ends)
