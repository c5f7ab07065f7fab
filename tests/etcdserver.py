"""Real etcds on this machine's loopback, of Debian 12 and 13 (tools/etcd.sh), and their etcdctl."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from failoverd_lab.host import cache_dir

SUITES = ("bookworm", "trixie")
PATIENCE = 20.0
PREFIX = "/failoverd/v1"


def program(suite: str, name: str) -> str:
    """The etcd or etcdctl of a release."""
    path = cache_dir() / "etcd" / suite / name
    assert path.exists(), f"there is no {path}; make setup fetches it"
    return str(path)


class Etcd:
    """One member. `where` has its data and its log; its ports are `port` and the next one."""

    def __init__(
        self,
        where: Path,
        suite: str = "bookworm",
        port: int = 2379,
        options: Sequence[str] = (),
        scheme: str = "http",
        client: Sequence[str] = (),
        cluster: str = "",
        name: str = "one",
    ) -> None:
        self.where, self.suite, self.port, self.options, self.name = where, suite, port, options, name
        self.url, self.client = f"{scheme}://127.0.0.1:{port}", client
        self._cluster = cluster or f"{name}=http://127.0.0.1:{port + 1}"
        self.process: subprocess.Popen[bytes] | None = None
        self.asked = 0
        """How often etcdctl was run."""

    def start(self, *, is_waited_for: bool = True) -> None:
        """Start it, and wait until it answers."""
        self.where.mkdir(parents=True, exist_ok=True)
        subprocess.run(("ip", "link", "set", "lo", "up"), check=True)
        peer = f"http://127.0.0.1:{self.port + 1}"
        command = [program(self.suite, "etcd"), "--name", self.name, "--data-dir", str(self.where / "data")]
        command += ["--listen-client-urls", self.url, "--advertise-client-urls", self.url]
        command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
        command += ["--initial-cluster", self._cluster, "--heartbeat-interval", "50", "--election-timeout", "500"]
        with (self.where / "log").open("ab") as log:
            self.process = subprocess.Popen([*command, *self.options], stdout=log, stderr=log)
        if is_waited_for:
            self.wait()

    def wait(self) -> None:
        """Wait until it answers."""
        end = time.monotonic() + PATIENCE
        while self.ctl("get", "ready", check=False).returncode:
            assert time.monotonic() < end, (self.where / "log").read_text()[-3000:]
            time.sleep(0.05)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it by a signal, or stop it and let it go on."""
        assert self.process is not None
        self.process.send_signal(number)
        if number == signal.SIGSTOP:
            while " T " not in Path(f"/proc/{self.process.pid}/stat").read_text():
                time.sleep(0.01)
        elif number != signal.SIGCONT:
            self.process.wait(PATIENCE)

    def end(self) -> None:
        """End it, whatever it does."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def ctl(self, *words: str, check: bool = True, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run etcdctl."""
        self.asked += 1
        command = [program(self.suite, "etcdctl"), "--endpoints", self.url, "--command-timeout", "5s", *self.client]
        environment = os.environ | {"ETCDCTL_API": "3"}
        done = subprocess.run([*command, *words], env=environment, input=given, capture_output=True, text=True)
        assert not check or not done.returncode, done.stderr
        return done

    def put(self, node: str, **links: Mapping[str, Any] | str) -> None:
        """Put links in one transaction; "_" in a name stands for "-"."""
        lines = []
        for name, link in links.items():
            value = link if isinstance(link, str) else json.dumps(link)
            quoted = json.dumps(value)
            lines.append(f"put {PREFIX}/nodes/{node}/links/{name.replace('_', '-')} {quoted}")
        self.ctl("txn", given="\n" + "\n".join(lines) + "\n\n\n")

    def revision(self, key: str = "") -> int:
        """The revision it is at, or that of a key."""
        answer = json.loads(self.ctl("get", key or "none", "-w", "json").stdout)
        return int(answer["kvs"][0]["mod_revision"] if key else answer["header"]["revision"])

    def below(self, key: str) -> dict[str, Any]:
        """All keys below one, with their JSON values."""
        lines = self.ctl("get", "--prefix", key).stdout.splitlines()
        return {one: json.loads(value) for one, value in zip(lines[::2], lines[1::2], strict=True)}


@contextmanager
def etcd(where: Path, suite: str = "bookworm", **more: Any) -> Iterator[Etcd]:
    """One member that runs."""
    member = Etcd(where, suite, **more)
    try:
        member.start()
        yield member
    finally:
        member.end()
