"""The engine on a simulated kernel and a virtual clock, with the troubles a real one can make."""

from __future__ import annotations

import errno
import logging
import math
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import kernelbytes
import pytest
import trio
from trio.testing import MockClock

from failoverd.config.spec import Config, Pairing
from failoverd.core.configurers import READING
from failoverd.core.state import State
from failoverd.core.status import status
from failoverd.daemon import kernel_queue
from failoverd.daemon.background import ReadMode
from failoverd.daemon.engine import SLOWNESS, STARTING, STARTING_AT_MOST, Engine
from failoverd.daemon.notify import Notifier
from failoverd.daemon.ports import Hold, Ports
from failoverd.daemon.reload import reload_configuration
from failoverd.daemon.store import MemoryStore
from failoverd.model.events import Event, TimePassed
from failoverd.model.links import Link
from failoverd.model.pairs import Inet, Journal
from failoverd.model.requests import SetSysctl
from failoverd.model.signals import Joined, Signal
from failoverd.netlink.transport import EVENTS
from failoverd_lab.simkernel import SimKernel, devices
from failoverd_lab.simkernel.clockwork import run_timers

FIRST, SECOND = "52:54:00:00:00:01", "52:54:00:00:00:02"


class Troubled:
    """A transport with planned errors: each is raised once, in place of the next send or receive."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.send_errors: list[OSError] = []
        self.recv_errors: list[OSError] = []
        self.extra: list[bytes] = []
        self.mute = 0
        self.asked: list[int] = []
        self.on_send: Callable[[], None] = lambda: None

    async def send(self, datagram: bytes) -> None:
        self.on_send()
        self.asked += [kind for kind, _, _ in kernelbytes.headers(datagram)]
        if self.send_errors:
            raise self.send_errors.pop(0)
        if self.mute:
            self.mute -= 1
        else:
            await self._inner.send(datagram)

    async def recv(self) -> bytes:
        if self.recv_errors:
            raise self.recv_errors.pop(0)
        if self.extra:
            return self.extra.pop(0)
        data: bytes = await self._inner.recv()
        return data

    def recv_nowait(self) -> bytes | None:
        if self.recv_errors:
            raise self.recv_errors.pop(0)
        if self.extra:
            return self.extra.pop(0)
        data: bytes | None = self._inner.recv_nowait()
        return data

    def close(self) -> None:
        self._inner.close()


@dataclass
class Machine:
    """A guest: the kernel, the engine and what came out of it."""

    kernel: SimKernel
    link_socket: Troubled
    store: MemoryStore
    signals: list[Signal] = field(default_factory=list)
    udev_done: bool = True
    udev_idle_at: float = -math.inf
    took_to_begin: float = 0.0
    ready: trio.Event = field(default_factory=trio.Event)
    on_ready: Callable[[], None] = lambda: None
    due_already: bool = False
    asked_udev: list[int] = field(default_factory=list)
    udev_names: dict[str, str] = field(default_factory=dict)
    no_bond: str | Exception = ""
    files_take: float = 0.0
    memory_takes: float = 0.0
    inet_errors: list[Exception] = field(default_factory=list)
    announced: list[tuple[float, Mapping[int, str]]] = field(default_factory=list)
    announce_takes: float = 0.0
    announce_says: list[str | Exception] = field(default_factory=list)
    read_mode: ReadMode | None = None
    on_look: Callable[[], None] = lambda: None
    hold: Callable[[int], Hold] = lambda _ifindex: "none"
    write_sysctl: Callable[[SetSysctl, str], tuple[int, str]] = lambda _request, _name: (0, "")
    stepped: trio.Event = field(default_factory=trio.Event)
    engine: Engine = field(init=False)

    async def until(self, condition: Callable[[State], bool], seconds: float = 60) -> None:
        """Wait until a step has made this true, for a minute at most."""
        with trio.fail_after(seconds):
            while not condition(self.engine.state):
                self.stepped = trio.Event()
                await self.stepped.wait()

    async def announce(self, devices: Mapping[int, str], _ports: Mapping[int, int]) -> Sequence[str]:
        await trio.sleep(self.announce_takes)
        self.announced.append((trio.current_time(), dict(devices)))
        said = self.announce_says.pop(0) if self.announce_says else ""
        if isinstance(said, Exception):
            raise said
        return [said] if said else []

    async def read(self, read: Callable[[], Any], /) -> Any:
        if self.memory_takes:
            await trio.sleep(self.memory_takes)
        return read()

    async def bond_obstacle(self, _nic: Link, _name: str) -> str:
        await trio.sleep(self.files_take)
        if isinstance(self.no_bond, Exception):
            raise self.no_bond
        return self.no_bond

    def is_udev_done(self, ifindex: int) -> bool:
        self.asked_udev.append(ifindex)
        return self.udev_done

    def udev_name(self, _ifindex: int, name: str) -> str:
        return self.udev_names.get(name, "")

    def is_ready(self) -> None:
        self.on_ready()
        self.ready.set()

    def on_step(self, _state: State) -> None:
        self.stepped.set()
        if self.due_already:
            self.engine._performer.wake = -math.inf

    async def open_inet(self) -> Any:
        self.on_look()
        if self.inet_errors:
            raise self.inet_errors.pop(0)
        return self.kernel.open(strict=True)

    def complete(self, link: Link) -> Link:
        with suppress(KeyError):
            return replace(link, driver="" if link.kind else self.kernel.driver(link.ifindex))
        return link

    def states(self) -> dict[str, str]:
        """The state of each pair by its MAC."""
        return {row["mac"]: row["state"] for row in status(self.engine.state)["masters"]}


def socket(machine: Machine) -> Any:
    """It only has what a reload needs of a KernelSocket."""
    return machine.link_socket


def joined(*macs: str) -> Callable[[State], bool]:
    return lambda state: all(mac in state.pairs and state.pairs[mac].joined for mac in macs)


def on_a_machine(
    body: Callable[[Machine], Awaitable[None]],
    prepare: Callable[[Machine], None] = lambda _machine: None,
    store: MemoryStore | None = None,
    pairs: int = 1,
    ready: bool = True,
    config: Config | None = None,
) -> Machine:
    """Run the engine on a machine with so many pairs, and `body` once it knows the devices."""
    found: list[Machine] = []

    async def main() -> None:
        kernel = SimKernel(trio.current_time, (6, 1))
        for i, mac in enumerate([FIRST, SECOND][:pairs]):
            kernel.plug(f"ens{3 + i}", mac, "virtio", "virtio_net", f"virtio{i}", up=True)
            kernel.plug(f"ens{13 + i}", mac, "pci", "vmxnet3", f"0000:0{i}")
        machine = Machine(kernel, Troubled(kernel.open(EVENTS, receive_buffer=1 << 20)), store or MemoryStore())
        found.append(machine)
        prepare(machine)
        machine.engine = Engine(
            config or Config(),
            Ports(
                link_socket=machine.link_socket,
                open_inet=machine.open_inet,
                complete=machine.complete,
                is_udev_done=machine.is_udev_done,
                udev_name=machine.udev_name,
                hold=lambda ifindex: machine.hold(ifindex),
                no_bond=machine.bond_obstacle,
                read_mode=machine.read_mode,
                read=machine.read,
                write_sysctl=lambda request, name: machine.write_sysctl(request, name),
                store=machine.store,
                announce=machine.announce,
                on_signal=machine.signals.append,
                on_step=machine.on_step,
                took_to_begin=machine.took_to_begin,
                is_udev_idle=lambda: trio.current_time() >= machine.udev_idle_at,
            ),
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_timers, kernel)
            nursery.start_soon(machine.engine.run, machine.is_ready)
            while ready and not machine.engine.state.synced:
                await machine.engine.stepped.wait()
            await body(machine)
            nursery.cancel_scope.cancel()

    trio.run(main, clock=MockClock(autojump_threshold=0))
    return found[0]


def causes(error: BaseException) -> Iterator[BaseException]:
    """What is in a group of errors, or the error itself: that depends on the release of trio."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from causes(inner)
    else:
        yield error


def test_a_pair_is_joined_and_said_to_be() -> None:
    async def body(machine: Machine) -> None:
        await machine.until(joined(FIRST))
        await machine.until(lambda _state: machine.states() == {FIRST: "accelerated"})

    machine = on_a_machine(body)
    assert Joined("ens3", FIRST, 4, "ens13", 3, "primary") in machine.signals
    assert machine.store.kept.memory == {FIRST: "joined"}
    assert machine.store.kept.journals == {}


def test_a_lost_carrier_does_not_wait_behind_the_links_that_others_make() -> None:
    """A thousand messages are queued before the one that matters."""
    known_when_sent: list[int] = []

    async def body(machine: Machine) -> None:
        await machine.until(joined(FIRST))
        await machine.until(lambda _state: machine.states() == {FIRST: "accelerated"})
        state = machine.engine.state

        def storm(_state: State, _now: float) -> Sequence[Event]:
            veth = kernelbytes.attr(18, kernelbytes.attr(1, b"veth\0"))
            links = [kernelbytes.link(1000 + number, b"v%d" % number, veth) for number in range(1000)]
            machine.link_socket.extra += links
            machine.kernel.set_medium(state.judgements.pairs[FIRST].vf, False)
            machine.link_socket.on_send = lambda: known_when_sent.append(len(state.links))
            return ()

        await machine.engine.tell(storm)
        await machine.until(lambda _state: machine.states() == {FIRST: "on-standby"})
        await machine.until(lambda _state: len(state.links) > 1000)

    on_a_machine(body)
    assert known_when_sent[0] < 10


def test_a_timer_is_not_kept_waiting_by_what_is_queued(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time has every other turn, and each turn is short."""
    monkeypatch.setattr(kernel_queue, "SLICE", -1.0)
    turns: list[bool] = []

    async def body(machine: Machine) -> None:
        await machine.until(joined(FIRST))

        def much(_state: State, _now: float) -> Sequence[Event]:
            machine.link_socket.extra += [kernelbytes.link(1000 + number, b"v%d" % number) for number in range(20)]
            machine.due_already = True
            return ()

        await machine.engine.tell(much)
        for _ in range(20):
            await machine.engine.stepped.wait()
            turns.append(machine.engine._is_times_turn)
        machine.due_already = False

    on_a_machine(body)
    assert {True, False} == set(turns)


def test_what_was_lost_in_an_overrun_is_found_again(caplog: pytest.LogCaptureFixture) -> None:
    async def body(machine: Machine) -> None:
        await machine.until(joined(FIRST))
        machine.kernel.storm()
        machine.kernel.unplug(machine.engine.state.judgements.pairs[FIRST].vf)
        await machine.until(lambda state: not state.judgements.pairs[FIRST].vf)
        assert [link.name for link in machine.engine.state.links.values()] == ["lo", "ens3nsby", "ens3"]

    on_a_machine(body)
    assert "events were lost" in caplog.text


def test_an_overrun_before_anything_is_known(caplog: pytest.LogCaptureFixture) -> None:
    """A storm while the first dump is under way: a second dump would be refused (EBUSY)."""

    async def body(machine: Machine) -> None:
        machine.kernel.storm()
        await machine.until(joined(FIRST))

    on_a_machine(body, ready=False)
    assert "events were lost" in caplog.text


def test_storms_all_along_the_way() -> None:
    async def body(machine: Machine) -> None:
        async with trio.open_nursery() as nursery:

            async def storms() -> None:
                while True:
                    await trio.sleep(0.01)
                    machine.kernel.storm()

            nursery.start_soon(storms)
            await machine.until(joined(FIRST, SECOND))
            nursery.cancel_scope.cancel()

    on_a_machine(body, pairs=2)


class FullStore(MemoryStore):
    """A store without room for the journals of some pairs."""

    def __init__(self) -> None:
        super().__init__()
        self.no_room = {FIRST, SECOND}

    def save_journal(self, journal: Journal) -> None:
        if journal.mac in self.no_room:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().save_journal(journal)


@pytest.mark.parametrize(("without", "nic", "other"), [(FIRST, 2, SECOND), (SECOND, 4, FIRST)])
def test_a_full_disk_stops_the_pair_it_concerns_and_no_other(
    caplog: pytest.LogCaptureFixture, without: str, nic: int, other: str
) -> None:
    """One step moves both pairs on. What it has to do for the one must be done, whatever befalls the other."""
    store = FullStore()

    def both_at_once(state: State, _now: float) -> tuple[Event]:
        for pair in state.pairs.values():
            pair.work.pause_until, pair.move.inet = 0.0, dict.fromkeys(state.links, Inet())
        return (TimePassed(),)

    async def body(machine: Machine) -> None:
        await trio.sleep(5)
        names = [machine.engine.state.links[i].name for i in (2, 4)]
        assert names == ["ens3", "ens4"]
        store.no_room = {without}
        await machine.engine.tell(both_at_once)
        await machine.until(joined(other))
        assert machine.engine.state.links[nic].name in names
        assert machine.engine.state.links[nic].master == 0
        store.no_room = set()
        await machine.until(joined(without))

    on_a_machine(body, store=store, pairs=2)
    assert f"{without}: cannot write down what has to be moved: [Errno 28] No space left on device" in caplog.text


def test_a_request_the_kernel_does_not_take_is_made_again(caplog: pytest.LogCaptureFixture) -> None:
    def prepare(machine: Machine) -> None:
        machine.link_socket.send_errors = [OSError(errno.ENOBUFS, "No buffer space available")] * 2

    async def body(machine: Machine) -> None:
        await machine.until(joined(FIRST))

    on_a_machine(body, prepare)
    assert "the kernel does not take a request" in caplog.text


def test_what_the_kernel_does_not_take_is_sent_again_soon_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    times: list[float] = []

    def prepare(machine: Machine) -> None:
        machine.link_socket.send_errors = [OSError(errno.ENOBUFS, "No buffer space available")] * 3
        machine.link_socket.on_send = lambda: times.append(trio.current_time())

    async def body(machine: Machine) -> None:
        await machine.until(joined(FIRST))

    on_a_machine(body, prepare)
    assert [round(after - before, 3) for before, after in pairwise(times[:4])] == [0.01, 0.02, 0.04]
    assert caplog.text.count("the kernel does not take a request") == 1
    assert "has not answered" not in caplog.text


def test_a_kernel_that_does_not_answer_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    async def body(machine: Machine) -> None:
        before = trio.current_time()
        machine.link_socket.mute = 2
        await machine.until(joined(FIRST))
        assert trio.current_time() - before >= 3.0

    on_a_machine(body)
    assert "the kernel has not answered for 3 s; looking at all devices again" in caplog.text


def test_a_datagram_that_cannot_be_read_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def prepare(machine: Machine) -> None:
        machine.link_socket.extra = [b"half a header", kernelbytes.link(2, b"ens3")[:-3], b""]

    async def body(machine: Machine) -> None:
        await machine.until(joined(FIRST))

    on_a_machine(body, prepare)
    assert "cannot be read" in caplog.text


@pytest.mark.parametrize("number", [errno.EBADF, errno.EIO])
def test_a_socket_that_broke_ends_the_engine(number: int) -> None:
    async def body(machine: Machine) -> None:
        await machine.until(joined(FIRST))
        machine.link_socket.recv_errors = [OSError(number, "broken")]
        machine.kernel.set_medium(2, False)
        await trio.sleep_forever()

    with pytest.raises((OSError, ExceptionGroup)) as caught:
        on_a_machine(body)
    assert [cause.errno for cause in causes(caught.value) if isinstance(cause, OSError)] == [number]


def test_a_kernel_that_will_not_list_its_devices_ends_the_engine() -> None:
    def prepare(machine: Machine) -> None:
        machine.link_socket.extra = [kernelbytes.ack(1, errno.EPERM, "not you")]

    async def body(_machine: Machine) -> None:
        await trio.sleep_forever()

    with pytest.raises((OSError, ExceptionGroup)) as caught:
        on_a_machine(body, prepare, ready=False)
    assert [str(cause) for cause in causes(caught.value)] == [
        "[Errno 1] the kernel refused to list its devices: not you"
    ]


def test_looking_up_a_configuration_is_tried_until_it_comes(caplog: pytest.LogCaptureFixture) -> None:
    def prepare(machine: Machine) -> None:
        machine.inet_errors = [OSError(errno.EMFILE, "Too many open files")] * 5

    async def body(machine: Machine) -> None:
        await machine.until(joined(FIRST))

    on_a_machine(body, prepare)
    assert caplog.text.count("cannot read the addresses and routes: [Errno 24] Too many open files") == 5


def test_a_look_up_that_breaks_down_is_tried_again_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    def prepare(machine: Machine) -> None:
        machine.inet_errors = [ValueError("odd")] * 5

    async def body(machine: Machine) -> None:
        await machine.until(joined(FIRST))

    on_a_machine(body, prepare)
    broken = [record for record in caplog.records if record.exc_info]
    assert [record.levelname for record in broken] == ["ERROR"]
    assert "ValueError: odd" in caplog.text


def test_a_vf_that_goes_while_its_configuration_is_looked_up(caplog: pytest.LogCaptureFixture) -> None:
    """The kernel ends that dump with ENODEV. The pair must not wait for an answer that cannot come."""

    async def body(machine: Machine) -> None:
        vf = machine.engine.state.judgements.pairs[FIRST].vf
        assert vf

        def unplug() -> None:
            if vf in machine.kernel.net.devices:
                machine.kernel.unplug(vf)

        machine.on_look = unplug
        await machine.until(lambda state: not state.judgements.pairs[FIRST].vf)
        await trio.sleep(1)
        assert not machine.engine.state.pairs[FIRST].work.looking
        machine.kernel.plug("ens14", FIRST, "pci", "vmxnet3", "0000:09")
        await machine.until(joined(FIRST))

    on_a_machine(body)
    assert "cannot read the addresses" not in caplog.text


def test_a_new_nic_is_left_alone_until_udev_is_done_with_it() -> None:
    def prepare(machine: Machine) -> None:
        machine.udev_done = False

    async def body(machine: Machine) -> None:
        await trio.sleep(0.5)
        machine.engine.udev_spoke()
        await trio.sleep(0.5)
        assert not machine.engine.state.pairs[FIRST].joined
        machine.udev_done = True
        machine.engine.udev_spoke()
        before = trio.current_time()
        await machine.until(joined(FIRST))
        assert trio.current_time() - before < 0.5

    on_a_machine(body, prepare)


def test_the_names_udev_could_not_give_are_given() -> None:
    def prepare(machine: Machine) -> None:
        machine.udev_names = {"ens3": "lan0", "ens13": "fast0"}
        # As somebody had opened it, udev's rename was refused.
        vf = next(device for device in machine.kernel.net.devices.values() if device.name == "ens13")
        devices.open_(machine.kernel.net, vf)

    async def body(machine: Machine) -> None:
        await machine.until(joined(FIRST))
        found = machine.engine.state.judgements.pairs[FIRST]
        names = [machine.engine.state.name(i) for i in (found.master, found.nic, found.vf)]
        assert names == ["lan0", "lan0nsby", "fast0"]

    on_a_machine(body, prepare)


def test_udev_is_not_waited_for_for_ever() -> None:
    def prepare(machine: Machine) -> None:
        machine.udev_done = False

    async def body(machine: Machine) -> None:
        await machine.until(joined(FIRST))
        assert 10.0 <= trio.current_time() < 12.0

    on_a_machine(body, prepare)


def test_a_nic_that_went_before_udev_was_done_is_not_waited_for() -> None:
    async def body(machine: Machine) -> None:
        await machine.until(joined(FIRST))
        machine.udev_done = False
        nic = machine.kernel.plug("ens20", SECOND, "virtio", "virtio_net", "virtio7")
        await machine.until(lambda state: nic in state.links)
        machine.kernel.unplug(nic)
        await machine.until(lambda state: nic not in state.links)
        machine.asked_udev.clear()
        machine.engine.udev_spoke()
        assert machine.asked_udev == []

    on_a_machine(body)


def test_a_timer_that_is_due_already_does_not_keep_the_queue_from_being_read() -> None:
    async def body(machine: Machine) -> None:
        await machine.until(joined(FIRST))
        heard: list[float] = []
        machine.due_already = True
        await machine.engine.tell(lambda _state, now: heard.append(now) or ())
        with trio.fail_after(1):
            while not heard:
                await trio.sleep(0.01)

    on_a_machine(body)


def test_a_new_configuration_acts_at_once() -> None:
    """Not only when the next device stirs."""

    async def body(machine: Machine) -> None:
        await trio.sleep(5)
        assert machine.states() == {}
        await reload_configuration(machine.engine, Config, Notifier(), socket(machine))
        assert machine.engine.state.config == Config()
        before = trio.current_time()
        await machine.until(joined(FIRST))
        assert trio.current_time() - before < 0.5

    on_a_machine(body, config=Config(pairing=Pairing(ignore=("ens*",))))


def datapath(machine: Machine) -> str:
    """What joins the one pair."""
    return machine.engine.state.pairs[FIRST].datapath.name


def test_who_else_is_there_is_seen_at_the_start_and_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def body(machine: Machine) -> None:
        await machine.until(joined(FIRST))
        await reload_configuration(machine.engine, Config, Notifier(), socket(machine))
        assert datapath(machine) == "tc"

    def prepare(machine: Machine) -> None:
        machine.no_bond = "NetworkManager runs"

    on_a_machine(body, prepare)
    assert caplog.text.count("tc and no bond for ens3: NetworkManager runs") == 1


def test_a_disk_that_hangs_keeps_a_first_join_for_a_while_and_ready_no_longer(caplog: pytest.LogCaptureFixture) -> None:
    async def body(machine: Machine) -> None:
        await machine.until(joined(FIRST))
        assert datapath(machine) == "tc"
        assert READING <= trio.current_time() < READING + 1

    def prepare(machine: Machine) -> None:
        machine.files_take = math.inf

    assert until_ready(prepare) < READING + 1
    on_a_machine(body, prepare)
    assert "the files of what configures ens3 could not be read within 5 s" in caplog.text


def test_what_is_remembered_is_waited_for_and_nothing_is_looked_at_before() -> None:
    """Or a pair that was released would be joined."""
    store = MemoryStore()
    store.kept.memory[FIRST] = "released"

    async def body(machine: Machine) -> None:
        await trio.sleep(2.9)
        state = machine.engine.state
        assert not state.synced
        assert not state.links
        await machine.ready.wait()
        assert trio.current_time() < 3.1
        assert state.pairs[FIRST].held
        assert machine.states() == {FIRST: "released"}

    def prepare(machine: Machine) -> None:
        machine.memory_takes = 3.0

    on_a_machine(body, prepare, store, ready=False)


def test_where_that_breaks_down_no_bond_is_made_and_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    async def body(machine: Machine) -> None:
        await machine.until(joined(FIRST))
        assert datapath(machine) == "tc"

    def prepare(machine: Machine) -> None:
        machine.no_bond = KeyError("nobody has thought of it")

    on_a_machine(body, prepare)
    assert caplog.text.count("looking up what configures the NIC, so no bond is made") == 1


@pytest.mark.parametrize(("before", "after", "expected"), [("", "NetworkManager runs", "tc"), ("it runs", "", "bond")])
def test_a_reload_looks_again_who_else_is_there(before: str, after: str, expected: str) -> None:
    async def body(machine: Machine) -> None:
        await trio.sleep(5)
        machine.no_bond = after
        await reload_configuration(machine.engine, Config, Notifier(), socket(machine))
        await machine.until(joined(FIRST))
        assert datapath(machine) == expected

    def prepare(machine: Machine) -> None:
        machine.no_bond = before

    on_a_machine(body, prepare, config=Config(pairing=Pairing(ignore=("ens*",))))


def test_a_nic_that_comes_is_reason_to_look_again_who_else_is_there() -> None:
    async def body(machine: Machine) -> None:
        await trio.sleep(5)
        machine.no_bond = "NetworkManager runs"
        machine.kernel.plug("ens13", FIRST, "pci", "vmxnet3", "0000:00")
        await machine.until(joined(FIRST))
        assert datapath(machine) == "tc"

    on_a_machine(body, lambda machine: machine.kernel.unplug(3))


def test_what_the_kernel_cannot_do_is_not_asked_for_again() -> None:
    async def body(machine: Machine) -> None:
        machine.engine.state.bonding.missing = True
        await reload_configuration(machine.engine, Config, Notifier(), socket(machine))
        await machine.until(joined(FIRST))
        assert (datapath(machine), machine.engine.state.bonding.missing) == ("tc", True)

    on_a_machine(body, config=Config(pairing=Pairing(ignore=("ens*",))))


def test_what_an_administrator_does_goes_through_the_same_queue() -> None:
    async def body(machine: Machine) -> None:
        await machine.until(joined(FIRST))
        seen: list[float] = []
        await machine.engine.tell(lambda _state, now: seen.append(now) or ())
        await machine.engine.tell(lambda _state, _now: (TimePassed(),))
        asked = machine.link_socket.asked.count(18)
        await machine.engine.resync()
        await machine.until(lambda _state: machine.link_socket.asked.count(18) > asked)
        assert seen == [pytest.approx(trio.current_time(), abs=0.1)]

    on_a_machine(body)


def until_ready(prepare: Callable[[Machine], None]) -> float:
    """Seconds until the engine says that it is ready."""
    took = 0.0

    async def body(machine: Machine) -> None:
        nonlocal took
        begun = trio.current_time()
        await machine.ready.wait()
        took = trio.current_time() - begun

    on_a_machine(body, prepare, ready=False)
    return took


def test_ready_is_said_when_what_is_there_is_joined() -> None:
    states = []

    def prepare(machine: Machine) -> None:
        machine.on_ready = lambda: states.append(machine.states()[FIRST])

    assert until_ready(prepare) < 1
    assert states == ["accelerated"]


def test_ready_waits_for_udev() -> None:
    def prepare(machine: Machine) -> None:
        machine.udev_idle_at = 3.0

    assert 3.0 <= until_ready(prepare) < 3.5


def test_a_boot_goes_on_without_what_cannot_be_joined_in_time() -> None:
    def prepare(machine: Machine) -> None:
        machine.udev_idle_at = math.inf

    assert until_ready(prepare) == pytest.approx(STARTING, abs=0.2)


@pytest.mark.parametrize(("took", "expected"), [(1.0, STARTING), (6.0, 6 * SLOWNESS), (600.0, STARTING_AT_MOST)])
def test_a_machine_that_is_slow_to_begin_has_more_time(took: float, expected: float) -> None:
    def prepare(machine: Machine) -> None:
        machine.udev_idle_at = math.inf
        machine.took_to_begin = took

    assert until_ready(prepare) == pytest.approx(expected, abs=0.2)
