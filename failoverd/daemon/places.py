"""Where the daemon keeps its files, and the lock that keeps a second daemon out."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from failoverd.daemon.files import hand_over, make_directory


class StartError(Exception):
    """failoverd cannot start; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Places:
    """Directories: `runtime` goes with a reboot, `state` stays."""

    runtime: Path
    state: Path

    @classmethod
    def from_environment(cls) -> Places:
        """systemd's RUNTIME_DIRECTORY and STATE_DIRECTORY, or the usual places."""
        runtime = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0] or "/run/failoverd"
        state = os.environ.get("STATE_DIRECTORY", "").split(":")[0] or "/var/lib/failoverd"
        return cls(Path(runtime), Path(state))

    @property
    def control(self) -> Path:
        """The control socket."""
        return self.runtime / "control"

    @property
    def history(self) -> Path:
        """What happened, also before this boot; `failoverctl history` looks for it by itself."""
        return self.state / "history"

    @property
    def accepted(self) -> Path:
        """The last configuration without a mistake."""
        return self.state / "accepted.json"

    @property
    def metrics(self) -> Path:
        """The metrics, for node_exporter's textfile collector."""
        return self.runtime / "metrics.prom"

    @property
    def hooks(self) -> Path:
        """Where failoverd-hooks listens: beside `runtime`, as that directory is the daemon's and this one root's."""
        return self.runtime.with_name(f"{self.runtime.name}-hooks") / "socket"

    def lock(self) -> IO[Any]:
        """The lock, held until the file is closed. Raises StartError.

        Nobody else may open its file, for whoever can open a file can lock it.
        """
        path = self.runtime / "lock"
        try:
            make_directory(path.parent)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            file = os.fdopen(os.open(path, flags, 0o600), "w", encoding="ascii")
            hand_over(path)
        except OSError as error:
            raise StartError(f"{path}: {error.strerror}; run it as root, or set RUNTIME_DIRECTORY") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            raise StartError(f"another failoverd holds {path}; stop it first (systemctl stop failoverd)") from error
        return file
