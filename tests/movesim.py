"""A joined pair on the simulated kernel with a second namespace, and a move that may be cut after any step.

Everything but the kernel is the daemon's: the plan, the loop around it, the codec.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import trio
from trio.testing import MockClock

from failoverd.config.spec import Failback
from failoverd.daemon.movefile import dumps, loads
from failoverd.daemon.moving import Answers, GoneError, Moving, Rested
from failoverd.kinds import Bond, Bridge, Dummy, Macvlan, NewDevice, Vlan, Vrf
from failoverd.kinds.bond import ACTIVE_BACKUP, FOLLOW_ACTIVE, SIGNATURE
from failoverd.model.declared import NamespaceRef
from failoverd.model.inet import Rule
from failoverd.model.links import Link, Qdisc
from failoverd.model.pairs import Inet
from failoverd.model.places import HERE, Absent, Place
from failoverd.model.requests import (
    AddAltname,
    AddQdisc,
    AddRule,
    CreateLink,
    Request,
    SetActive,
    SetAllMulticast,
    SetMaster,
    SetPromiscuous,
    SetSysctl,
    SetUp,
)
from failoverd.moves.items import Record, Seen, Toward, concerned, described, nics_of, standing
from failoverd.moves.living import Living, Orders
from failoverd.moves.rules import FR_ACT_TO_TBL, Table, asked_tables, copied
from failoverd.netlink.exchange import Exchange
from failoverd.netlink.whole_look import look_at_tables, look_whole
from failoverd.policy.naming import mark, was
from failoverd_lab.simkernel import Namespaces, Refused, SimKernel, run_timers

IFA_F_NODAD = 0x02
FR_ACT_BLACKHOLE = 6
"""An address that moves is not checked anew, and the kernel shows that it was not."""
MAC = "52:54:00:fa:11:01"
RED = NamespaceRef("name", "red")
ADDRESS, PEER = "10.111.0.2", "10.111.0.1"
DEBIAN_12, DEBIAN_13 = (6, 1), (6, 12)


HOLD_DOWN = 1.0
FRA_SRC, FRA_SUPPRESS_PREFIXLEN, FRA_PROTOCOL = 2, 14, 21


def rule(family: int, priority: int, table: int, iif: str = "", oif: str = "", source: bytes = b"") -> Rule:
    """A policy rule as the kernel tells it; without a table one that drops."""
    attrs = ((FRA_PROTOCOL, b"\0"), *(((FRA_SRC, source),) if source else ()), (FRA_SUPPRESS_PREFIXLEN, b"\xff" * 4))
    action = FR_ACT_TO_TBL if table else FR_ACT_BLACKHOLE
    return Rule(family, priority, table, action, iif, oif, src_len=8 * len(source), attrs=attrs)


RULES = (
    rule(2, 50, 0, oif="ens3"),
    rule(2, 99, 254, iif="ens3.5"),
    rule(2, 99, 100, source=bytes((10, 111, 0, 2))),
    rule(10, 98, 254, iif="lo", oif="lan0"),
)
"""Those that go along."""
STAYING = (rule(2, 97, 254, iif="eth7", oif="ens3"), rule(2, 97, 101))
"""Those that do not: one names another device, and one leads to another's table."""
FOREIGN = rule(2, 96, 254, iif="ens3")
"""One that is in the other namespace beforehand, and at home, too."""
RULED = "rules"
"""Beside the devices of a namespace: it has the copies."""


def all_moved(home: object) -> dict[str, object]:
    """How all is when what was at home has moved."""
    assert isinstance(home, dict)
    return {"": {}, RED.value: {**home, RULED: [*RULES]}}


BOND, VLAN = 100, 101


class Lives:
    """Who carries there, without orders."""

    def __init__(self) -> None:
        self._living = Living(lambda link: link.bus == "pci", lambda: Failback(hold_down=HOLD_DOWN))

    async def look(self, mac: str, master: Link, seen: Seen) -> tuple[int, tuple[Request, ...], float]:
        chosen = self._living.look(mac, master, seen, Orders(), trio.current_time())
        return chosen.slave, chosen.hear, math.inf if chosen.at is None else chosen.at


class CutError(Exception):
    """The daemon is killed here."""


@dataclass
class Machine:
    """A kernel with the namespaces, the daemon's disk, and the step after which the daemon is killed."""

    kernel: SimKernel
    namespaces: Namespaces
    journal: Record | None = None
    cut: int | None = None
    steps: int = 0
    """The datagrams, files and journals that were written so far."""
    refuse: Callable[[Place, Request], int] = lambda _place, _request: 0
    on_step: Callable[[], Awaitable[None]] | None = None
    epochs: list[object] = field(default_factory=list)
    closed: str = ""
    """Why no namespace can be asked for."""
    own_rules: dict[Place, list[Rule]] = field(default_factory=dict)
    """The policy rules of each namespace that are no copies."""
    home: dict[str, object] = field(default_factory=dict)
    """How all was before it moved."""

    def name_of(self, place: Place) -> str:
        """The name of a place. Raises GoneError."""
        for name in ("", *self.namespaces.names):
            if self._place(name) == place:
                return name
        raise GoneError(f"{place} is gone")

    def _place(self, name: str) -> Place:
        if not name:
            return HERE
        net = self.namespaces[name].net
        if net not in self.epochs:
            self.epochs.append(net)
        return Place(self.kernel.net.nsids.give(net), self.epochs.index(net))

    def where(self) -> Place | Absent:
        if self.closed:
            return Absent(self.closed, "it cannot be asked for")
        if RED.value not in self.namespaces.names:
            return Absent("namespace-absent", "there is no network namespace red; it is waited for")
        return self._place(RED.value)

    async def look(self, place: Place) -> Seen:
        kernel = self.namespaces[self.name_of(place)]

        async def open_socket():  # type: ignore[no-untyped-def]
            return kernel.open(strict=True)

        return Seen(*await look_whole(open_socket, lambda links: concerned(MAC, links)))

    async def look_at_tables(self, place: Place, seen: Seen, tables: Iterable[Table]) -> Seen:
        kernel = self.namespaces[self.name_of(place)]

        async def open_socket():  # type: ignore[no-untyped-def]
            return kernel.open(strict=True)

        return replace(seen, users=await look_at_tables(open_socket, tables))

    async def send(self, place: Place, to: Place, requests: Sequence[Request]) -> Answers:
        await self._count()
        refused = [self.refuse(place, request) for request in requests]
        there = self.name_of(to)
        descriptor, sock = self.namespaces.descriptor(there), self.namespaces[self.name_of(place)].open_blocking()
        try:
            todo = [request for request, number in zip(requests, refused, strict=True) if not number]
            answers = iter(Exchange(sock).make([todo], {to: descriptor})[0])
            return [(number, "") if number else next(answers) for number in refused]
        finally:
            sock.close()
            self.namespaces.close(descriptor)

    async def write(self, place: Place, requests: Sequence[SetSysctl], seen: Seen) -> Answers:
        await self._count()
        return [self._written(place, request) for request in requests]

    def _written(self, place: Place, request: SetSysctl) -> tuple[int, str]:
        if number := self.refuse(place, request):
            return number, ""
        kernel = self.namespaces[self.name_of(place)]
        try:
            kernel.write_sysctl(request.ifindex, request.name, int(request.value))
        except Refused as refused:
            return refused.code, refused.text
        return 0, ""

    async def keep(self, record: Record | None) -> None:
        await self._count()
        assert record is None or loads(dumps(record)) == record
        self.journal = record

    async def _count(self) -> None:
        if self.cut is not None and self.steps >= self.cut:
            raise CutError
        self.steps += 1
        if self.on_step is not None:
            await self.on_step()

    # What a test does

    async def order(self, toward: Toward) -> Record:
        """The journal of a move, as an order makes it."""
        origin = await self.look(HERE if toward is Toward.AWAY else self._place(RED.value))
        master = origin.master(MAC)
        assert master is not None
        record = Record(MAC, RED, toward, described(origin, master), nics_of(origin, MAC, master))
        if self.journal is not None:
            record = replace(record, home=self.journal.home, rules=self.journal.rules)
        else:
            here, there = await self.look(HERE), await self.look(self._place(RED.value))
            tables = asked_tables(here, there)
            here = await self.look_at_tables(HERE, here, tables)
            there = await self.look_at_tables(self._place(RED.value), there, tables)
            record = replace(record, rules=copied(standing(master, origin.links), here, there))
        await self.keep(record)
        return record

    def moving(self) -> Moving:
        """The daemon, started anew with what is on disk."""
        assert self.journal is not None
        return Moving(self.journal, self, Lives())

    def where_red(self) -> Place:
        """The other namespace."""
        return self._place(RED.value)

    async def go_on(self) -> Rested:
        """Start the daemon anew with what is on disk, and let it go on as far as it comes."""
        moving = self.moving()
        for _ in range(100):
            rested = await moving.go_on()
            if rested.record is None or rested.record.is_over or rested.at == math.inf:
                return rested
            await trio.sleep_until(rested.at)
        raise AssertionError(f"it does not come to rest: {rested}")

    async def follow(self, seconds: float) -> None:
        """Let the daemon look after what has moved, for so long."""
        moving, end = self.moving(), trio.current_time() + seconds
        while self.journal is not None and trio.current_time() < end:
            rested = await moving.go_on()
            await trio.sleep_until(min(rested.at, end))

    async def move(self, toward: Toward) -> Rested:
        """An order, carried out."""
        await self.order(toward)
        return await self.go_on()

    async def shape(self) -> dict[str, object]:
        """All that there is in each namespace, without the numbers that depend on the way there."""
        places = {name: self._place(name) for name in ("", *self.namespaces.names)}
        found: dict[str, object] = {name: told(await self.look(place)) for name, place in places.items()}
        rules = await self.rules()
        for name, place in places.items():
            copies = [rule for rule in rules[name] if rule in RULES and name]
            own = [rule for rule in rules[name] if rule not in copies]
            assert self.own_rules.setdefault(place, own) == own, f"a rule of {name or 'home'} was touched"
            if copies:
                found[name] = {**told(await self.look(place)), RULED: copies}
        return found

    async def rules(self) -> dict[str, tuple[Rule, ...]]:
        """The policy rules in each namespace."""
        places = {name: self._place(name) for name in ("", *self.namespaces.names)}
        return {name: (await self.look(place)).rules for name, place in places.items()}


def told(seen: Seen) -> dict[str, object]:
    """Devices and their configuration, by names."""
    names = {link.ifindex: link.name for link in seen.links.values()}

    def words(inet: Inet) -> object:
        addresses = sorted((str(a), a.flags & ~IFA_F_NODAD, a.valid, a.preferred) for a in inet.addresses)
        routes = sorted((str(r), r.protocol, r.scope, r.type, r.attrs) for r in inet.routes)
        others = sorted(map(str, (*inet.neighbours, *inet.labels)))
        return addresses, routes, others, sorted(inet.settings)

    def altnames(link_names: frozenset[str], ifindex: int) -> list[str]:
        return sorted(name.replace(f"-{ifindex}-", "-N-") for name in link_names)

    return {
        link.name: (
            (link.kind, link.mac, link.mtu, link.up, link.carrier, link.promiscuous, link.all_multicast),
            (names.get(link.master, ""), names.get(link.link, ""), altnames(link.altnames, link.ifindex)),
            names.get(link.info.active, "") if isinstance(link.info, Bond) else link.info,
            words(seen.inet_of(link)),
            seen.qdiscs.get(link.ifindex),
        )
        for link in seen.links.values()
        if link.ifindex != 1
    }


def make(kernel: SimKernel, *requests: Request) -> None:
    """Carry out requests."""
    sock = kernel.open_blocking()
    (answers,) = Exchange(sock).make([requests], {})
    sock.close()
    assert not any(number for number, _ in answers), answers


def joined(kernel: SimKernel) -> None:
    """A pair as failoverd has joined it, with much on it."""
    nic = kernel.plug("ens3nsby", MAC, "virtio", "virtio_net", "virtio0")
    vf = kernel.plug("ens4", MAC, "pci", "vmxnet3", "0000:02:00.0")
    bond, vlan, macvlan = BOND, VLAN, 102
    options = Bond(ACTIVE_BACKUP, 0, 100, FOLLOW_ACTIVE, peer_notifications=1, lp_interval=SIGNATURE)
    make(
        kernel,
        CreateLink(NewDevice("ens3", MAC, 1400, bond), options),
        AddAltname(bond, mark(MAC)),
        AddAltname(bond, "wan"),
        AddAltname(nic, was(nic, "ens3")),
        SetMaster(nic, bond),
        SetMaster(vf, bond),
        SetUp(bond, up=True),
        CreateLink(NewDevice("ens3.5", "", 1300, vlan, bond), Vlan(5)),
        SetUp(vlan, up=True),
        CreateLink(NewDevice("lan0", "02:00:00:00:00:77", 1300, macvlan, vlan), Macvlan(4)),
        SetUp(macvlan, up=True),
        SetActive(bond, vf),
        SetPromiscuous(vlan, on=True),
        SetAllMulticast(macvlan, on=True),
    )
    admin = kernel.admin
    admin.configure(bond, (f"{ADDRESS}/24", "10.111.0.3/24", "fd00:111::2/64"), PEER)
    admin.configure(vlan, ("10.5.0.2/24", "fd00:5::2/64"))
    admin.configure(macvlan, ("10.6.0.3/24",))
    for number in range(5):
        admin.add_route(f"10.{200 + number}.0.0/16", bond, PEER, metric=number + 1)
    admin.add_route("10.77.0.0/16", vlan, "10.5.0.1")
    admin.add_route("10.78.0.0/16", bond, PEER, table=100)
    make(kernel, *map(AddRule, (*RULES, *STAYING, FOREIGN)))
    make(kernel, AddQdisc(bond, Qdisc("fq", 0x10000, bytes(8))), AddQdisc(vf, Qdisc("pfifo", 0x20000, bytes(4))))
    admin.describe(bond, 500, "the uplink", 7)
    kernel.write_sysctl(bond, "ipv4/rp_filter", 2)
    kernel.write_sysctl(bond, "ipv6/accept_ra", 0)
    kernel.write_sysctl(bond, "ipv6/mtu", 1350)
    kernel.write_sysctl(nic, "ipv6/accept_ra", 2)
    kernel.write_sysctl(vlan, "ipv6/accept_ra", 0)


def surrounded(kernel: SimKernel) -> None:
    """Such a pair, with a VLAN in a VRF and one in a bridge, and a VLAN on that which is down."""
    joined(kernel)
    vrf, port, bridge, dummy, above = range(103, 108)
    bond, vlan = BOND, VLAN
    make(
        kernel,
        CreateLink(NewDevice("vrf0", "02:00:00:00:00:78", 65575, vrf), Vrf(10)),
        SetMaster(vlan, vrf),
        SetUp(vrf, up=True),
        CreateLink(NewDevice("ens3.6", "", 1400, port, bond), Vlan(6)),
        CreateLink(NewDevice("br0", "02:00:00:00:00:79", 1400, bridge), Bridge()),
        CreateLink(NewDevice("dummy0", "02:00:00:00:00:7a", 1400, dummy), Dummy()),
        SetMaster(port, bridge),
        SetMaster(dummy, bridge),
        SetUp(port, up=True),
        SetUp(bridge, up=True),
        AddAltname(bridge, "office"),
        CreateLink(NewDevice("br0.7", "", 1400, above, bridge), Vlan(7)),
    )
    kernel.admin.configure(bridge, ("10.7.0.2/24",))


Body = Callable[[Machine], Awaitable[None]]


def on_machine(body: Body, release: tuple[int, int] = DEBIAN_12, pair: Callable[[SimKernel], None] = joined) -> None:
    """Run a test on a machine of its own."""

    async def main() -> None:
        kernel = SimKernel(trio.current_time, release)
        machine = Machine(kernel, Namespaces(kernel))
        make(machine.namespaces.create("red"), AddRule(FOREIGN))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_timers, kernel)
            pair(kernel)
            await trio.sleep(5)
            await body(machine)
            nursery.cancel_scope.cancel()

    trio.run(main, clock=MockClock(autojump_threshold=0))
