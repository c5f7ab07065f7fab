"""What hangs on a NIC and is seen on no device here, on the real kernel in namespaces that nothing else sees."""

from __future__ import annotations

import errno
import logging
import socket
import struct
import subprocess
from functools import partial
from pathlib import Path

import pytest
import trio
from privatenet import container, private_net, set_up
from trio.testing import MockClock

from failoverd.daemon.hanging import PATIENCE, hanging, joined_group
from failoverd.netlink.elsewhere import upper_elsewhere
from failoverd.netlink.listing import list_links
from failoverd.netlink.sockdiag import NETLINK_SOCK_DIAG
from failoverd.netlink.transport import KernelSocket
from failoverd.policy.stacking import standing_on

SO_BINDTODEVICE, IP_ADD_MEMBERSHIP, IPV6_JOIN_GROUP = 25, 35, 20
MDNS = "224.0.0.251"


def ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True)


def nic() -> int:
    """A veth with an address stands for the NIC; its other end is here, too."""
    ip("link set lo up")
    ip("link add v0 type veth peer name p0")
    ip("address add 10.0.0.1/24 dev v0")
    ip("link set p0 up")
    ip("link set v0 up")
    return socket.if_nametoindex("v0")


def look(ifindex: int) -> str:
    route = partial(KernelSocket.open, strict=True)
    return trio.run(hanging, route, partial(KernelSocket.open, protocol=NETLINK_SOCK_DIAG), ifindex)


@private_net
def test_nothing_hangs_on_a_nic_that_is_only_used() -> None:
    ifindex = nic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unbound, container() as pid:
        unbound.bind(("0.0.0.0", 7101))
        ip(f"link add v9 type veth peer name p9 netns {pid}")
        assert look(ifindex) == ""


@private_net
def test_a_macvlan_that_was_moved_to_a_container() -> None:
    ifindex = nic()
    with container() as pid:
        ip("link add mv0 link p0 type macvlan mode bridge")
        ip(f"link set mv0 netns {pid}")
        assert look(ifindex) == "", "it stands on another device"
        ip("link add mv1 link v0 type macvlan mode bridge")
        ip(f"link set mv1 netns {pid}")
        assert look(ifindex) == "the macvlan of a container (nsid 0) stands on it"


@private_net
def test_a_macvlan_that_was_made_in_its_container_is_known_by_its_mac_while_it_is_up() -> None:
    """Its namespace has no number here. One that is here is told by itself."""
    ifindex = nic()
    ip("link add mv0 link v0 address 02:00:00:00:00:01 type macvlan mode bridge")
    ip("link set mv0 up")
    assert look(ifindex) == ""
    with container() as pid:
        ip(f"link add mv1 link v0 netns {pid} address 02:42:0a:6f:00:32 type macvlan mode bridge")
        assert look(ifindex) == ""
        set_up(pid, "mv1")
        assert look(ifindex) == "something with the MAC 02:42:0a:6f:00:32, which no device here has, stands on it"
        assert look(ifindex + 1) == "", "it stands on another device"


@private_net
def test_a_vxlan_that_was_moved_to_a_container_and_one_that_is_here() -> None:
    """It tells its underlay among its own options, and not by IFLA_LINK."""
    ifindex = nic()

    async def links() -> dict[int, str]:
        sock = await KernelSocket.open()
        found = await list_links(sock, lambda link: link)
        sock.close()
        return standing_on({link.ifindex: link for link in found})

    ip("link add vx1 type vxlan id 7 dev v0 group 239.7.7.7 dstport 8472")
    assert trio.run(links) == {ifindex: "vx1@v0"}
    with container() as pid:
        ip(f"link set vx1 netns {pid}")
        assert trio.run(links) == {}
        assert look(ifindex) == "the vxlan of a container (nsid 0) stands on it"


@private_net
def test_sockets_that_are_bound_to_the_nic() -> None:
    ifindex = nic()
    for family, kind, port, found in (
        (socket.AF_INET, socket.SOCK_DGRAM, 7101, "a UDP socket (port 7101) is bound to it"),
        (socket.AF_INET6, socket.SOCK_DGRAM, 7102, "a UDP socket (port 7102) is bound to it"),
        (socket.AF_INET6, socket.SOCK_STREAM, 7103, "a TCP socket (port 7103) is bound to it"),
        (socket.AF_INET, socket.SOCK_DGRAM, 68, ""),
    ):
        with socket.socket(family, kind) as bound:
            bound.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, b"v0")
            bound.bind(("", port))
            if kind == socket.SOCK_STREAM:
                bound.listen()
            assert look(ifindex) == found
            assert look(1) == "", "it is bound to another device"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connected:
        connected.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, b"v0")
        connected.connect(("10.0.0.9", 514))
        assert look(ifindex) == f"a UDP socket (port {connected.getsockname()[1]}) is bound to it"
    with socket.socket() as connecting:
        connecting.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, b"v0")
        connecting.setblocking(False)
        assert connecting.connect_ex(("10.0.0.9", 179)) == errno.EINPROGRESS
        assert look(ifindex) == f"a TCP socket (port {connecting.getsockname()[1]}) is bound to it"
        assert look(1) == "", "it is bound to another device"
    for protocol, found in ((0x88F7, "a packet socket (protocol 0x88f7) is bound to it"), (0x88CC, ""), (0x0003, "")):
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as packet:
            packet.bind(("v0", protocol))
            assert look(ifindex) == found


@private_net
def test_groups_that_a_program_has_joined() -> None:
    ifindex = nic()
    for group, found in (("239.9.9.9", "a program has joined 239.9.9.9 on it"), (MDNS, "")):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as member:
            wanted = struct.pack("4s4si", socket.inet_aton(group), bytes(4), ifindex)
            member.setsockopt(socket.IPPROTO_IP, IP_ADD_MEMBERSHIP, wanted)
            assert look(ifindex) == found
    for group, found in (("ff05::1234", "a program has joined ff05::1234 on it"), ("ff02::fb", "")):
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as member:
            wanted = socket.inet_pton(socket.AF_INET6, group) + struct.pack("=i", ifindex)
            member.setsockopt(socket.IPPROTO_IPV6, IPV6_JOIN_GROUP, wanted)
            assert look(ifindex) == found


def test_what_cannot_be_read_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def refused() -> KernelSocket:
        raise PermissionError(1, "no")

    assert trio.run(hanging, refused, refused, 2, tmp_path) == ""
    assert caplog.text.count("cannot be read in full") == 4
    (tmp_path / "igmp").write_text("Idx\n2\tens3 : 1 V3\n\t\t\t\t090909EF 1 0:00000000 0\n")
    assert trio.run(joined_group, 2, tmp_path) == "a program has joined 239.9.9.9 on it"
    assert trio.run(joined_group, 3, tmp_path) == ""


def test_looking_takes_so_long_and_no_longer() -> None:
    async def never() -> KernelSocket:
        await trio.sleep_forever()
        raise AssertionError

    async def body() -> float:
        since = trio.current_time()
        assert await hanging(never, never, 2) == ""
        return trio.current_time() - since

    assert trio.run(body, clock=MockClock(autojump_threshold=0)) == pytest.approx(PATIENCE)


@private_net
def test_a_namespace_that_is_gone_by_now_is_passed_over() -> None:
    ifindex = nic()
    with container() as pid:
        ip("link add mv1 link v0 type macvlan mode bridge")
        ip(f"link set mv1 netns {pid}")
    assert trio.run(upper_elsewhere, partial(KernelSocket.open, strict=True), ifindex) in (
        "",
        "the macvlan of a container (nsid 0) stands on it",
    )
