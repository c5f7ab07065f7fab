"""Something at the control socket that answers as it is told, for what no real daemon answers."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

Answer = bytes | Callable[[dict[str, Any]], bytes]

VF = {
    "name": "ens4",
    "ifindex": 3,
    "master": "ens3",
    "role": "primary",
    "mac": "52:54:00:00:00:01",
    "driver": "mlx5_core",
    "parent_device": "0000:01:00.0",
    "active": True,
    "up": True,
    "carrier": True,
    "carrier_losses": 0,
    "fit": True,
    "mtu": 1500,
}
NIC = VF | {
    "name": "ens3nsby",
    "ifindex": 2,
    "role": "standby",
    "driver": "virtio_net",
    "parent_device": "virtio0",
    "active": False,
}


def master(state: str = "accelerated", **more: Any) -> dict[str, Any]:
    """A row of the status document."""
    row = {
        "name": "ens3",
        "ifindex": 5,
        "mac": "52:54:00:00:00:01",
        "datapath": "bond",
        "state": state,
        "reason": "",
        "active": "ens4",
        "primary": VF,
        "standby": NIC,
        "drained": False,
        "drain_ends": None,
        "mtu": 1500,
        "failovers": 0,
        "last_failover": None,
    }
    return row | more


def ok(document: Any) -> bytes:
    """An answer."""
    return json.dumps({"ok": document}).encode() + b"\n"


def error(text: str, kind: str = "Failed") -> bytes:
    """A refusal."""
    return json.dumps({"error": {"text": text, "kind": kind}}).encode() + b"\n"


def status(*masters: dict[str, Any], nics: Any = ()) -> bytes:
    """The answer to status."""
    return ok({"version": "0.1.0", "masters": masters, "nics": nics})


class Fake:
    """Answers each client until it is closed, with the bytes that `answer` is or gives for a request. `asked` are the
    requests."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[dict[str, Any]] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._path = path
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def __enter__(self) -> Fake:
        return self

    def __exit__(self, _kind: type | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        self._path.unlink()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with peer, peer.makefile("rb") as lines:
                peer.settimeout(10)
                request = json.loads(lines.readline())
                self.asked.append(request)
                answer = self.answer(request) if callable(self.answer) else self.answer
                try:
                    peer.sendall(answer)
                except OSError:
                    continue
