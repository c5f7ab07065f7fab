"""A master that has to be like its NIC: settings, neighbours, labels, on a simulated kernel; and what cannot be had."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from test_daemon_engine import FIRST, Machine, on_a_machine

from failoverd.config.spec import Config, Master
from failoverd.core.status import nics, status
from failoverd.daemon.store import MemoryStore
from failoverd.model.events import ReleaseAsked
from failoverd.model.inet import Address
from failoverd.model.pairs import Inet
from failoverd.model.requests import SetSysctl
from failoverd_lab.simkernel import SimKernel
from failoverd_lab.simkernel.state import Refused

NIC = 2
SIX, FOUR = "fd00:111::2/64", "10.111.0.2/24"
BOND = Config(master=Master(datapath="bond"))
Written = tuple[int, str]


def writer(kernel: SimKernel) -> Callable[[SetSysctl, str], Written]:
    """What stands for the files."""

    def write(request: SetSysctl, _name: str) -> Written:
        try:
            kernel.write_sysctl(request.ifindex, request.name, int(request.value))
        except Refused as refused:
            return refused.code, ""
        return 0, ""

    return write


def read_only(_request: SetSysctl, name: str) -> Written:
    return errno.EROFS, f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6"


def prepared(write: Any = None, off_by_default: bool = True) -> Callable[[Machine], None]:
    """A NIC with addresses and settings of its own, on a machine where IPv6 is off for new devices."""

    def prepare(machine: Machine) -> None:
        kernel = machine.kernel
        kernel.write_sysctl(0, "ipv6/disable_ipv6", int(off_by_default))
        kernel.write_sysctl(NIC, "ipv6/accept_ra", 2)
        kernel.write_sysctl(NIC, "ipv4/arp_ignore", 1)
        kernel.admin.configure(NIC, (FOUR, SIX), "10.111.0.1")
        kernel.write_sysctl(NIC, "ipv6/mtu", 1400)
        kernel.admin.add_route("2001:db8::/32", NIC, "fd00:111::1")
        machine.write_sysctl = write or writer(kernel)

    return prepare


def held(machine: Machine, name: str) -> set[str]:
    """The addresses of the device of that name, but for link-local ones."""
    device = machine.kernel.net.device(name)
    assert device is not None
    return {a.local.hex() for a in (*device.v4, *device.v6) if not a.local.startswith(b"\xfe\x80")}


ADDRESSES = {"0a6f0002", "fd000111000000000000000000000002"}


def routes(machine: Machine, name: str) -> int:
    device = machine.kernel.net.device(name)
    assert device is not None
    return sum(r.protocol == 4 and r.leads_through(device.index) for r in machine.kernel.net.routes)


def run(body: Callable[[Machine], Awaitable[None]], *args: Any, **more: Any) -> Machine:
    return on_a_machine(body, prepared(*args), **more)


def test_ipv6_that_is_off_for_new_devices_stays_on() -> None:
    async def body(machine: Machine) -> None:
        await machine.until(lambda _state: machine.states() == {FIRST: "accelerated"})
        master = machine.kernel.net.device("ens3")
        assert master is not None
        assert master.kind == "bond"
        names = ("ipv6/disable_ipv6", "ipv6/accept_ra", "ipv4/arp_ignore", "ipv6/mtu")
        assert [machine.kernel.sysctl(master.index, name) for name in names] == [0, 2, 1, 1400]
        assert held(machine, "ens3") == ADDRESSES
        assert routes(machine, "ens3") == 2
        machine.kernel.write_sysctl(master.index, "ipv6/accept_ra", 0)
        await machine.engine.tell(ReleaseAsked(FIRST))
        await machine.until(lambda _state: machine.states() == {FIRST: "released"})
        assert held(machine, "ens3") == ADDRESSES
        assert routes(machine, "ens3") == 2
        assert [machine.kernel.sysctl(NIC, name) for name in names] == [0, 0, 1, 1400]

    machine = run(body)
    assert machine.store.kept.journals == {}
    assert machine.store.kept.lost == {}


def test_a_bond_that_cannot_be_made_alike_is_not_had_and_tc_is() -> None:
    async def body(machine: Machine) -> None:
        await machine.until(lambda _state: machine.states() == {FIRST: "accelerated"})
        assert held(machine, "ens3") == ADDRESSES
        [why] = [row["reason"] for row in nics(machine.engine.state) if row["name"] == "ens3"]
        assert "joined by tc and not by a bond: a bond cannot be made like ens3: set net." in str(why)
        assert "EROFS" in str(why)
        assert status(machine.engine.state)["masters"][0]["datapath"] == "tc"

    run(body, read_only)


def test_a_bond_that_cannot_be_made_alike_is_refused_where_it_was_chosen(caplog: pytest.LogCaptureFixture) -> None:
    async def body(machine: Machine) -> None:
        await machine.until(lambda _state: machine.states() == {FIRST: "degraded"})
        assert held(machine, "ens3") == ADDRESSES
        assert routes(machine, "ens3") == 2
        await trio.sleep(4.5 * 3600)
        assert machine.states() == {FIRST: "degraded"}
        assert "EROFS" in status(machine.engine.state)["masters"][0]["reason"]

    run(body, read_only, config=BOND)
    assert sum("a bond cannot be made like" in record.message for record in caplog.records) == 1
    assert len(caplog.records) < 60


def test_ipv6_that_is_turned_off_on_the_bond_in_the_middle_ends_the_join_and_loses_nothing() -> None:
    """The kernel refuses the addresses. The NIC takes them, and there is no second try."""

    async def body(machine: Machine) -> None:
        kernel = machine.kernel

        def saboteur() -> None:
            for device in kernel.net.devices.values():
                if device.kind == "bond" and device.name == "ens3":
                    kernel.net.devices[device.index].conf["ipv6/disable_ipv6"] = 1

        kernel.on_change(saboteur)
        await machine.until(lambda _state: machine.states() == {FIRST: "degraded"})
        await trio.sleep(60)
        assert held(machine, "ens3") == ADDRESSES
        assert routes(machine, "ens3") == 2
        assert "EACCES" in status(machine.engine.state)["masters"][0]["reason"]

    run(body, config=BOND)


def test_neighbours_labels_and_the_rest_are_there_and_back() -> None:
    def prepare(machine: Machine) -> None:
        prepared(off_by_default=False)(machine)
        admin = machine.kernel.admin
        admin.add_neighbour(NIC, "10.111.0.10", proxy=True)
        admin.add_label(NIC, "2001:db8::/32", 99)
        admin.describe(NIC, queue_length=77, alias="uplink", group=5)

    def there(machine: Machine) -> tuple[object, ...]:
        device = machine.kernel.net.device("ens3")
        assert device is not None
        mine = [e for e in machine.kernel.net.neighbours if e.index == device.index]
        labels = {label.label for label in machine.kernel.net.labels if label.index == device.index}
        dsts = {(e.dst, e.proxy, e.lladdr) for e in mine}
        return device.queue_length, device.alias, device.group, dsts, labels

    async def body(machine: Machine) -> None:
        before = there(machine)
        assert before[:3] == (77, "uplink", 5)
        await machine.until(lambda _state: machine.states() == {FIRST: "accelerated"})
        assert there(machine) == before
        machine.kernel.admin.add_label(machine.engine.state.judgements.pairs[FIRST].master, "2001:db9::/32", 98)
        await machine.engine.tell(ReleaseAsked(FIRST))
        await machine.until(lambda _state: machine.states() == {FIRST: "released"})
        after = there(machine)
        assert after[:4] == before[:4]
        assert after[4] == {98, 99}

    on_a_machine(body, prepare)


def test_permanent_neighbours_stay_with_their_nic() -> None:
    """A bond would forget them at its first switch."""

    def prepare(machine: Machine) -> None:
        prepared(off_by_default=False)(machine)
        machine.kernel.admin.add_neighbour(NIC, "10.111.0.9", "02:00:00:00:00:09")

    async def body(machine: Machine) -> None:
        await machine.until(lambda _state: machine.states() == {FIRST: "accelerated"})
        assert status(machine.engine.state)["masters"][0]["datapath"] == "tc"
        assert [entry.dst for entry in machine.kernel.net.neighbours if entry.index == NIC] == [bytes([10, 111, 0, 9])]
        reasons = [str(row["reason"]) for row in nics(machine.engine.state)]
        assert any("ens3 has permanent neighbours, which a bond forgets at each switch" in reason for reason in reasons)

    on_a_machine(body, prepare)


def test_forwarding_on_one_nic_alone_is_not_given_to_a_bond() -> None:
    """To write it for a bond makes the kernel forget every NIC's routes from router advertisements."""

    def prepare(machine: Machine) -> None:
        prepared(off_by_default=False)(machine)
        machine.kernel.write_sysctl(NIC, "ipv6/forwarding", 1)

    async def body(machine: Machine) -> None:
        await machine.until(lambda _state: machine.states() == {FIRST: "degraded"})
        reason = status(machine.engine.state)["masters"][0]["reason"]
        assert reason.startswith("net.ipv6.conf.ens3.forwarding is 1 and not so for new devices")

    on_a_machine(body, prepare, config=BOND)


@pytest.mark.parametrize("is_released", [False, True])
def test_what_another_program_takes_away_is_kept_and_said_and_given_back(is_released: bool) -> None:
    """An address that goes from the master as soon as it is there, until somebody ends that program."""
    is_thief_there = [True]

    def prepare(machine: Machine) -> None:
        prepared(off_by_default=False)(machine)
        net = machine.kernel.net

        def thief() -> None:
            bond = next((d for d in net.devices.values() if d.kind == "bond" and d.name == "ens3"), None)
            if bond is not None and is_thief_there[0]:
                bond.v6[:] = [a for a in bond.v6 if a.local[0] != 0xFD]

        machine.kernel.on_change(thief)

    async def body(machine: Machine) -> None:
        await machine.until(lambda _state: machine.states() == {FIRST: "degraded"})
        reason = status(machine.engine.state)["masters"][0]["reason"]
        assert "ens3 has lost fd00:111::2/64" in reason
        assert any("has lost fd00:111::2/64" in str(row["reason"]) for row in nics(machine.engine.state))
        assert set(machine.store.kept.lost) == {FIRST}
        assert machine.store.kept.journals == {}
        is_thief_there[0] = False
        if is_released:
            await machine.engine.tell(ReleaseAsked(FIRST))
            await machine.until(lambda _state: machine.states() == {FIRST: "released"})
        else:
            await machine.until(lambda _state: machine.states() == {FIRST: "accelerated"}, 2 * 3600)
        assert held(machine, "ens3") == ADDRESSES
        assert machine.store.kept.lost == {}

    on_a_machine(body, prepare)


def test_a_route_whose_gateways_network_has_gone_from_the_master_is_given_back() -> None:
    """Another process deletes the address that the network of the default route's gateway came with. The kernel leaves
    the route where it is, and would refuse a new one like it."""

    def prepare(machine: Machine) -> None:
        prepared(off_by_default=False)(machine)
        machine.kernel.admin.add_address(NIC, "10.112.0.2/24")

    async def body(machine: Machine) -> None:
        await machine.until(lambda _state: machine.states() == {FIRST: "accelerated"})
        machine.kernel.admin.del_address(machine.engine.state.judgements.pairs[FIRST].master, FOUR)
        assert routes(machine, "ens3") == 2
        await machine.engine.tell(ReleaseAsked(FIRST))
        await machine.until(lambda _state: machine.states() == {FIRST: "released"})
        assert routes(machine, "ens3") == 2
        assert machine.store.kept.lost == {}

    on_a_machine(body, prepare)


def test_a_nic_alone_is_not_given_a_master_for_what_it_has_lost() -> None:
    """With create = "paired" there is one while a VF is seen."""
    store = MemoryStore()
    store.kept.lost[FIRST] = Inet((Address(NIC, 10, 64, 0, 2, b"\xfd" + bytes(14) + b"\7"),))

    async def body(machine: Machine) -> None:
        machine.kernel.unplug(3)
        await trio.sleep(10)
        assert [seen.name for seen in machine.kernel.links()] == ["ens3"]
        assert set(machine.store.kept.lost) == {FIRST}

    on_a_machine(body, prepared(off_by_default=False), store=store, config=Config(master=Master(create="paired")))


class FullForLost(MemoryStore):
    """A disk that has no room for what is left over."""

    def keep_lost(self, mac: str, lost: Inet) -> None:
        if lost != Inet():
            raise OSError(errno.ENOSPC, "No space left on device")
        super().keep_lost(mac, lost)


def test_what_is_lost_and_cannot_be_kept_stays_in_its_journal() -> None:
    def prepare(machine: Machine) -> None:
        prepared(off_by_default=False)(machine)
        net = machine.kernel.net

        def thief() -> None:
            bond = next((d for d in net.devices.values() if d.kind == "bond" and d.name == "ens3"), None)
            if bond is not None:
                bond.v6[:] = [a for a in bond.v6 if a.local[0] != 0xFD]

        machine.kernel.on_change(thief)

    async def body(machine: Machine) -> None:
        await trio.sleep(120)
        journal = machine.store.kept.journals[FIRST]
        assert any(a.local[0] == 0xFD for a in journal.inet.addresses)
        assert journal == machine.engine.state.pairs[FIRST].move.journal
        assert machine.states() != {FIRST: "accelerated"}

    on_a_machine(body, prepare, store=FullForLost())
