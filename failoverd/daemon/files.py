"""Replacing a file as a whole: who reads it sees the old one or the new one, also after a crash."""

from __future__ import annotations

import os
from pathlib import Path


def put(path: Path, data: bytes, mode: int | None = None) -> None:
    """Write beside the place and rename into it; directories are made. Raises OSError, and leaves nothing then.

    `mode` is for files that others read, whatever the daemon's umask is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(data)
        if mode is not None:
            beside.chmod(mode)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
