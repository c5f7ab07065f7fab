"""`make demo-cni`: pods on a failover master, by the real plugin and the real daemon, in namespaces of their own.

Veths stand for the VF and its paravirtual NIC, traffic control joins them, and macvlans are attached, since not every
kernel has VLANs. Addresses are host-local's where it is installed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests"))

from attachedpods import Host, NamedPod, ip, joined  # noqa: E402
from privatenet import private_net  # noqa: E402

PICTURE = Path("build/demo-cni.svg")
STANDARD = "/usr/lib/cni"
BIN = Path(sys.executable).parent


def say(text: str) -> None:
    """A line of the story."""
    print(f"\n# {text}", flush=True)


def failoverctl(there: Host, *words: str) -> None:
    """Run failoverctl, and show what it prints."""
    print("$ failoverctl", *words, flush=True)
    code = "import sys; from failoverd.cli.ctl import main; sys.exit(main())"
    command = [sys.executable, "-c", code, *words]
    subprocess.run(command, env=os.environ | {"FAILOVERD_CONTROL": there.control}, check=False)


def call(pod: NamedPod, command: str, keys: dict[str, Any]) -> None:
    """Run the plugin as a runtime does, and show the variables, the configuration and its answer."""
    words = {key: pod.variables[key] for key in ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME")}
    print(f"$ CNI_COMMAND={command}", *(f"{key}={value}" for key, value in words.items()), "failoverd-cni", flush=True)
    done = subprocess.run(
        [BIN / "failoverd-cni"],
        input=json.dumps(keys),
        env=os.environ | pod.variables | {"CNI_COMMAND": command},
        capture_output=True,
        text=True,
        check=False,
    )
    sys.stdout.write(done.stderr + (json.dumps(json.loads(done.stdout), indent=1) + "\n" if done.stdout else ""))
    print(f"exit status {done.returncode}", flush=True)


@private_net
def demo(where: Path, picture: Path) -> None:
    """Tell it, and draw the pods' wiring."""
    with joined(where) as there:
        pods = [there.pod(name) for name in ("web", "db")]
        ipam: dict[str, Any] = {"type": "fake"}
        if shutil.which("host-local", path=STANDARD):
            ranges = [[{"subnet": "10.3.0.0/24", "rangeStart": "10.3.0.10", "gateway": "10.3.0.1"}]]
            ipam = {"type": "host-local", "ranges": ranges, "dataDir": str(where / "reservations")}
        keys = there.netconf(cniVersion="1.0.0", name="tenant", failover="auto", ipam=ipam)
        for pod in pods:
            pod.variables["CNI_PATH"] += f":{STANDARD}"
        say("A pair is joined; the configuration of the network")
        failoverctl(there, "status")
        print(json.dumps(keys, indent=1))
        say("A runtime starts two pods")
        for number, pod in enumerate(pods):
            there.ipam.answer({"ADD": {"ips": [{"address": f"10.3.0.{number + 10}/24", "gateway": "10.3.0.1"}]}})
            call(pod, "ADD", keys)
        failoverctl(there, "links")
        say("The VF is unplugged; web reaches its gateway all the same")
        ip("link", "delete", "ens4")
        there.until(lambda: there.carries() == "ens3" and pods[0].reaches("10.3.0.1"), "the standby carries")
        failoverctl(there, "status")
        say("A release would take the pods' links along")
        failoverctl(there, "release", "ens3")
        picture.parent.mkdir(exist_ok=True)
        failoverctl(there, "links", "graph")
        failoverctl(there, "links", "graph", "--svg", str(picture))
        say("failoverd is killed; db ends meanwhile, and is detached when failoverd is back")
        there.end(signal.SIGKILL)
        call(pods[1], "DEL", keys)
        call(pods[0], "STATUS", keys | {"cniVersion": "1.1.0", "ipam": {}})
        there.start()
        there.until(lambda: [row["owner"] for row in there.links().values()] == ["default/web"], "db is detached")
        failoverctl(there, "links")
        say("web ends")
        call(pods[0], "DEL", keys)
        there.until(lambda: there.links() == {}, "web is detached")
        failoverctl(there, "links")
        sys.stdout.flush()


if __name__ == "__main__":
    drawn = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE
    with tempfile.TemporaryDirectory(prefix="failoverd-demo-") as directory:
        demo(Path(directory), drawn)
    print(f"\nThe pods' wiring, while there were two: {drawn}")
