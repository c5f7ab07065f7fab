"""One whole machine beside the simulated ones of bench/fleet.py: failoverd, failoverd-netns and failoverd-etcd. They
make the links that etcd declares for it, between the benchmark's own network namespace and another one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from declared import doorkeeper

PATIENCE = 30.0
RED = "red"
NAME = "machine"
"""Its name in etcd."""


class Machine:
    """See the module. `where` has its directories."""

    def __init__(self, where: Path, endpoint: str) -> None:
        self._where, self._config = where, where / "failoverd.toml"
        for folder in ("run", "run-etcd", "state", "state-etcd"):
            (where / folder).mkdir(parents=True)
        text = f'[dbus]\nenabled = false\n[etcd]\nenabled = true\nendpoints = ["{endpoint}"]\nnode = "{NAME}"\n'
        self._config.write_text(text + "publish_status = true\n")
        self._env = os.environ | {
            "FAILOVERD_CONTROL": str(where / "run" / "control"),
            "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={where}/bus",
        }

    def start(self, module: str, runtime: str, state: str) -> subprocess.Popen[bytes]:
        """Start one of its programs."""
        own = {"RUNTIME_DIRECTORY": str(self._where / runtime), "STATE_DIRECTORY": str(self._where / state)}
        words = [sys.executable, "-m", module, "--config", str(self._config)]
        with (self._where / f"{module}.log").open("ab") as log:
            return subprocess.Popen(words, env=self._env | own, stdout=log, stderr=log)

    def told(self) -> dict[str, Any]:
        """What failoverctl links says, as JSON."""
        words = [str(Path(sys.executable).with_name("failoverctl")), "links", "--json"]
        done = subprocess.run(words, env=self._env, stdout=subprocess.PIPE, check=False)
        found: dict[str, Any] = json.loads(done.stdout or b"{}")
        return found

    def ready(self, *names: str) -> float:
        """Wait until these links are ready; since when the last of them is, in seconds since the epoch."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            rows = {row["name"]: row for row in self.told().get("links", [])}
            if all(rows.get(name, {}).get("state") == "ready" for name in names):
                return float(max(rows[name]["since"] for name in names))
            time.sleep(0.1)
        logs = "".join(path.read_text()[-2000:] for path in self._where.glob("*.log"))
        raise RuntimeError(f"{names} are not ready within {PATIENCE:g} s: {rows}\n{logs}")

    def connected(self) -> None:
        """Wait until it is connected to etcd."""
        end = time.monotonic() + PATIENCE
        while not self.told().get("etcd", {}).get("connected"):
            if time.monotonic() > end:
                raise RuntimeError(f"not connected within {PATIENCE:g} s: {self.told()}")
            time.sleep(0.1)


@contextmanager
def machine(where: Path, endpoint: str) -> Iterator[Machine]:
    """The machine, connected to etcd."""
    there = Machine(where, endpoint)
    subprocess.run(("/bin/ip", "netns", "add", RED), check=True)
    with ExitStack() as stack:
        stack.callback(subprocess.run, ("/bin/ip", "netns", "delete", RED), check=True)
        stack.enter_context(doorkeeper(where / "run-netns" / "socket"))
        for module, runtime, state in (("failoverd", "run", "state"), ("failoverd_etcd", "run-etcd", "state-etcd")):
            process = there.start(module, runtime, state)
            stack.callback(process.wait)
            stack.callback(process.kill)
        there.connected()
        yield there
