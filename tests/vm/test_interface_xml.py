"""The XML of interfaces in real guests: the kinds that Debian 12's and 13's kernels have, joined pair among them.

`interface-xml --all` is valid by the schema of that release's own libvirt and has iproute2's values, learnt by events
and by a daemon that has just started.

In `make test-guest-more`. The kinds that the kernel of this machine has are in tests/packaging, too.
"""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import pytest
import trio
from interfacexml import ASKED, by_iproute2, by_xml, kind_commands, unlike
from libvirtschema import errors, schema
from lxml import etree
from pairguest import PairGuest, pair_guest, run

from failoverd_lab import install

pytestmark = [pytest.mark.vm, pytest.mark.more]

LINKS = """\
link add v0 type veth peer name v1
link add v2 type veth peer name vm.e0
link add d0 type dummy
link add d1 type dummy
link add d2 type dummy
link add a&b type dummy
link add bond7 type bond mode active-backup miimon 200 updelay 400 downdelay 600
link add bond8 type bond mode balance-rr arp_interval 250 arp_ip_target 10.8.0.9,10.8.0.10
link add bond9 type bond mode 802.3ad miimon 100
link set d0 master bond7
link set d1 master bond7
link set bond7 type bond primary d1
link set v1 master bond8
link add link v0 name v0.5 type vlan id 5
link add link v0 name nodot type vlan protocol 802.1ad id 4094
link add link bond7 name lan type vlan id 7
link add br0 type bridge forward_delay 400 stp_state 1
link add br1 type bridge
link set vm.e0 master br0
link set lan master br0
link set bond9 master br0
link set a&b master br0
link add vrf0 type vrf table 10
link set nodot master vrf0
link add link v0 name mv0 type macvlan mode bridge
link add link v0 name mt0 type macvtap mode bridge
link add link d2 name iv0 type ipvlan
link add vx0 type vxlan id 6 dstport 4789 local 127.0.0.1
link set lo up
link set bond7 up
link set bond8 up
link set br0 up mtu 1400
link set br1 up
link set v0 up
link set v1 up
link set v2 up
link set vm.e0 up
link set v0.5 up
link set lan up
link set mv0 up
link set vx0 up
link set a&b up
addr add 10.8.0.1/24 dev bond8
addr add 10.7.0.1/24 dev br0
addr add 10.7.0.2/24 dev br0
addr add 10.9.0.1 peer 10.9.0.9/32 dev v0.5
addr add 2001:db8:7::1/64 dev br0 nodad
addr add 2001:db8:8::1/64 dev bond8 nodad
route add default via 10.7.0.9 dev br0 metric 300 proto dhcp
route add default via 10.8.0.8 dev bond8 metric 400
route add default via 10.8.0.7 dev bond8 metric 350
route add default via 2001:db8:7::9 dev br0 metric 300 proto ra
"""
MAKE = """
modprobe -a bonding 8021q dummy bridge macvlan ipvlan vxlan vrf 2>/dev/null || true
rm -f /run/refused
while read -r line; do ip $line 2>>/run/refused || echo "$line" >>/run/refused; done <"$1"
"""
"""One by one, as iproute2 ends with a batch over a word that it does not know."""
TELL = """
for what in "$@"; do $what; echo; echo ----; done
failoverctl interface-xml --all
"""
WANTED = {"bond", "bridge", "vlan", "macvlan", "macvtap", "ipvlan", "vxlan", "dummy", "veth", "vrf", "sit", "wireguard"}
"""Kinds that each kernel of Debian's has."""
SECONDS = 30.0
"""Within which the kernel's afterthoughts are over: the link watch, and duplicate address detection."""


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_every_kind_of_the_guests_kernel(suite: str) -> None:
    schema(suite)

    async def is_as_iproute2_says(pair: PairGuest) -> dict[str, Any]:
        differ: list[Any] = ["nothing was told"]
        with trio.move_on_after(SECONDS):
            while differ:
                told = await pair.shell(TELL, *(" ".join(command) for command in ASKED.values()))
                *said, document = told.split("\n----\n")
                answers = {what: text.encode() for what, text in zip(ASKED, said, strict=True)}
                differ = unlike(by_iproute2(answers), by_xml(ElementTree.fromstring(document)))
        assert differ == []
        for one in etree.fromstring(document):
            has_none = one.get("type") == "bond" and one.find("bond/interface") is None
            assert bool(errors(suite, one)) == has_none, errors(suite, one)
        rows: list[dict[str, Any]] = json.loads(answers["links"])
        return {row["ifname"]: row.get("linkinfo", {}).get("info_kind") for row in rows}

    async def test() -> None:
        async with pair_guest(suite=suite) as pair:
            await install.start(pair.guest)
            master = await pair.accelerated()
            await pair.shell("failoverctl interfaces")
            lines = [*LINKS.splitlines(), *kind_commands("v2")]
            await pair.guest.put("/run/links", "\n".join([*lines, ""]).encode())
            await pair.shell(MAKE, "/run/links")
            kinds = await is_as_iproute2_says(pair)
            refused = await pair.shell("cat /run/refused")
            print(f"{suite}: {sorted(set(filter(None, kinds.values())))}\n{refused}")
            assert set(kinds.values()) >= WANTED, refused
            assert kinds[master["name"]] == "bond"
            await install.stop(pair.guest)
            await install.start(pair.guest)
            await pair.accelerated()
            assert await is_as_iproute2_says(pair) == kinds

    run(test)
