"""[master.NAME]: where a master is to live, with its mistakes in their places, and what a reload says of it."""

from __future__ import annotations

import pytest

from failoverd.config.changes import diff
from failoverd.config.errors import ConfigError
from failoverd.config.load import from_mapping
from failoverd.config.read import build, parse
from failoverd.config.spec import Config
from failoverd.model.declared import NamespaceRef
from failoverd.model.residence import PARK, Residence


def read(*texts: str) -> Config:
    return build([parse(f"file{number}", text.encode()) for number, text in enumerate(texts, 1)])


@pytest.mark.parametrize(
    ("given", "ref"),
    [
        ('"web"', NamespaceRef("name", "web")),
        ('"name:a:b"', NamespaceRef("name", "a:b")),
        ('"a:b"', NamespaceRef("name", "a:b")),
        ('"pid:0047"', NamespaceRef("pid", "47")),
        ('"path:/proc/47/ns/net"', NamespaceRef("path", "/proc/47/ns/net")),
        ('"container:label:role=web"', NamespaceRef("container", "label:role=web")),
        ('{name = "web", create = true}', NamespaceRef("name", "web", create=True)),
    ],
)
def test_every_way_to_name_a_namespace(given: str, ref: NamespaceRef) -> None:
    assert read(f"[master.ens3]\nnamespace = {given}\n").residences == {"ens3": Residence(ref)}


def test_a_master_is_named_by_its_name_or_its_mac_beside_the_keys_of_all_masters() -> None:
    config = read('[master]\ncreate = "always"\n[master."52-54-00-FA-11-01"]\nwhen_gone = "park"\n[master.ens4]\n')
    assert config.master.create == "always"
    assert config.residences == {"52:54:00:fa:11:01": Residence(when_gone=PARK)}


def test_a_later_file_replaces_key_by_key() -> None:
    config = read('[master.ens3]\nnamespace = "web"\n', '[master.ens3]\nwhen_gone = "park"\n')
    assert config.residences == {"ens3": Residence(NamespaceRef("name", "web"), PARK)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[master.ens3]\nnamespace = "pid:x"\n', '2: [master.ens3] namespace: "x" is no process id'),
        ('[master.ens3]\nnamespace = "pid:0"\n', '2: [master.ens3] namespace: "0" is no process id'),
        ('[master.ens3]\nnamespace = "path:web"\n', '2: [master.ens3] namespace: "web" does not begin with a slash'),
        ('[master.ens3]\nnamespace = "container:x:y"\n', '2: [master.ens3] namespace: "x:" is not known'),
        ('[master.ens3]\nnamespace = "a/b"\n', '2: [master.ens3] namespace: "a/b" is no name of a file'),
        ("[master.ens3]\nnamespace = {}\n", "2: [master.ens3] namespace: it names no namespace"),
        ('[master.ens3]\nnamespace = {nam = "x"}\n', "2: [master.ens3] namespace.nam: no such key; did you mean name?"),
        (
            '\n[master.ens3]\nwhen_gone = "die"\n',
            '3: [master.ens3] when_gone: "die" is not known; give "home" or "park"',
        ),
        ("[master.ens3]\nnamespce = 1\n", "2: [master.ens3] namespce: no such key; did you mean namespace?"),
        ('[master."a/b"]\nnamespace = "web"\n', '1: [master."a/b"]: "a/b" holds "/", which no device name may'),
        ("[master.create]\nwhen_gone = 1\n", "1: [master] create: it is a table"),
        ('[master]\nens3 = "web"\n', "2: [master] ens3: no such key"),
    ],
)
def test_mistakes_are_told_with_their_places(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read(text)
    (problem,) = raised.value.problems
    assert str(problem).startswith(f"file1:{said}")


def test_a_reload_says_what_has_changed() -> None:
    there = from_mapping({"master": {"ens3": {"namespace": "web", "when_gone": "park"}}}, "f")
    elsewhere = from_mapping({"master": {"ens3": {"namespace": {"pid": 47}, "when_gone": "park"}}}, "f")
    assert [str(change) for change in diff(Config(), there)] == [
        '[master.ens3] namespace: "" -> "name web"',
        '[master.ens3] when_gone: "home" -> "park"',
    ]
    assert [str(change) for change in diff(there, elsewhere)] == ['[master.ens3] namespace: "name web" -> "pid 47"']
    assert not diff(there, there)
