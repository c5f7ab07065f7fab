"""The paths of the daemon's files, and the lock that keeps a second daemon out."""

from __future__ import annotations

import fcntl
import logging
import os
import stat
from pathlib import Path
from typing import IO, Any, NamedTuple

from failoverd.daemon.files import hand_over, make_directory, set_aside

log = logging.getLogger("failoverd")


class StartError(Exception):
    """failoverd cannot start; the text says why and what to do."""


class Paths(NamedTuple):
    """The daemon's directories: `runtime` goes with a reboot, `state` stays."""

    runtime: Path
    state: Path

    @classmethod
    def from_environment(cls) -> Paths:
        """Take systemd's RUNTIME_DIRECTORY and STATE_DIRECTORY, or the usual paths."""
        runtime = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0] or "/run/failoverd"
        state = os.environ.get("STATE_DIRECTORY", "").split(":")[0] or "/var/lib/failoverd"
        return cls(Path(runtime), Path(state))

    @property
    def control(self) -> Path:
        """The control socket."""
        return self.runtime / "control"

    @property
    def history(self) -> Path:
        """The history of events, also before this boot; `failoverctl history` finds it by itself."""
        return self.state / "history"

    @property
    def last_good_config(self) -> Path:
        """The copy of the last valid configuration."""
        return self.state / "accepted.json"

    @property
    def metrics(self) -> Path:
        """The metrics, for node_exporter's textfile collector."""
        return self.runtime / "metrics.prom"

    @property
    def hooks(self) -> Path:
        """The socket of failoverd-hooks. It is beside `runtime`, not in it: `runtime` is the daemon's, this directory
        root's."""
        return self.runtime.with_name(f"{self.runtime.name}-hooks") / "socket"

    @property
    def door(self) -> Path:
        """The socket of failoverd-netns, beside `runtime` as that of failoverd-hooks is."""
        return self.runtime.with_name(f"{self.runtime.name}-netns") / "socket"

    @property
    def fleet(self) -> Path:
        """What failoverd-etcd hands over, in a directory beside `state`, which is its own."""
        return self.state.with_name(f"{self.state.name}-etcd") / "snapshot.json"

    @property
    def etcd(self) -> Path:
        """The file by which failoverd-etcd says how it stands with etcd, in its own directory beside `runtime`."""
        return self.runtime.with_name(f"{self.runtime.name}-etcd") / "contact.json"

    @property
    def attachments(self) -> Path:
        """The links that failoverd-cni has had made for pods, one file each."""
        return self.runtime / "attachments"

    @property
    def detached(self) -> Path:
        """What failoverd-cni leaves here was to be detached while no daemon answered."""
        return self.runtime / "cni"

    @property
    def away(self) -> Path:
        """The directory of the journals of moves into other network namespaces."""
        return self.runtime / "away"

    @property
    def links(self) -> Path:
        """The file that says that links were made."""
        return self.runtime / "links"

    def lock(self) -> IO[Any]:
        """Take the lock, which is held until the file is closed. Raises StartError.

        No other user may open the file, as any process that can open a file can lock it.
        """
        path = self.runtime / "lock"
        try:
            make_directory(path.parent)
            _make_room(path)
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


def _make_room(path: Path) -> None:
    """Set aside what is no regular file. A link is not followed, as the directory belongs to a user other than root."""
    if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode) and (aside := set_aside(path)):
        log.error("%s: it is no regular file; set aside as %s", path, aside)
