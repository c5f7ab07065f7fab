"""What the CNI plugin reads, and how it refuses: with the specification's codes, and the key and value in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standin import FakeIpam, netconf

from failoverd_cni import main
from failoverd_cni.errors import CniError
from failoverd_cni.fastjson import dumps, loads
from failoverd_cni.inet import AF_INET, AF_INET6, Address, mac_bytes
from failoverd_cni.netconf import Netconf
from failoverd_cni.variables import environment

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
POD = {"CNI_CONTAINERID": "c1", "CNI_NETNS": "/nonexistent/ns", "CNI_IFNAME": "net1"}


def run(command: str, keys: Any, **variables: str) -> tuple[int, dict[str, Any]]:
    """Run a command that gets no further than its configuration, or has nothing to do with a pod."""
    text = keys if isinstance(keys, str) else json.dumps(keys)
    status, answer = main.run(POD | {"CNI_COMMAND": command} | variables, text)
    return status, json.loads(answer) if answer else {}


@given(VALUES)
def test_json_is_read_and_written_as_json_does(value: Any) -> None:
    assert loads(json.dumps(value, indent=1)) == value
    assert json.loads(dumps(value)) == value
    assert "\n" not in dumps(value)


@given(st.text(alphabet='{}[]",:0e-tn\\u \n'))
def test_what_is_no_json_is_refused(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError, match=r"line [0-9]+ column"):
            loads(text)
    else:
        assert loads(text) == expected


ON_PAIR: dict[str, Any] = {"linkInContainer": None, "failover": "ens3"}

REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"cniVersion": None}, 1, "cniVersion is missing, which means 0.1.0"),
    ({"cniVersion": "0.2.0"}, 1, "cniVersion '0.2.0' is not supported"),
    ({"cniVersion": 1}, 1, "cniVersion 1 is not supported"),
    ({"name": None}, 7, 'name "": '),
    ({"name": "a b"}, 7, 'name "a b": '),
    ({"name": 3}, 7, "name 3: "),
    ({"failover": "auto"}, 7, "linkInContainer true: with failover, the master is on the host"),
    ({"attach": "macvlan"}, 7, 'attach "macvlan": it is for failover'),
    ({"attach": "pair", "vlanId": None}, 7, 'attach "pair": it is for failover'),
    (ON_PAIR | {"attach": "pair"}, 7, "vlanId 3: with attach pair, the master moves as it is"),
    (ON_PAIR | {"attach": "pair", "vlanId": None, "mtu": 1400}, 7, "mtu 1400: with attach pair, the master moves"),
    (ON_PAIR | {"attach": "pair", "vlanId": None, "mode": "l2"}, 7, 'mode "l2": a pair has none'),
    (ON_PAIR | {"vlanId": None, "vlans": [{"attach": "pair"}]}, 7, "vlans[0].vlans "),
    ({"attach": "bridge"}, 7, 'attach "bridge": it is one of vlan, macvlan, ipvlan, pair'),
    ({"failover": ""}, 7, 'failover "": it is a master\'s name or MAC, or auto'),
    (ON_PAIR | {"master": "eth0"}, 7, 'master "eth0": with failover, that is the master'),
    (ON_PAIR | {"vlanId": None}, 7, "vlanId is missing; it is a number of 0 to 4094"),
    (ON_PAIR | {"vlanId": 0}, 7, "vlanId 0: it is 1 to 4094"),
    (ON_PAIR | {"mode": "l2"}, 7, 'mode "l2": a vlan has none'),
    (ON_PAIR | {"attach": "ipvlan", "mode": "bridge"}, 7, 'mode "bridge": it is one of l2, l3, l3s'),
    (ON_PAIR | {"attach": "ipvlan", "mac": "02:00:00:00:00:01"}, 7, 'mac "02:00:00:00:00:01": an ipvlan has'),
    (ON_PAIR | {"control": 3}, 7, "control 3: it is a string"),
    ({"linkInContainer": None}, 2, "linkInContainer false without failover is not supported"),
    ({"linkInContainer": False, "master": "eth0"}, 2, "linkInContainer false without failover is not supported"),
    ({"linkInContainer": "yes"}, 7, 'linkInContainer "yes": it is true or false'),
    ({"vlanId": None}, 7, "vlanId is missing; it is a number of 0 to 4094"),
    ({"vlanId": 4095}, 7, "vlanId 4095: it is 0 to 4094"),
    ({"vlanId": -1}, 7, "vlanId -1: it is 0 to 4094"),
    ({"vlanId": True}, 7, "vlanId true: it is a whole number"),
    ({"vlanId": 3.5}, 7, "vlanId 3.5: it is a whole number"),
    ({"vlanId": "3"}, 7, 'vlanId "3": it is a whole number'),
    ({"protocol": "802.1q"}, 7, 'protocol "802.1q": it is 802.1Q or 802.1ad'),
    ({"mtu": -1}, 7, "mtu -1: it is 0 or more"),
    ({"master": 3}, 7, "master 3: it is a string"),
    ({"master": "net1", "ifName": "net1"}, 7, 'master "net1": the VLAN would have the same name'),
    ({"master": "net1"}, 7, 'master "net1": the VLAN would have the same name'),
    ({"master": "a b"}, 7, "master \"a b\": it is '.' or '..', or has '/'"),
    ({"ifName": "\ud800"}, 7, "vlanId 3: the name '\\ud800' has a surrogate"),
    ({"ifName": "a/b"}, 7, "vlanId 3: the name 'a/b' is '.' or '..', or has '/'"),
    ({"ifName": "{ifname}-and-more-{vid}"}, 7, "vlanId 3: the name 'net1-and-more-3' is"),
    ({"ifName": "much-longer-than-that"}, 7, "vlanId 3: the name 'much-longer-than-that' has 21 bytes"),
    ({"mac": "02:00:00:00:00"}, 7, "mac: '02:00:00:00:00' is no MAC address"),
    ({"mac": "01:00:00:00:00:01"}, 7, "mac: '01:00:00:00:00:01' is no unicast MAC address"),
    ({"runtimeConfig": {"mac": "x"}, "mac": "02:00:00:00:00:01"}, 7, "runtimeConfig.mac: 'x' is no MAC address"),
    ({"dad": "no"}, 7, 'dad "no": it is wait or skip'),
    ({"acceptRa": 0}, 7, "acceptRa 0: it is true or false"),
    ({"ipam": [1]}, 7, "ipam [1]: it is an object"),
    ({"ipam": {"range": 1}}, 7, "ipam.type null: it is the name of an executable in CNI_PATH"),
    ({"ipam": {"type": "../x"}}, 7, 'ipam.type "../x": it is the name of an executable in CNI_PATH'),
    ({"vlans": [{"vlanId": 4}]}, 7, "vlanId 3: with vlans, each VLAN has its own"),
    ({"vlanId": None, "vlans": []}, 7, "vlans []: it has one VLAN at least"),
    ({"vlanId": None, "vlans": {}}, 7, "vlans {}: it is a list"),
    ({"vlanId": None, "vlans": [3]}, 7, "vlans[0] 3: it is an object"),
    ({"vlanId": None, "vlans": [{"vlanId": 4}, {"vlanId": 4}]}, 7, 'vlans[1].ifName "net1.4": another VLAN'),
    ({"vlanId": None, "vlans": [{"vlanId": 4}, {"vlanId": 5, "mtu": "x"}]}, 7, 'vlans[1].mtu "x": it is a whole'),
    ({"prevResult": 3}, 7, "prevResult 3: it is an object"),
    ({"prevResult": {"ips": [1]}}, 7, "prevResult.ips[0] 1: it is an object"),
    ({"prevResult": {"dns": []}}, 7, "prevResult.dns []: it is an object"),
    ({"dns": "x" * 100}, 7, f'dns "{"x" * 76}...: it is an object'),
]


@pytest.mark.parametrize(("keys", "code", "text"), REFUSED, ids=[json.dumps(row[0])[:60] for row in REFUSED])
def test_a_configuration_that_is_refused(keys: dict[str, Any], code: int, text: str) -> None:
    """Before anything is looked at: there is no such pod."""
    if "name 'net1-and-more-3'" in text:
        assert run("ADD", netconf(**keys))[1]["code"] == 3, "15 bytes are what the kernel takes"
        return
    status, answer = run("ADD", netconf(**keys))
    assert (status, answer["code"]) == (1, code), answer
    assert answer["msg"].startswith(text)
    wanted = keys.get("cniVersion", "1.1.0")
    assert answer["cniVersion"] == (wanted if isinstance(wanted, str) else "1.1.0")


@pytest.mark.parametrize("text", ["", "{", "{x", '{"a": "', "[]", "3", "nul", "[" * 100_000])
def test_what_is_no_configuration(text: str) -> None:
    status, answer = run("ADD", text)
    assert (status, answer["code"]) == (1, 6)
    assert answer["cniVersion"] == "1.1.0"


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"CNI_COMMAND": ""}, "CNI_COMMAND is not set; it is one of ADD, DEL, CHECK, GC, STATUS, VERSION"),
        ({"CNI_COMMAND": "add"}, "CNI_COMMAND is 'add'; it is one of"),
        ({"CNI_CONTAINERID": "", "CNI_NETNS": ""}, "ADD needs CNI_CONTAINERID and CNI_NETNS"),
        ({"CNI_IFNAME": ""}, "ADD needs CNI_IFNAME"),
        ({"CNI_CONTAINERID": "a/b"}, "CNI_CONTAINERID 'a/b' begins with no letter"),
        ({"CNI_CONTAINERID": "-a"}, "CNI_CONTAINERID '-a' begins with no letter"),
        ({"CNI_IFNAME": "sixteen-bytes-xx"}, "CNI_IFNAME 'sixteen-bytes-xx' has 16 bytes"),
        ({"CNI_IFNAME": "a:b"}, "CNI_IFNAME 'a:b' is '.' or '..', or has"),
        ({"CNI_COMMAND": "CHECK", "CNI_NETNS": ""}, "CHECK needs CNI_NETNS"),
        ({"CNI_COMMAND": "DEL", "CNI_CONTAINERID": ""}, "DEL needs CNI_CONTAINERID"),
    ],
)
def test_variables_that_are_refused(variables: dict[str, str], text: str) -> None:
    status, answer = main.run(POD | {"CNI_COMMAND": "ADD"} | variables, json.dumps(netconf()))
    found = json.loads(answer)
    assert (status, found["code"]) == (1, 4)
    assert found["msg"].startswith(text)


@pytest.mark.parametrize(("command", "since"), [("CHECK", "0.4.0"), ("GC", "1.1.0"), ("STATUS", "1.1.0")])
def test_a_command_that_a_version_does_not_have(command: str, since: str) -> None:
    for version in ("0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"):
        code = run(command, netconf(cniVersion=version, ipam=None))[1].get("code")
        assert (code == 1) is (version < since), version


def test_version_needs_nothing() -> None:
    supported = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]
    for text, version in (("", "1.1.0"), ('{"cniVersion": "0.4.0"}', "0.4.0"), ('{"cniVersion": "9.9"}', "9.9")):
        status, answer = main.run({"CNI_COMMAND": "VERSION"}, text)
        assert (status, json.loads(answer)) == (0, {"cniVersion": version, "supportedVersions": supported})
    assert json.loads(main.run({"CNI_COMMAND": "VERSION"}, "{")[1])["code"] == 6


def test_a_fault_of_its_own_is_an_error_object(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("no")

    monkeypatch.setattr("failoverd_cni.delete.delete", broken)
    status, answer = run("DEL", netconf())
    assert (status, answer["code"]) == (1, 999)
    assert "ZeroDivisionError: no" in answer["msg"]
    out, err = capfd.readouterr()
    assert "Traceback" in err
    assert out == ""


def test_status_asks_each_ipam_and_needs_no_pod(tmp_path: Path) -> None:
    ipam = FakeIpam(tmp_path)
    keys = netconf(vlanId=None, vlans=[{"vlanId": 3}, {"vlanId": 4}, {"vlanId": 5, "ipam": {}}])
    variables = {"CNI_COMMAND": "STATUS", "CNI_PATH": str(tmp_path)}
    assert main.run(variables, json.dumps(keys)) == (0, "")
    assert ipam.told() == [("STATUS", "", "net.3"), ("STATUS", "", "net.4")]
    ipam.answer({"STATUS": {"code": 50, "msg": "no server"}})
    status, answer = main.run(variables, json.dumps(keys))
    assert (status, json.loads(answer)["code"]) == (1, 50)
    assert len(ipam.told()) == 3


def test_garbage_is_collected_under_the_names_that_ipam_knows(tmp_path: Path) -> None:
    ipam = FakeIpam(tmp_path)
    rows = [{"containerID": "c1", "ifname": "net1"}, {"containerID": "c2", "ifname": "eth0"}]
    valid = {"cni.dev/valid-attachments": rows, "cni.dev/attachments": rows[:1]}
    keys = netconf(vlanId=None, vlans=[{"vlanId": 3}, {"vlanId": 4, "ifName": "v{vid}"}], **valid)
    variables = {"CNI_COMMAND": "GC", "CNI_PATH": str(tmp_path)}
    assert main.run(variables, json.dumps(keys)) == (0, "")
    found = [(call["keys"]["name"], *[call["keys"][key] for key in valid]) for call in ipam.calls()]
    first, second = (
        [{"containerID": c, "ifname": name} for c, name in names]
        for names in ((("c1", "net1.3"), ("c2", "eth0.3")), (("c1", "v4"), ("c2", "v4")))
    )
    assert found == [("net.3", first, first[:1]), ("net.4", second, second[:1])]
    ipam.answer({"GC": {"code": 9, "msg": "no"}})
    assert json.loads(main.run(variables, json.dumps(keys))[1])["code"] == 9
    assert len(ipam.calls()) == 4, "the others are collected all the same"
    for wrong in (3, [3], [{"containerID": "c1"}]):
        assert json.loads(main.run(variables, json.dumps(keys | {"cni.dev/attachments": wrong}))[1])["code"] == 7


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("", "is no JSON|Expecting value"),
        ("[]", "it is no JSON object"),
        ({}, "it has no ips"),
        ({"ips": {}}, "it has no ips"),
        ({"ips": [3]}, "its ips is no list of objects"),
        ({"ips": [{"address": "10.0.0.1"}]}, "'10.0.0.1' is no address with a prefix length"),
        ({"ips": [{"address": "10.0.0.1/33"}]}, "'10.0.0.1/33' has no prefix length of 0 to 32"),
        ({"ips": [{"address": "10.0.0.1/24", "gateway": "10.0.0.1/24"}]}, "is no address without a prefix length"),
        ({"ips": [{"address": 3}]}, "address 3 is no text"),
        ({"ips": [{"address": "10.0.0.1/24"}], "routes": [{"dst": "x"}]}, "'x' is no address"),
        ({"ips": [{"address": "10.0.0.1/24"}], "routes": [{"dst": "::/0", "mtu": -1}]}, "routes: mtu -1 is no number"),
        ({"ips": [{"address": "10.0.0.1/24"}], "routes": [{"dst": "::/0", "scope": 256}]}, "routes: scope 256"),
        ({"ips": [{"address": "10.0.0.1/24"}], "dns": [1]}, "its dns is no object"),
        ("x" * (1 << 21), "answered more than 1048576 bytes"),
    ],
)
def test_an_ipam_plugin_that_answers_nonsense(answer: Any, text: str, tmp_path: Path) -> None:
    from failoverd_cni.ipam import Ipam
    from failoverd_cni.variables import Variables

    ipam = FakeIpam(tmp_path)
    ipam.answer({"ADD": answer})
    conf = Netconf(json.dumps(netconf()), "ADD")
    with pytest.raises(CniError, match=text) as caught:
        Ipam(
            conf.vlans[0], Variables(environment() | POD | {"CNI_COMMAND": "ADD", "CNI_PATH": str(tmp_path)}), conf
        ).add()
    assert caught.value.code == 6


def test_an_ipam_plugin_that_is_none(tmp_path: Path) -> None:
    ipam = FakeIpam(tmp_path)
    keys = json.dumps(netconf())
    for path, text in (
        ("", "CNI_PATH, which is not set"),
        (f"/nonexistent:{tmp_path}/log", f"in /nonexistent:{tmp_path}/log"),
    ):
        answer = json.loads(main.run({"CNI_COMMAND": "STATUS", "CNI_PATH": path}, keys)[1])
        assert answer["code"] == 7
        assert text in answer["msg"]
    ipam.answer({"STATUS": {"code": "x", "msg": "y"}})
    assert json.loads(main.run({"CNI_COMMAND": "STATUS", "CNI_PATH": str(tmp_path)}, keys)[1])["code"] == 999
    (tmp_path / "fake").write_text("#!/bin/sh\nexit 3\n")
    answer = json.loads(main.run({"CNI_COMMAND": "STATUS", "CNI_PATH": str(tmp_path)}, keys)[1])
    assert answer["msg"] == "VLAN 3: the IPAM plugin fake, STATUS: ended with status 3, without an error object"
    (tmp_path / "fake").write_text("#!/nonexistent/interpreter\n")
    answer = json.loads(main.run({"CNI_COMMAND": "STATUS", "CNI_PATH": str(tmp_path)}, keys)[1])
    assert answer["msg"] == f"{tmp_path}/fake cannot be run: No such file or directory"


def test_addresses() -> None:
    four, six = Address("10.1.2.3/20"), Address("fd00::1:2/112")
    assert (four.family, four.bits, four.network(), four.broadcast()) == (AF_INET, 20, b"\x0a\1\0\0", b"\x0a\1\x0f\xff")
    assert (six.family, six.bits, six.network()[-3:], six.broadcast()) == (AF_INET6, 112, b"\1\0\0", b"")
    assert Address("10.1.2.3/31").broadcast() == b""
    assert Address("0.0.0.0/0").network() == bytes(4)
    for wrong in (
        "",
        "/",
        "10.0.0/8",
        "10.0.0.1/",
        "10.0.0.1/-1",
        "10.0.0.1/+1",
        "10.0.0.1/2 ",
        "::/129",
        "a\0b/1",
        "::1/²",
    ):
        with pytest.raises(ValueError, match=r"is no address|has no prefix length"):
            Address(wrong)
    assert mac_bytes("02:aB:00:00:00:01") == b"\2\xab\0\0\0\1"
    for wrong in (
        "",
        "02-00-00-00-00-01",
        "00:00:00:00:00:00",
        "2:00:00:00:00:01",
        "0x:00:00:00:00:01",
        "02:00:00:00:00:+1",
    ):
        with pytest.raises(ValueError, match="MAC"):
            mac_bytes(wrong)
