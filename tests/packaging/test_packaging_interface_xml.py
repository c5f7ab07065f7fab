"""The XML of interfaces is libvirt's: valid by interface.rng of Debian 12's and 13's libvirt, with iproute2's values.

On links of every kind that this kernel has, told by the command; and on made-up machines with every kind and option
that the inventory knows.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from daemonprocess import PATIENCE, Daemon, places
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from interfacexml import ASKED, Facts, by_iproute2, by_xml, kind_commands, unlike
from libvirtschema import PACKAGES, errors, schema
from lxml import etree
from privatenet import private_net

from failoverd.inventory.facts import (
    OPERSTATES,
    RTPROT_DHCP,
    RTPROT_RA,
    BondOptions,
    BridgeOptions,
    DefaultRoute,
    Interface,
    IpAddress,
    Options,
    VlanOptions,
)
from failoverd.inventory.stock import Stock
from failoverd.inventory.xml import lines_of

LINKS = """\
link add v0 address 52:54:00:00:00:01 type veth peer name v1
link add name 7 type veth peer name vm.e0
link add name a&b type veth peer name <x>
link add name x\udcff type veth peer name é
link add br0 type bridge
link set v1 master br0
link set x\udcff master br0
link set <x> master br0
link set v1 up
link set v0 up mtu 1400
link set br0 up
link set lo up
addr add 10.0.0.2/24 dev v0
addr add 10.9.0.1 peer 10.9.0.9/32 dev v0
addr add 2001:db8::2/64 dev v0 nodad
addr add 192.0.2.7/32 dev lo
addr add 10.0.1.2/24 dev br0
route add default via 10.0.0.1 dev v0 metric 200 proto dhcp
route add default via 10.0.0.9 dev v0 metric 100
route add default via inet6 2001:db8::3 dev br0 metric 300
route add default via 2001:db8::1 dev v0 proto ra
"""


@pytest.fixture(autouse=True, scope="module")
def schemas() -> None:
    """They are downloaded before a test is in a namespace without a network."""
    for suite in PACKAGES:
        schema(suite)


def made() -> int:
    """Make links; returns how many of the kinds this kernel has."""
    batch(LINKS.encode("utf-8", "surrogateescape"))
    # One by one: iproute2 ends with the batch over a word that it does not know.
    for command in kind_commands("v0"):
        batch(f"{command}\n".encode())
    said = subprocess.run(["ip", "-br", "link"], capture_output=True, check=True, timeout=60).stdout
    return sum(line.startswith(b"k") for line in said.splitlines())


def batch(commands: bytes) -> None:
    """As far as this kernel has it."""
    subprocess.run(["ip", "-force", "-batch", "-"], input=commands, capture_output=True, check=False, timeout=60)


def facts_of_iproute2() -> Facts:
    """What is so, as iproute2 says."""
    said = {
        what: subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
        for what, command in ASKED.items()
    }
    return by_iproute2(said)


@private_net
def test_every_kind_that_this_kernel_has(tmp_path: Path) -> None:
    """Learnt by events, and by a dump. The kernel has afterthoughts (the link watch), so it may take a moment."""

    def told() -> str:
        command = [sys.executable, "-c", "from failoverd.cli.ctl import main; raise SystemExit(main())"]
        environment = os.environ | places(tmp_path)
        done = subprocess.run(
            [*command, "interface-xml", "--all"], env=environment, capture_output=True, check=False, timeout=60
        )
        refused = done.stderr.decode().splitlines()
        assert (done.returncode, len(refused)) == ((1, 1) if has_links else (0, 0)), refused
        return done.stdout.decode()

    def is_as_iproute2_says() -> None:
        end = time.monotonic() + PATIENCE
        while True:
            said, documents = facts_of_iproute2(), told()
            said.pop("x\udcff")
            said["br0"]["parts"].remove("x\udcff")
            differ = unlike(said, by_xml(ElementTree.fromstring(documents)))
            if not differ or time.monotonic() > end:
                break
        assert differ == []
        for suite in PACKAGES:
            # A bond without slaves is none by the schema, and libvirt's parser takes it.
            lone = [one for one in etree.fromstring(documents) if one.find("bond") is None or len(one.find("bond"))]
            assert [error for one in lone for error in errors(suite, one)] == []

    has_links = False
    with Daemon(tmp_path, into=()) as daemon:
        daemon.hears("READY=1")
        told()
        has_links, kinds = True, made()
        assert kinds > 3
        is_as_iproute2_says()
        assert daemon.end() == 0
    (tmp_path / "again").mkdir()
    with Daemon(tmp_path, into=()) as daemon:
        daemon.hears("READY=1")
        is_as_iproute2_says()
        assert daemon.end() == 0


NAMES = st.one_of(
    st.sampled_from(["7", "vm.e0", "-dash", "a&b", "<x>", "{name}", "é", "'\"", "--all", "br0"]),
    st.text(st.characters(codec="utf-8", min_codepoint=33, exclude_characters="/:"), min_size=1, max_size=15),
)
MACS = st.sampled_from(["", "52:54:00:00:00:01", "00:00:00:00:00:00", "7f:00:00:01", ":".join(["fe"] * 20)])
TIMES = st.integers(0, 10_000)
BOND = st.builds(
    BondOptions,
    mode=st.sampled_from(["", "active-backup", "balance-rr", "802.3ad", "balance-alb"]),
    primary=st.integers(0, 8),
    miimon=TIMES,
    updelay=TIMES,
    downdelay=TIMES,
    netif_carrier=st.booleans(),
    arp_interval=TIMES,
    arp_validate=st.sampled_from(["", "none", "active", "backup", "all"]),
    arp_target=st.sampled_from(["", "10.0.0.9"]),
)
OPTIONS: dict[str, st.SearchStrategy[Options]] = {
    "bond": BOND,
    "bridge": st.builds(BridgeOptions, stp=st.booleans(), forward_delay=st.integers(0, 10_000)),
    "vlan": st.builds(VlanOptions, id=st.integers(0, 4095)),
}
ADDRESSES = st.lists(
    st.one_of(
        st.builds(IpAddress, st.just(4), st.ip_addresses(v=4).map(str), st.integers(0, 32)),
        st.builds(IpAddress, st.just(6), st.ip_addresses(v=6).map(str), st.integers(0, 128), st.booleans()),
    ),
    max_size=4,
)


@st.composite
def machines(draw: st.DrawFn) -> Stock:
    """Any interfaces, under and over each other in any way, with addresses and routes."""
    stock = Stock()
    count = draw(st.integers(1, 8))
    for ifindex in range(1, count + 1):
        kind = draw(st.sampled_from(["", "veth", "tun", "vrf", "bridge", "bridge", "bond", "bond", "vlan", "vlan"]))
        seen = Interface(
            ifindex=ifindex,
            name=draw(NAMES),
            kind=kind,
            mac=draw(MACS),
            up=draw(st.booleans()),
            running=draw(st.booleans()),
            operstate=draw(st.sampled_from(OPERSTATES)),
            mtu=draw(st.integers(0, (1 << 32) - 1)),
            master=draw(st.integers(0, count)),
            lower=draw(st.integers(0, count)),
            options=draw(st.one_of(st.none(), OPTIONS[kind])) if kind in OPTIONS else None,
        )
        stock.see(seen)
        stock.set_addresses(ifindex, draw(ADDRESSES))
        stock.set_speed(ifindex, seen, draw(st.sampled_from([0, 10, 100_000])))
    gateways = st.sampled_from(["", "10.0.0.1", "2001:db8::1"])
    protocols = st.sampled_from([0, RTPROT_RA, RTPROT_DHCP])
    where, families = st.integers(1, count), st.sampled_from([4, 6])
    routes = st.builds(DefaultRoute, families, where, st.integers(0, 3), gateways, protocol=protocols)
    stock.set_routes(draw(st.lists(routes, max_size=4)))
    return stock


@pytest.mark.parametrize("suite", PACKAGES)
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(machines())
def test_every_document_is_valid(suite: str, stock: Stock) -> None:
    for entry in stock.entries.values():
        try:
            text = "\n".join(lines_of(stock, entry))
        except ValueError:
            continue
        document = etree.fromstring(text)
        if document.get("type") == "bond" and document.find("bond/interface") is None:
            assert errors(suite, document) != [], "the schema has a bond without slaves by now: say so in the docs"
        else:
            assert errors(suite, document) == [], text


@pytest.mark.parametrize("suite", PACKAGES)
def test_the_schema_refuses_what_is_wrong(suite: str) -> None:
    for wrong in ("<interface type='ethernet'/>", "<interface type='bridge' name='b'><bridge/><link/></interface>"):
        assert errors(suite, etree.fromstring(wrong)) != []
