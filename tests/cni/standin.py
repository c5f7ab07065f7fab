"""A pod on this kernel, for the CNI plugin: a namespace, an interface, an IPAM plugin that writes down its calls.

Not every kernel has VLANs, and the one that this was written on has none: a macvlan stands in for each. All else is the
kernel's own: names, addresses, routes, sysctls, duplicate address detection.
"""

from __future__ import annotations

import errno
import json
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from privatenet import container

from failoverd_cni import add, check, delete, main, netlink
from failoverd_cni.pod import Pod, RefusedError

ADDRESSES = {"ips": [{"address": "10.3.0.2/24", "gateway": "10.3.0.1"}], "routes": [{"dst": "10.99.0.0/16"}]}

PLUGIN = """#!{python} -IS
import json, posix, sys
variables = {{name.decode(): value.decode() for name, value in posix.environ.items() if name.startswith(b"CNI_")}}
keys = json.loads(sys.stdin.read())
with open({log!r}, "a") as log:
    log.write(json.dumps({{"variables": variables, "keys": keys}}) + "\\n")
with open({answers!r}) as file:
    answers = json.load(file)
answer = answers.get(variables["CNI_COMMAND"] + " " + variables.get("CNI_IFNAME", ""))
answer = answer or answers.get(variables["CNI_COMMAND"], "")
sys.stdout.write(answer if isinstance(answer, str) else json.dumps(answer))
sys.exit(isinstance(answer, dict) and "code" in answer)
"""
"""An IPAM plugin to the letter of the specification. What it answers is in a file, by command, or command and name."""


class FakeIpam:
    """An IPAM plugin `fake` in a directory of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log, self._answers = folder / "log", folder / "answers"
        self._log.write_text("")
        plugin = folder / "fake"
        plugin.write_text(PLUGIN.format(python=sys.executable, log=str(self._log), answers=str(self._answers)))
        plugin.chmod(0o755)
        self.answer({"ADD": ADDRESSES})

    def answer(self, answers: Mapping[str, Any]) -> None:
        """What it answers from now on: objects, error objects, or plain text."""
        self._answers.write_text(json.dumps(answers))

    def calls(self) -> list[dict[str, Any]]:
        """Its calls so far, with the variables and the configuration of each."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def told(self) -> list[tuple[str, str, str]]:
        """Command, CNI_IFNAME and the network's name of each."""
        return [
            (call["variables"]["CNI_COMMAND"], call["variables"].get("CNI_IFNAME", ""), call["keys"]["name"])
            for call in self.calls()
        ]


class MacvlanPod(Pod):
    """Makes a macvlan where a VLAN is asked for, and tells of it as of that VLAN."""

    made: dict[int, tuple[int, int]] = {}  # noqa: RUF012
    """VLAN id and protocol by the device's index."""
    fails_at = 0
    """The call that the kernel refuses, counted from 1; 0 for none."""
    calls = 0

    def _ask(self, request: bytes) -> list[bytes]:
        type(self).calls += 1
        if MacvlanPod.calls == MacvlanPod.fails_at:
            raise RefusedError(errno.EIO, "as the test wants it")
        return super()._ask(request)

    def make_vlan(self, name: str, parent: int, vid: int, protocol: int, mtu: int, mac: bytes) -> None:
        plain = netlink.new_vlan(name, parent, vid, protocol, mtu, mac)
        macvlan = netlink.attribute(netlink.INFO_KIND, b"macvlan")
        macvlan += netlink.attribute(netlink.INFO_DATA, netlink.attribute(1, struct.pack("=I", 4)))
        start = plain.index(netlink.attribute(netlink.INFO_KIND, b"vlan")) - 4
        body = plain[netlink.HEADER.size : start] + netlink.attribute(netlink.IFLA_LINKINFO, macvlan)
        self._ask(netlink.message(netlink.NEWLINK, netlink.ACK | netlink.CREATE | netlink.EXCL, body))
        found = super()._ask(netlink.get_link(name))[0]
        self.made[netlink.Link(found).index] = (vid, protocol)

    def link(self, name: str) -> netlink.Link | None:
        found = super().link(name)
        if found is not None and found.kind == b"macvlan" and found.index in self.made:
            found.kind = netlink.KIND
            found.vid, found.protocol = self.made[found.index]
        return found


class RealPod:
    """A pod, with the interface net1 that a plugin before has made."""

    def __init__(self, pid: int, path: str) -> None:
        self.pid = pid
        self.variables = {
            "CNI_CONTAINERID": "c1",
            "CNI_NETNS": f"/proc/{pid}/ns/net",
            "CNI_IFNAME": "net1",
            "CNI_PATH": path,
        }

    def run(self, command: str, keys: Mapping[str, Any] | str, **variables: str) -> tuple[int, dict[str, Any]]:
        """Run a command of the plugin. Its exit status, and its answer; empty for none."""
        text = keys if isinstance(keys, str) else json.dumps(keys)
        status, answer = main.run(self.variables | {"CNI_COMMAND": command} | variables, text)
        return status, json.loads(answer) if answer else {}

    def add(self, keys: Mapping[str, Any]) -> dict[str, Any]:
        """The result of an ADD that succeeds."""
        status, answer = self.run("ADD", keys)
        assert status == 0, answer
        return answer

    def inside(self, *command: str) -> str:
        """What a command in the pod prints; it must succeed."""
        words = ["nsenter", "-t", str(self.pid), "-n", *command]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout

    def ip(self, *words: str) -> list[dict[str, Any]]:
        """What `ip -j` in the pod tells."""
        found: list[dict[str, Any]] = json.loads(self.inside("ip", "-j", *words) or "[]")
        return [row for row in found if row]

    def devices(self) -> set[str]:
        """The names of the pod's devices."""
        return {row["ifname"] for row in self.ip("link")}

    def addresses(self, name: str) -> list[str]:
        """The addresses of a device, without those that the kernel gave it."""
        rows = self.ip("address", "show", "dev", name)[0]["addr_info"]
        return [f"{row['local']}/{row['prefixlen']}" for row in rows if row["scope"] != "link"]


@contextmanager
def real_pod(folder: Path) -> Iterator[tuple[RealPod, FakeIpam]]:
    """A pod whose net1 is up, beside this process's namespace, and an IPAM plugin `fake`."""
    folder.mkdir(exist_ok=True)
    ipam = FakeIpam(folder)
    with container() as pid:
        pod = RealPod(pid, f"/nonexistent:{folder}:/usr/lib/cni")
        for words in (
            ["ip", "link", "add", "host1", "type", "veth", "peer", "name", "net1", "netns", str(pid)],
            ["ip", "link", "set", "host1", "up"],
        ):
            subprocess.run(words, check=True)
        pod.inside("ip", "link", "set", "net1", "up")
        yield pod, ipam


@contextmanager
def standing_in() -> Iterator[type[MacvlanPod]]:
    """While this is open, the plugin makes macvlans. Only for the process of a test with a namespace of its own."""
    MacvlanPod.made.clear()
    MacvlanPod.calls = MacvlanPod.fails_at = 0
    with pytest.MonkeyPatch.context() as patch:
        for module in (add, check, delete):
            patch.setattr(module, "Pod", MacvlanPod)
        yield MacvlanPod


def netconf(**keys: Any) -> dict[str, Any]:
    """A configuration of version 1.1.0: VLAN 3 on CNI_IFNAME, with the addresses of `fake`; None takes a key out."""
    usual = {
        "cniVersion": "1.1.0",
        "name": "net",
        "type": "failoverd-cni",
        "linkInContainer": True,
        "vlanId": 3,
        "ipam": {"type": "fake"},
    }
    return {key: value for key, value in (usual | keys).items() if value is not None}
