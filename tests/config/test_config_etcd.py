"""The sections [etcd] and [etcd.allow]."""

from __future__ import annotations

from pathlib import Path

import pytest

from failoverd.config.changes import diff
from failoverd.config.errors import ConfigError
from failoverd.config.load import load
from failoverd.config.spec import Config, Etcd, EtcdAllow

TOML = """
[etcd]
enabled = true
endpoints = ["https://etcd1:2379", "10.0.0.1:2379", "http://[fd00::1]:2379/"]
[etcd.allow]
kinds = ["veth", "vlan"]
"""


def given(where: Path, text: str) -> Config:
    path = where / "failoverd.toml"
    path.write_text(text)
    return load(path)


def refused(where: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        given(where, text)
    return str(caught.value).replace(f"{where}/", "")


def test_a_section_within_a_section(tmp_path: Path) -> None:
    config = given(tmp_path, TOML)
    assert config.etcd == Etcd(True, ("https://etcd1:2379", "10.0.0.1:2379", "http://[fd00::1]:2379/"))
    assert config.etcd_allow == EtcdAllow(("veth", "vlan"))
    assert [str(change) for change in diff(Config(), config)] == [
        "[etcd] enabled: false -> true",
        '[etcd] endpoints: [] -> ["https://etcd1:2379", "10.0.0.1:2379", "http://[fd00::1]...',
        '[etcd.allow] kinds: ["veth"] -> ["veth", "vlan"]',
    ]


def test_a_later_file_replaces_single_keys_of_it(tmp_path: Path) -> None:
    (tmp_path / "failoverd.toml.d").mkdir()
    (tmp_path / "failoverd.toml.d" / "9.toml").write_text('[etcd.allow]\ndevices = ["fo-*"]\n')
    assert given(tmp_path, TOML).etcd_allow == EtcdAllow(("veth", "vlan"), ("fo-*",))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[etcd]\nallow = 7", "failoverd.toml:2: [etcd] allow: 7 is no section; write [etcd.allow], then its keys"),
        ("[etcd.allow]\nkind = []", "failoverd.toml:2: [etcd.allow] kind: no such key; did you mean kinds?"),
        ("[etcd.allow]\nkinds = 7", "failoverd.toml:2: [etcd.allow] kinds: 7 is a whole number; give a list"),
        ('["etcd_allow"]\nkinds = []', "failoverd.toml:1: [etcd_allow]: no such section; did you mean [etcd.allow]?"),
        ("[etcd.allow]\nprefix = '/x'", "[etcd.allow] prefix: no such key; it belongs below [etcd]"),
        (
            "default_routes = true",
            "failoverd.toml:1: default_routes: stands outside every section; put it below [etcd.allow]",
        ),
        ("[etcd]\nenabled = true", "failoverd.toml:2: [etcd] enabled: there are no endpoints; give them, too"),
        ('[etcd]\nendpoints = ["etcd1"]', '[etcd] endpoints: "etcd1" is no endpoint; give "https://HOST:PORT"'),
        ('[etcd]\nendpoints = ["ftp://a:1"]', '"ftp://a:1" is no endpoint'),
        ("[etcd]\nprefix = 'x'", '[etcd] prefix: "x" is not of that form; give a text such as'),
        ("[etcd]\nprefix = '/x/'", '[etcd] prefix: "/x/" is not of that form'),
        ("[etcd]\nnode = 'a/b'", '[etcd] node: "a/b" is not of that form'),
        ("[etcd]\nca = 'x.pem'", '[etcd] ca: "x.pem" is not of that form; give an absolute path'),
        ("[etcd]\nca = 7", "[etcd] ca: 7 is a whole number; give an absolute path"),
        ("[etcd]\ncert = '/c.pem'", "failoverd.toml:2: [etcd] cert: it needs key beside it; give that, too"),
        ("[etcd]\nuser = 'h1'", "[etcd] user: it needs password_file beside it; give that, too"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, text: str, error: str) -> None:
    assert error in refused(tmp_path, text)


def test_what_there_is_for_credentials(tmp_path: Path) -> None:
    text = '[etcd]\nendpoints = ["a:1"]\nca = "/ca"\ncert = "/c"\nkey = "/k"\nuser = "h1"\npassword_file = "/p"\n'
    etcd = given(tmp_path, text).etcd
    assert (etcd.ca, etcd.cert, etcd.key, etcd.user, etcd.password_file) == ("/ca", "/c", "/k", "h1", "/p")
