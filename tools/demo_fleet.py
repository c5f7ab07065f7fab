"""`make demo-fleet`: a real etcd and three machines, which are network namespaces here. Links between them are declared
in one transaction, one machine's VF loses its link, and `failoverctl fleet` shows what etcd knows of it.

All of it is in namespaces of its own and ends with this program. The machines' NICs are veths that pass for hardware,
as in `make demo`.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from failoverd_lab.hardware import DRIVERS, Hardware, Shelf
from failoverd_lab.host import cache_dir

MACHINES = ("m1", "m2", "m3")
HUB = "10.77.0.1"
ENDPOINT = f"http://{HUB}:2379"
MAC = "52:54:00:77:00:03"
PATIENCE = 30.0
DOOR = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind(sys.argv[1])
listener.listen(64)
os.dup2(listener.fileno(), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
from failoverd.cli.netns import main
sys.exit(main(["--runtimes", "/nowhere"]))
"""
LINKS = "".join(
    f"""
[node.{here}.link.to-{there}]
kind = "veth"
device = "to-{there}"
addresses = ["192.0.2.{4 * number + 1}/30"]
[node.{here}.link.to-{there}.peer]
namespace = {{ name = "{there}" }}
device = "to-{here}"
addresses = ["192.0.2.{4 * number + 2}/30"]
"""
    for number, (here, there) in enumerate([("m1", "m2"), ("m2", "m3"), ("m3", "m1")])
)


def run(*words: str) -> str:
    """Run a command; it must succeed."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"demo-fleet: {' '.join(words)}: {done.stderr}")
    return done.stdout


def inside(machine: str, *words: str) -> list[str]:
    """A command that runs in a machine's network namespace."""
    return ["nsenter", f"--net=/run/netns/{machine}", *words]


class Fleet:
    """All processes, in one directory."""

    def __init__(self, where: Path) -> None:
        self.where, self._begun = where, time.monotonic()
        self._processes: list[subprocess.Popen[bytes]] = []

    def say(self, text: str) -> None:
        """Tell what happens, and when."""
        print(f"{time.monotonic() - self._begun:5.1f} s  {text}", flush=True)

    def start(self, name: str, command: list[str], **environment: str) -> None:
        """Start a process."""
        with (self.where / f"{name}.log").open("wb") as log:
            started = subprocess.Popen(command, env=os.environ | environment, stdout=log, stderr=log)
        self._processes.append(started)

    def end(self) -> None:
        """End all processes."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until something holds."""
        end = time.monotonic() + PATIENCE
        while not holds():
            if time.monotonic() > end:
                for log in sorted(self.where.glob("*.log")):
                    print(f"== {log.name}\n{log.read_text()[-1500:]}", file=sys.stderr)
                sys.exit(f"demo-fleet: {what}: not within {PATIENCE:g} s")
            time.sleep(0.1)

    def etcd(self) -> None:
        """Start etcd beside the machines."""
        binary, peer = cache_dir() / "etcd" / "bookworm" / "etcd", "http://127.0.0.1:2380"
        command = [str(binary), "--data-dir", str(self.where / "etcd"), "--listen-client-urls", ENDPOINT]
        command += ["--advertise-client-urls", ENDPOINT, "--listen-peer-urls", peer]
        self.start("etcd", [*command, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}"])

    def machine(self, number: int, name: str) -> None:
        """Plug a machine in, and start what runs on it."""
        home = self.where / name
        for folder in ("run", "run-netns", "run-etcd", "state", "state-etcd"):
            (home / folder).mkdir(parents=True)
        if name == MACHINES[-1]:
            self._pair(name, Shelf(home / "hardware"))
        else:
            run("ip", "link", "add", f"w{name}", "type", "veth", "peer", "name", "ens3", "netns", name)
            self._wire(f"w{name}")
        run(*inside(name, "ip", "link", "set", "ens3", "up"))
        run(*inside(name, "ip", "address", "add", f"10.77.0.{10 + number}/24", "dev", "ens3"))
        text = f'[etcd]\nenabled = true\nendpoints = ["{ENDPOINT}"]\nnode = "{name}"\npublish_status = true\n'
        (home / "failoverd.toml").write_text(text + "[failback]\nhold_down = 0.5\n")
        places = {"RUNTIME_DIRECTORY": str(home / "run-etcd"), "STATE_DIRECTORY": str(home / "state-etcd")}
        python = [sys.executable, "-m"]
        self.start(f"{name}-netns", inside(name, sys.executable, "-c", DOOR, str(home / "run-netns" / "socket")))
        self.start(f"{name}-failoverd", inside(name, *python, "failoverd_lab.netnsdaemon", str(home)))
        follow = inside(name, *python, "failoverd_etcd", "--config", str(home / "failoverd.toml"))
        self.start(f"{name}-etcd", follow, FAILOVERD_CONTROL=str(home / "run" / "control"), **places)

    def _wire(self, port: str) -> None:
        run("ip", "link", "set", port, "master", "hub", "up")

    def _pair(self, name: str, shelf: Shelf) -> None:
        """The last machine has a paravirtual NIC and a VF."""
        for ifindex, device, bus in ((1003, "ens3", "virtio"), (1004, "ens4", "pci")):
            parent = "virtio0" if bus == "virtio" else "0000:04:00.0"
            shelf.put(ifindex, Hardware(bus, DRIVERS[bus], parent, MAC, 65535))
            made = ("ip", "link", "add", device, "index", str(ifindex), "address", MAC, "type", "veth")
            run(*inside(name, *made, "peer", "name", f"w{device}", "netns", str(os.getpid())))
            self._wire(f"w{device}")

    def fleet(self, *words: str) -> str:
        """What failoverctl fleet says."""
        program = str(Path(sys.executable).with_name("failoverctl"))
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        env = os.environ | {"ETCDCTL_ENDPOINTS": ENDPOINT, "PATH": path}
        command = [program, *words, "--config", str(self.where / "m1" / "failoverd.toml")]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode in (1, 2):
            sys.exit(f"demo-fleet: {done.stderr}")
        return done.stdout

    def nodes(self) -> dict[str, Any]:
        """The machines, by name."""
        return {node["node"]: node for node in json.loads(self.fleet("fleet", "--json"))["nodes"]}

    def is_up(self) -> bool:
        """Whether etcd listens."""
        with socket.socket() as sock:
            sock.settimeout(1)
            return sock.connect_ex((HUB, 2379)) == 0


def master(fleet: Fleet) -> dict[str, Any]:
    """The master of the machine that has a pair."""
    found = fleet.nodes().get(MACHINES[-1], {"masters": []})["masters"]
    return dict(found[0]) if found else {"state": "none"}


def main() -> None:
    """Tell the story."""
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    where = Path(tempfile.mkdtemp(prefix="failoverd-fleet-"))
    fleet = Fleet(where)
    try:
        tell(fleet)
    finally:
        fleet.end()
        shutil.rmtree(where)


def tell(fleet: Fleet) -> None:
    """See main."""
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "hub", "type", "bridge")
    run("ip", "link", "set", "hub", "up")
    run("ip", "address", "add", f"{HUB}/24", "dev", "hub")
    for name in MACHINES:
        run("ip", "netns", "add", name)
        run(*inside(name, "ip", "link", "set", "lo", "up"))
    fleet.etcd()
    fleet.until(fleet.is_up, "etcd")
    fleet.say("etcd runs; three machines start")
    for number, name in enumerate(MACHINES):
        fleet.machine(number + 1, name)
    fleet.until(lambda: master(fleet)["state"] == "accelerated", "the pair is joined")
    fleet.say("all three have told etcd of themselves; m3 carries on its VF")
    (fleet.where / "links.toml").write_text(LINKS)
    put = time.monotonic()
    fleet.say(fleet.fleet("links", "put", str(fleet.where / "links.toml")).splitlines()[-1])
    wanted = dict.fromkeys(MACHINES, 2)
    fleet.until(lambda: ready(fleet) == wanted, "the links are ready")
    fleet.say(f"three links between the machines are ready, {time.monotonic() - put:.1f} s after the transaction")
    print(f"\n{fleet.fleet('fleet')}")
    run("ip", "link", "set", "wens4", "down")
    fleet.say("the switch takes the link from m3's VF")
    fleet.until(lambda: master(fleet)["state"] == "on-standby", "the failover")
    fleet.say("etcd knows that m3 runs on the standby; it was told over the standby")
    print(f"\n{fleet.fleet('fleet')}")


def ready(fleet: Fleet) -> dict[str, int]:
    """How many ends of each machine are ready."""
    states = {name: [link["state"] for link in node["links"]] for name, node in fleet.nodes().items()}
    return {name: each.count("ready") for name, each in states.items()}


if __name__ == "__main__":
    if sys.argv[1:] == ["--inside"]:
        main()
    else:
        user = [] if os.geteuid() == 0 else ["--map-root-user"]
        words = ["unshare", *user, "--net", "--mount", "--propagation", "private", sys.executable, __file__, "--inside"]
        os.execvp(words[0], words)  # noqa: S606 - there is nothing for a shell to do
