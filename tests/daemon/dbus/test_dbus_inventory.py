"""The inventory on D-Bus: what failoverctl says of the interfaces, and refusals by name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import trio
from busmachine import CLIENT, MAC, MASTER, Machine, on_a_machine
from daemonprocess import Daemon, places
from privatebus import PrivateBus
from privatenet import inside

from failoverd.core.call_answers import CallError
from failoverd.daemon.dbus.interfaces import INVENTORY, NAME, ROOT
from failoverd.daemon.dbus.inventory import ANSWERS, KINDS, WRITE
from failoverd.model.facts import camel

PROPERTIES = "org.freedesktop.DBus.Properties"
FAILED = f"{NAME}.Error"
MAKE = """\
link add br0 type bridge
link add v0 address 52:54:00:00:00:01 type veth peer name v1
link add m0 link v0 address 52:54:00:00:00:01 type macvlan mode bridge
link add name 7 type veth peer name a&b
link add name x\udcff type veth peer name y\x02
link set v1 master br0
link set br0 up
link set v0 up
link set v1 up
link property add dev v0 altname an-alternative-name
addr add 10.0.0.2/24 dev v0
addr add 2001:db8::2/64 dev v0 nodad
route add default via 10.0.0.1 dev v0
"""


class Client:
    """Asks a daemon both ways."""

    def __init__(self, where: Path, bus: PrivateBus) -> None:
        self._where, self._bus = where, bus

    def call(self, interface: str, member: str, *rest: Any) -> dict[str, Any]:
        more = [rest[0], json.dumps(list(rest[1:]))] if rest else []
        command = [sys.executable, str(CLIENT), self._bus.address, "call", NAME, ROOT, interface, member, *more]
        done = subprocess.run(command, capture_output=True, check=True, timeout=60)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def gives(self, member: str, *rest: Any) -> Any:
        answer = self.call(INVENTORY.name, member, *rest)
        assert answer["error"] is None, answer
        return answer["body"][0]

    def fails(self, member: str, *rest: Any) -> tuple[str, str]:
        answer = self.call(INVENTORY.name, member, *rest)
        return answer["error"].removeprefix(f"{FAILED}."), answer["body"][0]

    def read(self, *names: str) -> Any:
        member, signature = ("Get", "ss") if names else ("GetAll", "s")
        return self.call(PROPERTIES, member, signature, INVENTORY.name, *names)["body"][0]

    def ctl(self, *words: str) -> str:
        command = [sys.executable, "-c", "from failoverd.cli.ctl import main; raise SystemExit(main())", *words]
        environment = os.environ | places(self._where)
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout


def test_a_real_daemon_tells_on_the_bus_what_it_tells_failoverctl(tmp_path: Path, bus: PrivateBus) -> None:
    (tmp_path / "make").write_bytes(MAKE.encode("utf-8", "surrogateescape"))
    begin = ["sh", "-c", f'ip -batch {tmp_path}/make && exec "$@"', "sh"]
    environment = {"DBUS_SYSTEM_BUS_ADDRESS": bus.address}
    with Daemon(tmp_path, into=inside(*begin), environment=environment) as daemon:
        daemon.says("on the bus as")
        client = Client(tmp_path, bus)
        rows = json.loads(client.ctl("interfaces", "--json"))["interfaces"]
        shown = [line.split()[0] for line in client.ctl("interfaces").splitlines()[2:]]
        by_name = dict(zip(shown, rows, strict=True))
        assert {"7", "a&b", "br0", "lo", "m0", "v0", "v1", "x\\udcff", "y\\x02"} == by_name.keys()

        listed = client.gives("List", "u", 0)
        assert listed == [[name, row["active"], row["mac"] or "", row["ifindex"]] for name, row in by_name.items()]
        assert client.gives("List", "u", 3) == listed
        assert client.gives("List", "u", 2) == [row for row in listed if row[1]] != []
        assert client.gives("List", "u", 1) == [row for row in listed if not row[1]] != []
        for name, row in by_name.items():
            facts = {camel(key): value for key, value in row.items() if value is not None}
            for family in ("Ipv4", "Ipv6"):
                facts[family] = [{camel(key): value for key, value in one.items()} for one in facts[family]]
            assert client.gives("Describe", "s", name) == facts | {"Name": name}
        assert client.gives("XML", "s", "br0") == client.ctl("interface-xml", "br0")
        assert "<route gateway='10.0.0.1'/>" in client.gives("XML", "s", "an-alternative-name")
        assert client.gives("Describe", "s", str(by_name["v0"]["ifindex"]))["Name"] == "v0"

        name, text = client.fails("XML", "s", MAC)
        assert (name, "m0, v0" in text) == ("SeveralInterfaces", True)
        assert client.fails("Describe", "s", "nosuch")[0] == "NoSuchInterface"
        assert client.fails("Describe", "s", "")[0] == "NoSuchInterface"
        name, text = client.fails("XML", "s", "x\\udcff")
        assert (name, "no UTF-8" in text) == ("NoDocument", True)
        assert client.fails("List", "u", 4) == (
            "BadArgument",
            f"List at {ROOT}: the flags are 1 for inactive interfaces, 2 for active ones, 3 or 0 for all, and not 4",
        )

        before = client.read("Generation")
        assert client.read() == {"Generation": before, "Sure": True}
        enter = ["nsenter", *([] if os.geteuid() == 0 else ["--user", "--preserve-credentials"])]
        enter += ["--net", "--target", str(daemon.process.pid)]
        subprocess.run([*enter, "ip", "addr", "add", "10.9.9.9/32", "dev", "v1"], check=True)
        assert client.read("Generation") > before
        assert client.gives("Describe", "s", "v1")["Ipv4"] == [{"Address": "10.9.9.9", "Prefix": 32}]
        assert daemon.end() == 0


def test_an_order_is_not_behind_a_question_that_takes_long(bus: PrivateBus) -> None:
    async def body(machine: Machine) -> None:
        asked, goes_on = trio.Event(), trio.Event()

        async def slow(question: str, arguments: Sequence[str]) -> list[bytes]:
            asked.set()
            await goes_on.wait()
            return [b'{"interfaces": [', b"]}"]

        machine.ask = slow
        async with trio.open_nursery() as nursery:
            nursery.start_soon(machine.call, ROOT, INVENTORY.name, "List", "u", 0)
            await asked.wait()
            assert (await machine.call(MASTER, f"{NAME}.Master", "ResetDamping"))["error"] is None
            goes_on.set()

    on_a_machine(bus, body)


def test_mistakes_and_failures_have_names(bus: PrivateBus) -> None:
    async def body(machine: Machine) -> None:
        async def broken(question: str, arguments: Sequence[str]) -> list[bytes]:
            raise CallError(f"{question} of no kernel")

        machine.ask = broken
        for member, rest in (("List", ("u", 0)), ("XML", ("s", "ens3")), ("Describe", ("s", "ens3"))):
            answer = await machine.call(ROOT, INVENTORY.name, member, *rest)
            assert answer["error"] == f"{FAILED}.Failed"
            assert answer["body"][0].startswith(f"{member} at {ROOT}: ")
        errors = "org.freedesktop.DBus.Error"
        wrong: list[tuple[str, str, tuple[Any, ...], str]] = [
            (INVENTORY.name, "List", (), "InvalidArgs"),
            (INVENTORY.name, "List", ("s", "0"), "InvalidArgs"),
            (INVENTORY.name, "Undefine", ("s", "ens3"), "UnknownMethod"),
            (PROPERTIES, "Get", ("ss", INVENTORY.name, "Nothing"), "UnknownProperty"),
            (PROPERTIES, "Get", ("s", INVENTORY.name), "InvalidArgs"),
        ]
        for interface, member, rest, error in wrong:
            answer = await machine.call(ROOT, interface, member, *rest)
            assert answer["error"] == f"{errors}.{error}", answer
        answer = await machine.call(MASTER, PROPERTIES, "Get", "ss", INVENTORY.name, "Generation")
        assert answer["error"] == f"{errors}.UnknownInterface"
        command = ["busctl", f"--address={machine.bus.address}", "set-property", NAME, ROOT, INVENTORY.name]
        done = await trio.run_process([*command, "Generation", "t", "7"], capture_stderr=True, check=False)
        assert b"can only be read" in done.stderr

    on_a_machine(bus, body)


def test_each_method_and_each_kind_of_fact_has_its_answer() -> None:
    assert ANSWERS.keys() == {method.name for method in INVENTORY.methods} | {"Get", "GetAll"}
    assert set(KINDS.values()) == WRITE.keys()
