"""What somebody else has set up on the NICs of a tc pair: left in place, and where it conflicts the pair is refused.

On the real kernel: what is there is compared row by row, as the kernel tells it, before failoverd came, while it is
there, and after it has let the pair go.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

import pytest
import trio
import trio.testing
from privatenet import private_net

from failoverd.config.load import from_mapping
from failoverd.core.status import status
from failoverd.daemon.calls import carry_out
from failoverd.daemon.engine import Engine
from failoverd.daemon.ports import Ports
from failoverd.daemon.store import MemoryStore
from failoverd.model.links import Link
from failoverd.model.requests import SetUp
from failoverd.netlink import tc
from failoverd.netlink.announce import announce
from failoverd.netlink.frames import NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLMSG_DONE, attribute, build, split
from failoverd.netlink.links import INFO, RTM_NEWLINK
from failoverd.netlink.transport import EVENTS, KernelSocket
from failoverd_lab.rtnl import Rtnl

MAC = "52:54:00:fa:11:01"
PV, VF, ELSEWHERE = 100, 101, 102
ADD = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL
INET = 0x0008
"""ETH_P_IP in network byte order."""

OPEN = partial(KernelSocket.open, strict=True)
Body = Callable[["Machine"], Awaitable[None]]


class Machine:
    """A paravirtual NIC, a VF and a third one in a namespace, and failoverd beside them."""

    def __init__(self) -> None:
        self.rtnl = Rtnl()
        self.engine: Engine
        self.nursery: trio.Nursery

    async def plug(self, ifindex: int, mac: str) -> None:
        await self.rtnl.ask(veth(ifindex, mac))
        wires = [row["ifindex"] for row in await self.rtnl.look() if row["name"] == f"wire{ifindex}"]
        await self.rtnl.ask(SetUp(wires[0], up=True))

    async def run(self) -> None:
        ports = Ports(
            link_socket=await KernelSocket.open(EVENTS, 1 << 20),
            open_inet=OPEN,
            complete=complete,
            is_udev_done=lambda _ifindex: True,
            store=MemoryStore(),
            announce=partial(announce, OPEN),
        )
        config = {"master": {"datapath": "tc"}, "failback": {"hold_down": 0.1}}
        self.engine = Engine(from_mapping(config, "test"), ports)
        ready = trio.Event()
        self.nursery.start_soon(self.engine.run, ready.set)
        await ready.wait()

    async def until(self, state: str, reason: str = "") -> None:
        seen = None
        with suppress(trio.TooSlowError), trio.fail_after(10):
            while True:
                masters = status(self.engine.state)["masters"]
                seen = masters and (masters[0]["state"], masters[0]["reason"])
                if masters and masters[0]["state"] == state and reason in masters[0]["reason"]:
                    return
                await trio.sleep(0.01)
        raise AssertionError(f"waited for {state} {reason}, seen: {seen}")

    async def call(self, name: str) -> None:
        await carry_out(self.engine, name, MAC)


def veth(ifindex: int, mac: str) -> Callable[[int], bytes]:
    """A NIC `ens<ifindex>` and its wire, both in this namespace."""
    wire = INFO.pack(0, 0, 0, 0, 0) + attribute(3, f"wire{ifindex}".encode() + b"\0")
    info = attribute(1, b"veth\0") + attribute(2, attribute(1, wire))
    name = attribute(3, f"ens{ifindex}".encode() + b"\0") + attribute(1, bytes.fromhex(mac.replace(":", "")))
    return partial(build, RTM_NEWLINK, ADD, payload=INFO.pack(0, 0, ifindex, 0, 0) + name + attribute(18, info))


def complete(link: Link) -> Link:
    bus = {PV: "virtio", VF: "pci"}.get(link.ifindex)
    return replace(link, kind="", perm_mac=MAC, bus=bus, driver="some", parent=link.name) if bus else link


def on_a_machine(body: Body) -> None:
    async def main() -> None:
        machine = Machine()
        await machine.plug(PV, MAC)
        await machine.plug(VF, MAC)
        await machine.plug(ELSEWHERE, "52:54:00:fa:11:99")
        await machine.rtnl.ask(SetUp(PV, up=True))
        async with trio.open_nursery() as nursery:
            await body_with(machine, nursery)
            nursery.cancel_scope.cancel()

    async def body_with(machine: Machine, nursery: trio.Nursery) -> None:
        machine.nursery = nursery
        await body(machine)

    trio.run(main)


def filter_on(ifindex: int, hook: str, pref: int = 7) -> Callable[[int], bytes]:
    """Somebody's u32 filter for IPv4 frames of protocol 99."""
    protocol = struct.pack("!II", 0x00FF0000, 0x00630000) + struct.pack("=ii", 8, 0)
    selector = struct.pack("=BBBxHHhhI", 1, 0, 1, 0, 0, 0, 0, 0) + protocol
    parms = tc.MIRRED.pack(0, 0, tc.TC_ACT_STOLEN, 0, 0, tc.REDIRECT["egress"], ELSEWHERE)
    action = attribute(1, b"mirred\0") + attribute(2, attribute(2, parms))
    options = attribute(5, selector) + attribute(7, attribute(1, action))
    body = tc.TCMSG.pack(0, ifindex, 0, tc.HOOKS[hook], pref << 16 | INET)
    return partial(build, tc.RTM_NEWTFILTER, ADD, payload=body + attribute(1, b"u32\0") + attribute(2, options))


def no_filter_on(ifindex: int, hook: str, pref: int = 7) -> Callable[[int], bytes]:
    body = tc.TCMSG.pack(0, ifindex, 0, tc.HOOKS[hook], pref << 16 | INET)
    return partial(build, tc.RTM_DELTFILTER, NLM_F_ACK, payload=body + attribute(1, b"u32\0"))


def qdisc_on(ifindex: int) -> Callable[[int], bytes]:
    """Somebody's tbf, as `tc qdisc add root handle 5: tbf` makes one: 1 Mbit/s, with its table of rates."""
    rate = struct.pack("=BBHhHI", 0, 1, 0, 0, 0, 125_000)
    qopt = rate + bytes(12) + struct.pack("=III", 100_000, 1 << 20, 0)
    table = struct.pack("=256I", *range(256))
    options = attribute(1, qopt) + attribute(2, table)
    body = tc.TCMSG.pack(0, ifindex, 5 << 16, tc.TC_H_ROOT, 0)
    return partial(build, tc.RTM_NEWQDISC, ADD, payload=body + attribute(1, b"tbf\0") + attribute(2, options))


async def rows(ifindex: int) -> list[bytes]:
    """What traffic control does on a device but for failoverd, as the kernel tells it, without counters."""
    sock = await KernelSocket.open()
    found: list[bytes] = []
    asks: list[Callable[[int], bytes]] = [partial(tc.dump_filters, ifindex, hook) for hook in tc.HOOKS]
    for ask in (tc.dump_qdiscs, *asks):
        await sock.send(ask(1))
        done = False
        while not done:
            for message in split(await sock.recv()):
                done = done or message.type == NLMSG_DONE
                if message.type in tc.MESSAGES and is_somebodys(message.payload, ifindex):
                    found.append(without_counters(message.payload))
    sock.close()
    return found


def is_somebodys(payload: bytes, ifindex: int) -> bool:
    _, index, handle, parent, info = tc.TCMSG.unpack_from(payload)
    is_ours = info >> 16 == tc.PREFERENCE or (parent == tc.TC_H_CLSACT) or not handle
    return index == ifindex and not is_ours


def without_counters(payload: bytes) -> bytes:
    """Up to the options: TCA_STATS and TCA_STATS2 stand behind, and an action's counters within."""
    options = payload.find(b"u32\0") if b"u32\0" in payload else payload.find(b"tbf\0")
    return payload[: options + 4] + payload[options + 4 : options + 28]


@private_net
def test_a_filter_where_the_traffic_would_leave_keeps_the_pair_apart_and_is_untouched() -> None:
    async def body(machine: Machine) -> None:
        await machine.rtnl.ask(partial(tc.add_clsact, PV))
        await machine.rtnl.ask(filter_on(PV, "egress"))
        before = await rows(PV)
        assert before
        await machine.run()
        await machine.until("on-standby", "ens100 has a u32 filter on its egress")
        assert await rows(PV) == before
        await machine.rtnl.ask(no_filter_on(PV, "egress"))
        await machine.until("accelerated")

    on_a_machine(body)


@private_net
def test_a_filter_that_comes_later_wins_and_is_untouched() -> None:
    async def body(machine: Machine) -> None:
        await machine.run()
        await machine.until("accelerated")
        await machine.rtnl.ask(filter_on(VF, "ingress"))
        before = await rows(VF)
        assert before
        await machine.until("on-standby", "ens101 has a u32 filter on its ingress")
        with trio.fail_after(10):
            while any(found.ours for found in machine.engine.state.links[VF].tc.filters):
                await trio.sleep(0.01)
        assert await rows(VF) == before

    on_a_machine(body)


@private_net
@pytest.mark.parametrize(("ifindex", "hook"), [(PV, "ingress"), (VF, "egress")])
def test_a_filter_that_is_not_in_the_way_stays_through_joining_and_release(ifindex: int, hook: str) -> None:
    async def body(machine: Machine) -> None:
        await machine.rtnl.ask(partial(tc.add_clsact, ifindex))
        await machine.rtnl.ask(filter_on(ifindex, hook))
        before = await rows(ifindex)
        await machine.run()
        await machine.until("accelerated")
        assert await rows(ifindex) == before
        await machine.call("release")
        await machine.until("released")
        assert await rows(ifindex) == before
        links = machine.engine.state.links
        assert not any(found.ours for i in (PV, VF) for found in links[i].tc.filters)
        assert [links[i].tc.slot for i in (PV, VF)] == ["clsact" if i == ifindex else "" for i in (PV, VF)]

    on_a_machine(body)


@private_net
def test_a_shaper_that_would_be_passed_by_keeps_the_pair_apart_and_one_on_the_vf_does_not() -> None:
    async def body(machine: Machine) -> None:
        await machine.rtnl.ask(qdisc_on(VF))
        on_vf = await rows(VF)
        assert on_vf
        await machine.run()
        await machine.until("accelerated")
        await machine.rtnl.ask(qdisc_on(PV))
        await machine.until("on-standby", "ens100 has a tbf qdisc that traffic would pass by")
        on_pv = await rows(PV)
        await machine.call("release")
        await machine.until("released")
        assert (await rows(VF), await rows(PV)) == (on_vf, on_pv)
        assert on_pv

    on_a_machine(body)


@private_net
def test_an_ingress_qdisc_in_the_slot_is_left_there() -> None:
    async def body(machine: Machine) -> None:
        body_ = tc.TCMSG.pack(0, PV, tc.CLSACT_HANDLE, tc.TC_H_CLSACT, 0) + attribute(1, b"ingress\0")
        await machine.rtnl.ask(partial(build, tc.RTM_NEWQDISC, ADD, payload=body_))
        await machine.run()
        await machine.until("on-standby", "ens100 has an ingress qdisc where clsact would have to be")
        assert machine.engine.state.links[PV].tc.slot == "ingress"

    on_a_machine(body)


@private_net
@pytest.mark.parametrize("ifindex", [PV, VF])
def test_an_xdp_program_stays_and_keeps_a_pair_apart_only_on_the_paravirtual_nic(ifindex: int) -> None:
    async def body(machine: Machine) -> None:
        program = xdp_pass()
        attached = attribute(43 | 0x8000, attribute(1, struct.pack("=i", program)) + attribute(3, struct.pack("=I", 2)))
        message = struct.pack("=BxHiII", 0, 0, ifindex, 0, 0) + attached
        await machine.rtnl.ask(partial(build, 19, NLM_F_ACK, payload=message))
        os.close(program)
        await machine.run()
        if ifindex == PV:
            await machine.until("on-standby", "ens100 has an XDP program that traffic would pass by")
        else:
            await machine.until("accelerated")
            await machine.call("release")
            await machine.until("released")
        await machine.engine.resync()
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert machine.engine.state.links[ifindex].xdp

    on_a_machine(body)


def xdp_pass() -> int:
    """The descriptor of an XDP program that lets everything pass (bpf(2), BPF_PROG_LOAD)."""
    code = struct.pack("=BBhi", 0xB7, 0, 0, 2) + struct.pack("=BBhi", 0x95, 0, 0, 0)
    buffers = [ctypes.create_string_buffer(raw) for raw in (code, b"GPL\0")]
    attr = struct.pack("=IIQQ", 6, 2, *(ctypes.addressof(buffer) for buffer in buffers)).ljust(128, b"\0")
    number = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
    libc = ctypes.CDLL(None, use_errno=True)
    program = int(libc.syscall(number, 5, ctypes.create_string_buffer(attr), len(attr)))
    if program < 0:
        pytest.skip(f"no XDP program can be loaded here: {os.strerror(ctypes.get_errno())}; run it as root")
    return program
