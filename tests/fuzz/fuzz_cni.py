"""What a container runtime passes to failoverd-cni, and what an IPAM plugin answers.

Whatever it is, there is an error object of one line, or a plan that the kernel can be asked for. DEL refuses nothing
for a key of its VLANs.
"""

from __future__ import annotations

import json

from fuzzing import Harness

from failoverd_cni import fastjson
from failoverd_cni.errors import INVALID_NETCONF, CniError
from failoverd_cni.ipam import Addresses
from failoverd_cni.netconf import Netconf, document
from failoverd_cni.netlink import Link, new_route, new_vlan
from failoverd_cni.result import Result

COMMANDS = ("ADD", "CHECK", "GC", "STATUS", "DEL")
LINK = Link(bytes(16))


def one(data: bytes) -> None:
    """See the module."""
    text = data.decode(errors="replace")
    found = answered(text)
    for command in COMMANDS:
        error = refused(text, command, found)
        if error is not None:
            line = fastjson.dumps(error.document("1.1.0"))
            assert "\n" not in line
            assert json.loads(line)["code"] == error.code
            assert command != "DEL" or error.code != INVALID_NETCONF


def refused(text: str, command: str, found: Addresses | None) -> CniError | None:
    """Run a command; its error, if it has one."""
    try:
        asked(text, command, found)
    except CniError as error:
        return error
    return None


def asked(text: str, command: str, found: Addresses | None) -> None:
    """Do what the command does without a pod. Raises CniError."""
    netconf = Netconf(text, command)
    for vlan in netconf.vlans:
        json.loads(netconf.delegated(vlan))
        if command != "DEL":
            [name] = netconf.names("net1")[:1]
            new_vlan(name, 2, vlan.id, vlan.protocol, min(vlan.mtu, 1500), vlan.mac)
    if command != "DEL":
        result = Result(netconf, "/run/netns/x")
        for vlan in netconf.vlans:
            result.add("net1.3", LINK, found, {0: 2051})
            result.add_dns(vlan, found)
        assert json.loads(fastjson.dumps(result.document()))["cniVersion"] == netconf.version


def answered(text: str) -> Addresses | None:
    """Read the same as the answer of an IPAM plugin."""
    try:
        found = Addresses(document(text))
    except (CniError, ValueError):
        return None
    for route in found.routes:
        new_route(2, route.dst, route.gateway or found.gateways.get(route.dst.family), route.numbers)
    return found


def seeds() -> list[bytes]:
    """Configurations and answers, and one document that is both."""
    plain = {"cniVersion": "1.1.0", "name": "n", "linkInContainer": True, "vlanId": 3, "ipam": {"type": "static"}}
    many = {"vlans": [{"vlanId": 4, "mac": "02:00:00:00:00:01", "mtu": 1400}, {"vlanId": 5, "ifName": "v{vid}"}]}
    before = {"interfaces": [{"name": "net1", "sandbox": "x"}], "ips": [{"address": "192.0.2.1/24", "interface": 0}]}
    route = {"dst": "0.0.0.0/0", "gw": "10.0.0.1", "mtu": 1400, "priority": 9, "table": 7, "scope": 253}
    answer = {"ips": [{"address": "10.0.0.2/24", "gateway": "10.0.0.1"}, {"address": "fd00::2/64"}], "routes": [route]}
    answer |= {"dns": {"nameservers": ["10.0.0.1"], "domain": "x"}}
    keys = {key: value for key, value in plain.items() if key != "vlanId"}
    documents = (plain, keys | many, plain | {"prevResult": before | {"dns": answer["dns"]}}, answer, plain | answer)
    return [json.dumps(found).encode() for found in documents]


KEYS = (
    "master",
    "protocol",
    "802.1ad",
    "dad",
    "skip",
    "acceptRa",
    "failover",
    "attach",
    "runtimeConfig",
    "dns",
    "0.3.1",
)
VALUES = (b"null", b"[]", b"{}", b"-1", b"1e999", b"4094", b'"\\ud800"', b'"::/0"', b"true")
WORDS = (*(f'"{key}"'.encode() for key in KEYS), *VALUES)

HARNESS = Harness("cni", one, seeds, WORDS, 4096)
