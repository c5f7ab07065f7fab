"""libvirt's own clients, unmodified, on a machine without a libvirt daemon: a real failoverd and failoverd-libvirt.

Those of this machine's release, and of Debian 13 (libvirt 11.3).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from daemonprocess import Daemon, places
from libvirtclients import Clients, clients
from libvirtservice import libvirt_service
from privatenet import inside

MAKE = """\
link add br0 type bridge
link set br0 up
link add v0 address 52:54:00:00:00:01 type veth peer name v1 address 52:54:00:00:00:02
link set v1 master br0
link set v0 up
link set v1 up
addr add 192.0.2.1/24 dev v0
route add default via 192.0.2.254
link add 7 address 52:54:00:00:00:03 type veth peer name a&b address 52:54:00:00:00:03
link add vm.e0 address 52:54:00:00:00:04 type veth peer name \udcff address 52:54:00:00:00:05
"""
UP, DOWN = ["br0", "v0", "v1"], ["7", "a&b", "lo", "vm.e0"]
XPATH = "//protocol[@family='ipv4']/ip/@address"


class Machine(NamedTuple):
    """A machine that has some interfaces, and who asks it."""

    where: Path
    """The directory with its sockets."""
    clients: Clients


@pytest.fixture(scope="module", params=["here", "trixie"])
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine that runs."""
    asking = clients(request.param)
    where = tmp_path_factory.mktemp("machine")
    (where / "make").write_bytes(MAKE.encode("utf-8", "surrogateescape"))
    begin = ["sh", "-c", f'ip -batch {where}/make && exec "$@"', "sh"]
    with Daemon(where, into=inside(*begin)) as daemon:
        daemon.hears("READY=1")
        with libvirt_service(where, Path(places(where)["FAILOVERD_CONTROL"])) as program:
            yield Machine(where, asking)
            assert program.poll() is None
        assert daemon.end() == 0


def virsh(machine: Machine, *words: str, read_only: bool = False) -> subprocess.CompletedProcess[str]:
    uri = f"interface:///system?socket={machine.where}/{'sock-ro' if read_only else 'sock'}"
    command = [*machine.clients.virsh, *(["-r"] if read_only else []), "-c", uri, *words]
    return ran(machine, command)


def ran(machine: Machine, command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = machine.clients.environment
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)


def said(machine: Machine, *words: str, read_only: bool = False) -> str:
    done = virsh(machine, *words, read_only=read_only)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def refused(machine: Machine, *words: str, read_only: bool = False) -> str:
    done = virsh(machine, *words, read_only=read_only)
    assert done.returncode == 1, done.stdout
    return done.stderr.splitlines()[-1]


def names(table: str) -> dict[str, str]:
    """Name and state of each line."""
    head, line, *rows = table.strip("\n").splitlines()
    assert head.split() == ["Name", "State", "MAC", "Address"]
    assert set(line) == {"-"}
    return {row.split()[0]: row.split()[1] for row in rows}


def settled(machine: Machine) -> None:
    """Wait for the veths' carriers."""
    deadline = time.monotonic() + 20
    while list(names(said(machine, "iface-list"))) != UP:
        assert time.monotonic() < deadline, said(machine, "iface-list", "--all")


@pytest.mark.parametrize("read_only", [False, True])
def test_virsh_lists_interfaces(machine: Machine, read_only: bool) -> None:
    settled(machine)
    active, inactive = dict.fromkeys(UP, "active"), dict.fromkeys(DOWN, "inactive")
    assert names(said(machine, "iface-list", read_only=read_only)) == active
    assert names(said(machine, "iface-list", "--inactive", read_only=read_only)) == inactive
    table = said(machine, "iface-list", "--all", read_only=read_only)
    assert names(table) == active | inactive
    assert re.search(r"^ v0 +active +52:54:00:00:00:01$", table, re.MULTILINE)


@pytest.mark.parametrize("read_only", [False, True])
def test_virsh_shows_the_daemons_own_document(machine: Machine, read_only: bool) -> None:
    settled(machine)
    shown = said(machine, "iface-dumpxml", "v0", read_only=read_only)
    assert shown.startswith("<interface type='ethernet' name='v0'>\n  <mtu size='1500'/>\n")
    assert "<ip address='192.0.2.1' prefix='24'/>\n    <route gateway='192.0.2.254'/>" in shown
    assert said(machine, "iface-dumpxml", "--inactive", "v0", read_only=read_only) == shown
    assert "<interface type='ethernet' name='v1'>" in said(machine, "iface-dumpxml", "br0", read_only=read_only)
    assert "name='a&amp;b'" in said(machine, "iface-dumpxml", "a&b", read_only=read_only)
    assert said(machine, "iface-dumpxml", "v0", "--xpath", XPATH).strip() == 'address="192.0.2.1"'


def test_virsh_finds_by_name_and_by_mac(machine: Machine) -> None:
    assert said(machine, "iface-mac", "vm.e0").strip() == "52:54:00:00:00:04"
    assert said(machine, "iface-mac", "7").strip() == "52:54:00:00:00:03"
    assert said(machine, "iface-name", "52:54:00:00:00:01").strip() == "v0"
    assert "2 have '52:54:00:00:00:03': 7, a&b" in refused(machine, "iface-name", "52:54:00:00:00:03")
    for word in ("nosuch", "2", "52:54:00:00:00:99"):
        assert "Interface not found" in refused(machine, "iface-dumpxml", word)


def test_virsh_changes_nothing(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "x.xml").write_text("<interface type='ethernet' name='x'/>")
    before = said(machine, "iface-list", "--all")
    define, words = ("iface-define", str(tmp_path / "x.xml")), ("iface-destroy", "v0")
    for command, function in {
        define: "virInterfaceDefineXML",
        words: "virInterfaceDestroy",
        ("iface-start", "7"): "virInterfaceCreate",
        ("iface-undefine", "7"): "virInterfaceUndefine",
        ("iface-begin",): "virInterfaceChangeBegin",
        ("iface-commit",): "virInterfaceChangeCommit",
        ("iface-rollback",): "virInterfaceChangeRollback",
    }.items():
        text = f"error: this function is not supported by the connection driver: {function}"
        assert refused(machine, *command) == text
        assert "read only access" in refused(machine, *command, read_only=True)
    assert said(machine, "iface-list", "--all") == before


def test_debian_13s_virsh_is_no_other(machine: Machine) -> None:
    version = ran(machine, [*machine.clients.virsh, "--version"]).stdout.split(".")
    if machine.clients is clients("trixie"):
        assert version[:2] == ["11", "3"]
    assert int(version[0]) >= 9


def test_virsh_is_told_what_this_is(machine: Machine) -> None:
    assert said(machine, "uri").startswith("interface:///system")
    assert said(machine, "hostname").strip() == os.uname().nodename
    for words in (("list",), ("net-list",), ("capabilities",), ("event", "--all")):
        assert "not supported" in refused(machine, *words)
    other = [*machine.clients.virsh, "-c", f"interface:///session?socket={machine.where}/sock", "iface-list"]
    done = ran(machine, other)
    assert "unexpected interface URI" in done.stderr


def test_virsh_stays_connected_and_follows(machine: Machine) -> None:
    """One connection that is there for a while: a ping that is not answered within a second or two would end it."""
    uri = f"interface:///system?socket={machine.where}/sock"
    command, environment = [*machine.clients.virsh, "-k", "1", "-K", "1", "-c", uri], machine.clients.environment
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as shell:
        assert shell.stdin is not None
        shell.stdin.write("iface-mac v0\n")
        shell.stdin.flush()
        time.sleep(3.5)
        assert shell.poll() is None
        out, _ = shell.communicate("iface-mac v1\nquit\n", timeout=20)
    assert re.findall(r"52:54:00:00:00:0[12]", out) == ["52:54:00:00:00:01", "52:54:00:00:00:02"]


PLAIN = """
mount -t tmpfs none /run
mkdir /run/libvirt
ln -s "$0/sock" /run/libvirt/virtinterfaced-sock
ln -s "$0/sock-ro" /run/libvirt/virtinterfaced-sock-ro
exec "$@"
"""
"""In a mount namespace of its own: the sockets where the units of failoverd-libvirt have them."""


@pytest.mark.parametrize("options", [[], ["-r"]])
def test_virsh_finds_the_sockets_by_itself(machine: Machine, options: list[str]) -> None:
    unshare = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    asked = [*machine.clients.virsh, *options, "-c", "interface:///system", "iface-mac", "v0"]
    done = ran(machine, [*unshare, "sh", "-c", PLAIN, str(machine.where), *asked])
    assert (done.stdout.strip(), done.stderr) == ("52:54:00:00:00:01", "")


CLIENT = """
import json, sys, libvirt
libvirt.registerErrorHandler(lambda *_: None, None)
def refused(call, *arguments):
    try:
        call(*arguments)
    except libvirt.libvirtError as error:
        return error.get_error_code(), error.get_error_domain()
rows = []
for opened in (libvirt.open, libvirt.openReadOnly):
    c = opened(sys.argv[1])
    all = c.listAllInterfaces()
    v0 = c.interfaceLookupByName("v0")
    rows.append({
        "all": [[i.name(), i.MACString(), bool(i.isActive())] for i in all],
        "active": [i.name() for i in c.listAllInterfaces(libvirt.VIR_CONNECT_LIST_INTERFACES_ACTIVE)],
        "names": c.listInterfaces(), "defined": c.listDefinedInterfaces(),
        "numbers": [c.numOfInterfaces(), c.numOfDefinedInterfaces()],
        "documents": {i.name(): i.XMLDesc(0) for i in all for _ in range(3)},
        "by mac": c.interfaceLookupByMACString("52:54:00:00:00:01").name(),
        "refused": [
            refused(c.interfaceLookupByName, "nosuch"),
            refused(c.interfaceLookupByMACString, "52:54:00:00:00:03"),
            refused(v0.XMLDesc, 8),
            refused(c.listAllDomains) ,
        ],
        "is": [c.getType(), c.getLibVersion(), c.isSecure(), c.isAlive(), c.isEncrypted()],
    })
    c.close()
print(json.dumps(rows))
"""


def test_libvirt_python_gets_all_of_it(machine: Machine) -> None:
    def client() -> list[dict[str, Any]]:
        uri = f"interface:///system?socket={machine.where}/sock"
        done = ran(machine, [*machine.clients.python, "-c", CLIENT, uri])
        assert done.returncode == 0, done.stderr
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found

    deadline = time.monotonic() + 20
    while (found := client())[0]["active"] != UP:
        assert time.monotonic() < deadline, found
    for one in found:
        assert {name: active for name, _, active in one["all"]} == dict.fromkeys(UP, True) | dict.fromkeys(DOWN, False)
        assert (one["names"], one["defined"], one["numbers"]) == (UP, DOWN, [3, 4])
        assert one["by mac"] == "v0"
        assert set(one["documents"]) == {*UP, *DOWN}
        assert all(text.startswith("<interface type=") for text in one["documents"].values())
        assert one["refused"] == [[57, 26], [59, 26], [8, 26], [3, 26]]
        assert one["is"] == ["interface", 9000000, 1, 1, 0]
