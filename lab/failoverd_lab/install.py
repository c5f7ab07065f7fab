"""Install failoverd in a guest: the source of this checkout, run as the guest's own service.

The guest uses its own Debian's pyroute2, trio and sdnotify, not those installed here.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import failoverd
from failoverd_lab.guest import Guest

PLACE = "/opt/failoverd"
CONFIG = "/etc/failoverd/failoverd.toml"

COMMANDS = """
for name in daemon:failoverd ctl:failoverctl; do
    file=/usr/local/bin/${name#*:}
    printf '#!/usr/bin/python3\\nimport sys\\nsys.path.insert(0, "%s")\\n' "$1" >"$file"
    printf 'from failoverd.cli.%s import main\\nsys.exit(main())\\n' "${name%:*}" >>"$file"
    chmod 755 "$file"
done
python3 -m compileall -q "$1"
"""

COMPILING = 240.0
"""Seconds that the compilation of the source may take on an emulated CPU, beside another guest."""

SERVICE = ["--quiet", "--unit=failoverd", "--property=Type=notify", "--property=Nice=-10"]
"""Not the unit of units/: that one restarts a killed daemon, and stories test what happens without it."""


async def install(guest: Guest, config: Mapping[str, Any]) -> None:
    """Install failoverd in the guest, with this configuration. Raises LabError."""
    await guest.unpack(_archive(), PLACE)
    (await guest.run(["sh", "-c", COMMANDS, "commands", PLACE], timeout=COMPILING)).check()
    if config:
        await configure(guest, config)


async def configure(guest: Guest, config: Mapping[str, Any]) -> None:
    """Write the configuration's file."""
    await guest.put(CONFIG, toml(config).encode())


async def start(guest: Guest) -> None:
    """Start the daemon, and wait until it is ready. Raises LabError."""
    await guest.run(["systemctl", "reset-failed", "failoverd.service"])
    (await guest.run(["systemd-run", *SERVICE, "/usr/local/bin/failoverd"], timeout=120)).check()


async def kill(guest: Guest) -> None:
    """Kill the daemon with SIGKILL."""
    (await guest.run(["systemctl", "kill", "--signal=KILL", "failoverd.service"])).check()


async def stop(guest: Guest) -> None:
    """Stop the daemon in good order."""
    (await guest.run(["systemctl", "stop", "failoverd.service"])).check()


async def ask(guest: Guest, *words: str) -> dict[str, Any] | None:
    """Return failoverctl's document; None while no daemon answers. Raises LabError when the daemon refuses."""
    done = await guest.run(["failoverctl", "--json", *words])
    if done.returncode == NO_DAEMON:
        return None
    if not done.stdout:
        done.check()
    document: dict[str, Any] = json.loads(done.stdout)
    return document


NO_DAEMON = 3


async def log(guest: Guest) -> str:
    """Return the daemon's log."""
    done = await guest.run(["journalctl", "--unit=failoverd", "--output=short-monotonic", "--no-pager"])
    return done.stdout.decode("utf-8", "replace")


def toml(config: Mapping[str, Any]) -> str:
    """Return a document of sections as TOML; what is nested more deeply is written inline."""
    lines = []
    for section, keys in config.items():
        lines.append(f"[{section}]")
        lines += [f"{json.dumps(key)} = {_toml_value(value)}" for key, value in keys.items()]
    return "\n".join(lines) + "\n"


def _toml_value(value: object) -> str:
    """JSON's texts, numbers and booleans are TOML's, too."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    return json.dumps(value)


def _archive() -> bytes:
    """Return an archive of failoverd's source."""
    package = Path(failoverd.__file__).parent
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as archive:
        for path in sorted(package.rglob("*.py")):
            archive.add(path, Path("failoverd") / path.relative_to(package))
    return stream.getvalue()
