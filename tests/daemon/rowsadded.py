"""A failoverd with a row more in each table, and everything that shows its facts: what it says of them, as JSON.

Run as a program, as the rows have to be there before the modules that derive from them. Its arguments are a folder and
the address of a bus.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from failoverd.core import signal_table
from failoverd.model.facts import Row, Table, Type


def luck(value: float, kind: Type = Type.COUNT, **more: Any) -> Row[Any]:
    """The new row."""
    return Row("luck", kind, f"A luck of {value}.", lambda _: value, **more)


for name, told in signal_table.SIGNALS.items():
    field = luck(4.5, Type.SECONDS, metric="histogram")._replace(key="luck_seconds")
    signal_table.SIGNALS[name] = told._replace(fields=(*told.fields, field))

from failoverd.core import document  # noqa: E402

for name, value in (("DAEMON", 41), ("MASTER", 42), ("SLAVE", 43), ("NIC", 44)):
    old = getattr(document, name)
    row = luck(value, metric="gauge")
    setattr(document, name, Table(old.name, old.text, (*old.rows, row), old.prefix))

import ctlman  # noqa: E402
import dbuspage  # noqa: E402
import tables  # noqa: E402
from busmachine import MASTER, Machine, heard, listener, on_a_machine  # noqa: E402

from failoverd.cli.historyfile import read  # noqa: E402
from failoverd.core.status import status  # noqa: E402
from failoverd.daemon.dbus.interfaces import NAME, ROOT  # noqa: E402
from failoverd.daemon.history import History  # noqa: E402
from failoverd.daemon.hooks import environment  # noqa: E402
from failoverd.daemon.journald import entry  # noqa: E402
from failoverd.daemon.metrics import Metrics  # noqa: E402
from failoverd.model.signals import FailedOver, Moment  # noqa: E402

SIGNAL = FailedOver("ens3", "ens13", "ens3nsby", "it was unplugged", 1.0, "52:54:00:00:00:01", 3, 2, 0.25, "standby")
MOMENT = Moment(1_700_000_000.25, 12.5)


class Bus:
    """The bus that the test has started."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = address.partition("=")[2]


def main(where: Path, address: str) -> dict[str, Any]:
    said: dict[str, Any] = {}

    async def body(machine: Machine) -> None:
        said["properties"] = [
            await machine.get("Luck", ROOT, "Manager"),
            await machine.get("Luck"),
            await machine.get("Luck", f"{ROOT}/slave/3", "Slave"),
        ]
        said["explained"] = (await machine.call(ROOT, f"{NAME}.Manager", "Explain", "s", "ens13"))["body"][0]
        said["introspected"] = (await machine.call(MASTER, "org.freedesktop.DBus.Introspectable", "Introspect"))["body"]
        said["json"] = status(machine.engine.state)
        hears = await listener(machine, "hear", NAME, "FailedOver")
        machine.unplug()
        said["heard"] = await heard(hears)
        said["last"] = await machine.get("LastFailover")
        metrics = Metrics(where / "metrics", lambda: 0)
        metrics.signalled(SIGNAL, MOMENT)
        metrics.stepped(status(machine.engine.state))
        said["metrics"] = (where / "metrics").read_text()

    on_a_machine(Bus(address), body)  # type: ignore[arg-type]
    history = History(where / "history")
    history.signalled(SIGNAL, MOMENT)
    history.stopped("done")
    said["history"] = read(str(where / "history"))
    said["journal"] = entry(SIGNAL, MOMENT).decode()
    said["hook"] = environment(SIGNAL, MOMENT)
    said["manual"] = ctlman.page()
    said["reference"] = dbuspage.page()
    said["tables"] = {name: "\n".join(make()) for name, make in tables.TABLES.items()}
    return said


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), sys.argv[2])))
